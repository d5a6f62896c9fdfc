"""Golden zones at operators: a folder each, with the declaration, and what is sent to each of them.

fleet.yaml holds
  zone      as a program declares it at DnsZone; late values are any text
and
  means     rejected: every "rule at path", in order
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from loopback_iac.dns import (
    cloudflare_records,
    hetzner_records,
    hetzner_sets,
    ionos_records,
    own_servers,
    parse_published_zone,
)
from loopback_iac.model import parse_dns_zone

if TYPE_CHECKING:
    from collections.abc import Iterable

CASES = Path(__file__).parent / "published"


@dataclass(frozen=True)
class Case:
    """One folder."""

    name: str
    zone: dict[str, Any]
    means: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return CASES / self.name


def load(name: str) -> Case:
    return Case(name, **yaml.safe_load((CASES / name / "fleet.yaml").read_text()))


def names(*, rejected: bool) -> list[str]:
    found = sorted(p.parent.name for p in CASES.glob("*/fleet.yaml"))
    return [name for name in found if bool(load(name).means) is rejected]


def texts(case: Case) -> dict[str, str]:
    """Operator -> its resources, one per line."""
    declared = parse_dns_zone("net", case.zone)
    zone = parse_published_zone("net", declared)
    own = {name: own_servers(name, declared.mode, None) for name in declared.operators}
    sent = {
        "cloudflare.txt": [*cloudflare_records(zone, own["cloudflare"])],
        "hetzner.txt": [*hetzner_sets(zone), *hetzner_records(zone, own["hetzner"])],
        "ionos.txt": [*ionos_records(zone, own["ionos"])],
    }
    return {name: _text(rows) for name, rows in sent.items()}


def _text(rows: Iterable[Any]) -> str:
    return "".join(f"{row!r}\n" for row in rows)
