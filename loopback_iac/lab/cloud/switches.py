"""What a test turns on at a stand-in cloud: errors of its API, limits of the account."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from loopback_iac.lab.paths import write_private

if TYPE_CHECKING:
    from loopback_iac.lab.cloud.book import Shelf

# A fault that is no answer of the API: the server is made and never boots.
DARK = "dark"


@dataclass
class Fault:
    """The next calls of this kind fail: verb create|read|update|delete, name a shell pattern."""

    cloud: str
    verb: str
    kind: str
    code: str
    name: str = "*"
    times: int = 1


@dataclass
class Switches:
    """All faults, and per cloud the most things of a kind that an account may have."""

    faults: list[Fault] = field(default_factory=list)
    limits: dict[str, dict[str, int]] = field(default_factory=dict)


def read_switches(shelf: Shelf) -> Switches:
    """What is turned on now."""
    path = shelf.folder / "switches.json"
    if not path.exists():
        return Switches()
    raw = json.loads(path.read_text())
    return Switches([Fault(**fault) for fault in raw["faults"]], raw["limits"])


def set_switches(shelf: Shelf, switches: Switches) -> None:
    """Turn on these and nothing else."""
    with shelf.locked():
        _write(shelf, switches)


def take_fault(shelf: Shelf, cloud: str, verb: str, kind: str, name: str) -> str:
    """
    Use up one fault that fits a call.

    Out: its code; empty when the call is to be answered.
    """
    if not (shelf.folder / "switches.json").exists():
        return ""
    with shelf.locked():
        switches = read_switches(shelf)
        for fault in switches.faults:
            fits = (fault.cloud, fault.verb, fault.kind) == (cloud, verb, kind)
            if fits and fault.times and fnmatch.fnmatchcase(name, fault.name):
                fault.times -= 1
                _write(shelf, switches)
                return fault.code
    return ""


def _write(shelf: Shelf, switches: Switches) -> None:
    write_private(shelf.folder / "switches.json", json.dumps(asdict(switches)) + "\n")
