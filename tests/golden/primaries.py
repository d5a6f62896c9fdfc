"""Golden primaries: a folder each, with the declaration, and what primary and name servers get.

fleet.yaml holds
  primary   as a program declares it
  hosts     late facts by host; the primary's own is `primary`
and
  means     rejected: every "rule at path", in order
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from loopback_iac.lab.names.machine import render_hosts

if TYPE_CHECKING:
    from loopback_iac.render import HostFiles

CASES = Path(__file__).parent / "primaries"


@dataclass(frozen=True)
class Case:
    """One folder."""

    name: str
    primary: dict[str, Any]
    hosts: dict[str, Any]
    means: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return CASES / self.name


def load(name: str) -> Case:
    return Case(name, **yaml.safe_load((CASES / name / "fleet.yaml").read_text()))


def names(*, rejected: bool) -> list[str]:
    found = sorted(p.parent.name for p in CASES.glob("*/fleet.yaml"))
    return [name for name in found if bool(load(name).means) is rejected]


def render(case: Case) -> dict[str, HostFiles]:
    """The primary's files and those of every name server, as the real program makes them."""
    return render_hosts(case)


def texts(case: Case) -> dict[str, str]:
    """What is compared: host and path -> text."""
    return {
        host + path: file.text
        for host, files in render(case).items()
        for path, file in files.files.items()
        if not path.endswith((".service", ".pem", ".key"))
    }
