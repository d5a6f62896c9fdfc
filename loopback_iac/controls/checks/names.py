"""DNS: who answers for zones, and how they are signed, handed on and kept."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.stack import NAME_SERVICE, failed, judge, passed, unsure
from loopback_iac.controls.tree import ABSENT, UNKNOWN, Counted, at, each, items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopback_iac.controls.result import Finding
    from loopback_iac.controls.stack import Resource, Stack

HETZNER_ZONE = "hcloud:index/zone:Zone"
IONOS_ZONE = "ionoscloud:dns/zone:Zone"
CLOUDFLARE_ZONE = "cloudflare:index/zone:Zone"
ZONES = {HETZNER_ZONE: "hetzner", IONOS_ZONE: "ionos", CLOUDFLARE_ZONE: "cloudflare"}
DNSSEC = "cloudflare:index/zoneDnssec:ZoneDnssec"
TSIG = "cloudflare:index/dnsZoneTransfersTsig:DnsZoneTransfersTsig"
RECORDS = "hcloud:index/zoneRrset:ZoneRrset"
OWN = "own name servers"


@dataclass(frozen=True)
class Copy:
    """One operator's copy of a zone."""

    operator: str
    resource: Resource


@CHECKS.stack("DNS-01")
def check_operators(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Every zone is answered by several operators that do not depend on each other."""
    zones, late = copies(stack)
    for zone, held in zones.items():
        found = Counted(frozenset(copy.operator for copy in held), late)
        text = f"zone {zone} is answered by {', '.join(sorted(found.values))} alone"
        yield judge(held[0].resource, found, settings["operators"], text, f"zone {zone}")


@CHECKS.stack("DNS-02")
def check_networks(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Name servers answer in several networks; another operator has networks of its own."""
    zones, late = copies(stack)
    for zone, held in zones.items():
        values, unknown = {c.operator for c in held if c.operator != OWN}, list(late)
        for copy in held:
            if copy.operator == OWN:
                hosts = at(copy.resource.facts, "hosts")
                own, more = _networks(hosts)
                values |= own
                unknown += more
        found = Counted(frozenset(values), tuple(unknown))
        text = f"zone {zone}: all its name servers answer in one network"
        yield judge(held[0].resource, found, settings["networks"], text, f"zone {zone}")


@CHECKS.stack("DNS-04")
def check_signed(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every copy of every zone is signed, here or by where it comes from."""
    zones, _late = copies(stack)
    signing = list(stack.of(DNSSEC))
    for zone, held in zones.items():
        for copy in held:
            resource, subject = copy.resource, f"zone {zone} at {copy.operator}"
            if copy.operator == OWN:
                signed = at(resource.facts, "name_service", "zones", zone, "signed")
                yield _said(resource, signed, subject)
            elif copy.operator == "hetzner" and at(resource.facts, "mode") == "secondary":
                yield passed(resource, subject)
            elif copy.operator == "hetzner" and at(resource.facts, "mode") is UNKNOWN:
                yield unsure(resource, [f"mode of {subject}"], subject)
            elif copy.operator == "cloudflare":
                yield _at_cloudflare(resource, signing, subject)
            else:
                yield failed(resource, f"{subject} is not signed, and cannot be there", subject)


@CHECKS.stack("DNS-06")
def check_signers(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Where two sign one zone, they know of each other, or one hands on what the other signed."""
    zones, _late = copies(stack)
    signing = list(stack.of(DNSSEC))
    for zone, held in zones.items():
        operators = {copy.operator: copy.resource for copy in held}
        if not {OWN, "cloudflare"} <= operators.keys() or not signing:
            continue
        subject, late = f"zone {zone}", []
        agreed = False
        for one in signing:
            for key in ("dnssecMultiSigner", "dnssecPresigned"):
                found = at(one.facts, key)
                agreed = agreed or found is True
                late += [key] if found is UNKNOWN else []
        if agreed:
            yield passed(signing[0], subject)
        elif late:
            yield unsure(signing[0], late, subject)
        else:
            text = f"{subject}: two signers, neither multi-signer nor presigned"
            yield failed(signing[0], text, subject)


@CHECKS.resource("DNS-07", NAME_SERVICE, HETZNER_ZONE, TSIG)
def check_transfers(resource: Resource, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Zones are handed on under a TSIG key of a strong kind, to nobody else."""
    facts = resource.facts
    if resource.kind == NAME_SERVICE:
        found = [("transfers", at(facts, "name_service", "transfers", "tsig"))]
    elif resource.kind == TSIG:
        found = [("algo", at(facts, "algo"))]
    elif at(facts, "mode") == "secondary":
        found = [
            (f"primaryNameservers[{number}]", _keyed(server))
            for number, server in enumerate(each(facts, "primaryNameservers"))
        ]
    else:
        return
    for subject, algorithm in found:
        name = str(algorithm).lower().strip(".") if isinstance(algorithm, str) else ""
        if algorithm is UNKNOWN:
            yield unsure(resource, [f"{subject}: the kind of its key"], subject)
        elif name in settings["algorithms"]:
            yield passed(resource, subject)
        else:
            yield failed(resource, f"{subject}: no TSIG key of an accepted kind", subject)


@CHECKS.resource("DNS-11", *ZONES, RECORDS)
def check_kept(zone: Resource, _: Mapping[str, Any]) -> Iterator[Finding]:
    """A zone is deleted by nobody by accident, nor are the records at its top."""
    if zone.kind == RECORDS:
        if at(zone.facts, "name") != "@":
            return
        kept = at(zone.facts, "changeProtection")
    else:
        kept = at(zone.facts, "deleteProtection")
    if zone.protect or kept is True:
        yield passed(zone)
    elif kept is UNKNOWN:
        yield unsure(zone, ["its protection"])
    else:
        yield failed(zone, "neither protection at the operator nor `protect`")


def copies(stack: Stack) -> tuple[dict[str, list[Copy]], tuple[str, ...]]:
    """
    Who holds which zone.

    Out: by name in lower case without its last dot; zones whose name is not known yet.
    Raises: UndecidedError when the zones of a name service are not known yet.
    """
    found: dict[str, list[Copy]] = {}
    late = []
    for service in stack.of(NAME_SERVICE):
        for name, _ in items(service.facts, "name_service", "zones"):
            found.setdefault(_name(name), []).append(Copy(OWN, service))
    for kind, operator in ZONES.items():
        for zone in stack.of(kind):
            name = at(zone.facts, "name")
            if isinstance(name, str):
                found.setdefault(_name(name), []).append(Copy(operator, zone))
            else:
                late.append(f"name of {zone.name}")
    return found, tuple(late)


def _name(zone: str) -> str:
    return zone.lower().removesuffix(".")


def _networks(hosts: Any) -> tuple[set[str], list[str]]:  # noqa: ANN401  # a map, or Access
    """/24 and /48 of name servers: the longest that the Internet routes each by itself."""
    if hosts is UNKNOWN or hosts is ABSENT:
        return set(), ["addresses of name servers"] * 2
    found, late = set(), []
    for name, host in items(hosts):
        if at(host, "role") != "nameserver":
            continue
        address = at(host, "address")
        if isinstance(address, str):
            length = 48 if ":" in address else 24
            found.add(str(ip_network(f"{address}/{length}", strict=False)))
        else:
            late.append(f"address of {name}")
    return found, late


def _said(resource: Resource, signed: Any, subject: str) -> Finding:  # noqa: ANN401  # as at has it
    if signed is UNKNOWN:
        return unsure(resource, [f"whether {subject} is signed"], subject)
    return (
        passed(resource, subject)
        if signed is True
        else failed(resource, f"{subject} is not signed", subject)
    )


def _at_cloudflare(zone: Resource, signing: list[Resource], subject: str) -> Finding:
    """Which zone a ZoneDnssec is of is an id, and ids come late."""
    mine = at(zone.facts, "id")
    late = False
    for one in signing:
        of, status = at(one.facts, "zoneId"), at(one.facts, "status")
        same = of == mine and isinstance(mine, str)
        if same and status == "active":
            return passed(zone, subject)
        late = late or UNKNOWN in (of, mine) or mine is ABSENT or (same and status is UNKNOWN)
    if late:
        return unsure(zone, [f"which zone DNSSEC is on for, for {subject}"], subject)
    return failed(zone, f"{subject} is not signed", subject)


def _keyed(server: Any) -> Any:  # noqa: ANN401  # a map; a text or Access
    """The algorithm, where there is a key as well."""
    key, algorithm = at(server, "tsigKey"), at(server, "tsigAlgorithm")
    return ABSENT if key is ABSENT else algorithm
