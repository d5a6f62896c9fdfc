"""Golden zones: a folder each, with a zone as somebody wrote it, and the texts it becomes.

fleet.yaml holds one of
  zone      as a program declares it
  file      a zone file's text; includes: the files that it may include, by name
  octodns   octoDNS YAML of example.net
and
  means     rejected: every "rule at path", in order; both parsing and the rules may refuse
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from loopback_iac.dns import (
    ReadZone,
    check_zone,
    parse_zone,
    read_octodns,
    read_zone_file,
    render_octodns,
    render_zone_file,
)
from loopback_iac.model import InputRejected

CASES = Path(__file__).parent / "zones"


@dataclass(frozen=True)
class Case:
    """One folder."""

    name: str
    zone: dict[str, Any] = field(default_factory=dict)
    file: str = ""
    octodns: str = ""
    includes: dict[str, str] = field(default_factory=dict)
    means: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return CASES / self.name

    def read(self) -> ReadZone:
        """The zone, parsed and held to its rules."""
        found = self._parsed()
        if problems := check_zone(found.zone, found.places):
            raise InputRejected(found.zone.name, problems)
        return found

    def _parsed(self) -> ReadZone:
        if self.file:
            return read_zone_file(self.file, title="example.net.zone", include=self._include)
        if self.octodns:
            return read_octodns(self.octodns, "example.net", title="example.net.yaml")
        return ReadZone(parse_zone("example.net", self.zone), {})

    def _include(self, name: str) -> str:
        if name not in self.includes:
            raise FileNotFoundError(2, "No such file")
        return self.includes[name]


def load(name: str) -> Case:
    return Case(name, **yaml.safe_load((CASES / name / "fleet.yaml").read_text()))


def names(*, rejected: bool) -> list[str]:
    found = sorted(p.parent.name for p in CASES.glob("*/fleet.yaml"))
    return [name for name in found if bool(load(name).means) is rejected]


def texts(case: Case) -> dict[str, str]:
    """The zone in both formats; what octoDNS cannot hold, in the words of the refusal."""
    zone = case.read().zone
    try:
        octodns = render_octodns(zone)
    except InputRejected as refused:
        octodns = f"{refused}\n"
    return {"zone.txt": render_zone_file(zone), "octodns.txt": octodns}
