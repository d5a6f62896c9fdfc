"""DNS: what stands in zones of own name servers, from the files the primary gets."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from loopback_iac.controls.checks.bgp import rendered
from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.result import Finding
from loopback_iac.controls.stack import CONVERGED, failed, passed, unsure
from loopback_iac.controls.tree import ABSENT, UNKNOWN, at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopback_iac.controls.stack import Resource, Stack
    from loopback_iac.dns import Zone

PRIMARY = next(kind for kind in CONVERGED if kind.endswith(":PrimaryHost"))
KNOT = "/etc/knot/knot.conf"
ZONE_FILE = re.compile(r"/etc/loopback/zones/([^/]+\.)(zone|json)")
DNSSEC = "cloudflare:index/zoneDnssec:ZoneDnssec"
# IANA's registry of DNSSEC algorithms, as RFC 9904 has it; names as Knot writes them
ALGORITHMS = {
    "rsasha256": 8,
    "rsasha512": 10,
    "ecdsap256sha256": 13,
    "ecdsap384sha384": 14,
    "ed25519": 15,
    "ed448": 16,
    "rsasha1": 5,
}


@CHECKS.stack("DNS-05")
def check_algorithms(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Zones are signed with an algorithm that validators take and nobody has broken."""
    for primary, text in rendered(stack, PRIMARY, KNOT):
        if isinstance(text, Finding):
            yield text
            continue
        policies = text.partition("\npolicy:\n")[2].partition("\ntemplate:\n")[0]
        for name in sorted(set(re.findall(r"^    algorithm: (\S+)", policies, re.MULTILINE))):
            yield _algorithm(primary, ALGORITHMS.get(name, -1), name, settings)
    for dnssec in stack.of(DNSSEC):
        number = at(dnssec.facts, "algorithm")
        if isinstance(number, str) and number.isdigit():
            yield _algorithm(dnssec, int(number), f"algorithm {number}", settings)
        else:
            yield unsure(dnssec, ["algorithm"])


@CHECKS.stack("DNS-03")
def check_names(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Name servers are named under several top-level domains, not all inside the zone itself."""
    for primary, zone in _zones(stack, updated=True):
        if isinstance(zone, Finding):
            yield zone
            continue
        subject = f"zone {zone.name}"
        apex = zone.rrset(zone.name, "NS")
        servers = [name.lower() for name in apex.values()] if apex else []
        tlds = {name.rstrip(".").rpartition(".")[2] for name in servers}
        if len(tlds) < settings["top_level_domains"]:
            text = f"{subject}: its name servers are all named under {', '.join(sorted(tlds))}"
            yield failed(primary, text, subject)
        elif all(f".{name}".endswith(f".{zone.name}") for name in servers):
            yield failed(primary, f"{subject}: every name server is named inside it", subject)
        else:
            yield passed(primary, subject)


@CHECKS.stack("DNS-09")
def check_authorities(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """A zone says which authorities may issue certificates for it (RFC 8659)."""
    for primary, zone in _zones(stack):
        if isinstance(zone, Finding):
            yield zone
            continue
        subject = f"zone {zone.name}"
        if zone.rrset(zone.name, "CAA") is None:
            yield failed(primary, f"{subject} has no CAA records at its top", subject)
        else:
            yield passed(primary, subject)


@CHECKS.stack("DNS-10")
def check_mail(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Who takes mail says who may send it; who takes none says that (RFC 7208, 7489, 7505)."""
    for primary, zone in _zones(stack):
        if isinstance(zone, Finding):
            yield zone
            continue
        subject = f"zone {zone.name}"
        mail = zone.rrset(zone.name, "MX")
        texts = _texts(zone, zone.name)
        spf = [text for text in texts if text.lower().startswith("v=spf1")]
        policy = [t for t in _texts(zone, f"_dmarc.{zone.name}") if t.startswith("v=DMARC1")]
        if mail is None or not spf:
            missing = "MX (`0 .` where it takes none)" if mail is None else "SPF (v=spf1)"
            yield failed(primary, f"{subject} says nothing of {missing}", subject)
        elif mail.values() == ["0 ."] and not any("-all" in text for text in spf):
            yield failed(primary, f"{subject} takes no mail, yet lets mail be sent", subject)
        elif mail.values() != ["0 ."] and not policy:
            yield failed(primary, f"{subject} has no DMARC policy", subject)
        else:
            yield passed(primary, subject)


def _zones(stack: Stack, *, updated: bool = False) -> Iterator[tuple[Resource, Zone | Finding]]:
    """In: `updated`, also those that change by update: of them SOA and NS are declared alone."""
    for primary in stack.of(PRIMARY):
        files = at(primary.facts, "files")
        if files is UNKNOWN or files is ABSENT:
            yield primary, unsure(primary, [f"zones of {primary.name}"])
            continue
        for path in sorted(files):
            place = ZONE_FILE.fullmatch(str(path))
            if place is None or (place[2] == "json" and not updated):
                continue
            text, name = at(files, path), place[1]
            if isinstance(text, str):
                yield primary, _read(_top(text) if place[2] == "json" else text, name)
            else:
                yield primary, unsure(primary, [f"zone {name}"], f"zone {name}")


def _top(text: str) -> str:
    """SOA and NS of a zone that changes by update, as lines of a zone file."""
    tree = json.loads(text)
    lines = [f"@ {kind} {value}" for kind in ("SOA", "NS") for value in tree[kind]["values"]]
    return "".join(f"{line}\n" for line in ["$TTL 3600", *lines])


@lru_cache(maxsize=256)
def _read(text: str, name: str) -> Zone:
    """Three controls read the same zones."""
    from loopback_iac.dns import (  # noqa: PLC0415  # a stack without zones does not load it
        parse_zone_file,
    )

    return parse_zone_file(text, name)


def _texts(zone: Zone, owner: str) -> list[str]:
    found = zone.rrset(owner, "TXT")
    return ["".join(re.findall(r'"([^"]*)"', value)) for value in found.values()] if found else []


def _algorithm(resource: Resource, number: int, name: str, settings: Mapping[str, Any]) -> Finding:
    if number in settings["algorithms"]:
        return passed(resource, name)
    return failed(resource, f"zones are signed with {name}", name)
