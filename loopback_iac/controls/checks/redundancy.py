"""RED: what a fleet has more than one of, and what the proof says of losing one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.stack import (
    failed,
    inapplicable,
    judge,
    passed,
    planned,
    settled,
    unsure,
)
from loopback_iac.controls.tree import ABSENT, UNKNOWN, Counted, Tree, at, each, items, need
from loopback_iac.model import InputRejected
from loopback_iac.proof import EDGE, parse_demands_tree, prove_redundancy
from loopback_iac.proof.wording import unmet_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopback_iac.controls.result import Finding
    from loopback_iac.controls.stack import Resource, Stack
    from loopback_iac.proof import Proof

HETZNER, IONOS = "hcloud:index/server:Server", "ionoscloud:compute/server:Server"
DEFAULT = 0
"""Nobody asked yet: a service has to be up while nothing is lost. Who wants more, says so."""


@CHECKS.stack("RED-01")
def check_pops(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Each prefix is announced by several PoPs."""
    for edge, fleet in stack.fleets:
        for name, prefix in items(fleet, "prefixes"):
            subject = f"prefix {name}"

            def look(prefix: Tree = prefix, subject: str = subject) -> Finding:
                pops = announcing(fleet, prefix)  # noqa: B023  # asked before the next fleet
                told = ", ".join(sorted(pops.values))
                text = f"{subject} is announced by {len(pops.values)} PoP: {told}"
                return judge(edge, pops, settings["pops"], text, subject)  # noqa: B023  # as above

            yield settled(edge, subject, look)


@CHECKS.stack("RED-02")
def check_providers(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """PoPs stand with several providers."""
    yield from _spread(stack, "provider", settings["providers"])


@CHECKS.stack("RED-03")
def check_countries(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """PoPs stand in several countries."""
    yield from _spread(stack, "country", settings["countries"])


@CHECKS.stack("RED-04")
def check_proof(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """What is known decides first: a value that comes later can only lower what holds."""
    edges = list(stack.of(EDGE))
    if not edges:
        return
    try:
        proof = _prove(stack, settings)
    except InputRejected as cause:
        yield failed(edges[0], str(cause))
        return
    texts = unmet_texts(proof)
    for text in texts:
        yield failed(edges[0], text)
    late = _late(stack)
    demanded = any(verdict.system.demand for verdict in proof.verdicts)
    if not texts and (proof.model.open or (late and (demanded or not stack.places.fleets))):
        told = [*late, *proof.model.open, "what is known proves what is demanded"]
        yield unsure(edges[0], told)
    elif not texts:
        yield passed(edges[0])


@CHECKS.stack("RED-05")
def check_failure_domains(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Hosts are found by their name, which a program gives to host and worker alike."""
    for edge, fleet in stack.fleets:
        for pool, facts in items(fleet, "pools"):
            subject = f"pool {pool}"
            serving, doubtful = _serving(facts)
            places = {name: stack.places.places.get(name) for name in serving}
            late = [name for name, place in places.items() if place and place.unknown]
            silent = [name for name in serving if not _domains(places[name])]
            shared = set.intersection(*(_domains(p) for p in places.values())) if serving else set()
            if shared and doubtful:
                yield unsure(edge, [f"whether {name} serves" for name in doubtful], subject)
            elif shared:
                told = f"{', '.join(serving)} all stand in {', '.join(sorted(shared))}"
                yield failed(edge, f"pool {pool}: {told}; who loses that loses the pool", subject)
            elif late:
                yield unsure(edge, [f"where {name} stands" for name in late], subject)
            elif silent:
                yield inapplicable(f"pool {pool}: nobody says where {', '.join(silent)} stands")
            else:
                yield passed(edge, subject)


@CHECKS.stack("RED-06")
def check_spread(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Servers of one role at one place of one provider do not share a physical machine."""
    hetzner, late = _groups(stack, HETZNER, ("location",), ("labels", "role"))
    for (place, role), servers in hetzner.items():
        alone = [s.name for s in servers if at(s.facts, "placementGroupId") is ABSENT]
        if alone:
            told = f"{len(servers)} servers of role {role} in {place}"
            text = f"{told}; in no spread group: {', '.join(alone)}"
            yield failed(servers[0], text, f"{role} in {place}")
        else:
            yield passed(servers[0], f"{role} in {place}")
    ionos, more = _groups(stack, IONOS, ("datacenterId",))
    for servers in ionos.values():
        zones = {at(server.facts, "availabilityZone") for server in servers}
        if len(zones) < 2 or "AUTO" in zones or ABSENT in zones:
            names = ", ".join(server.name for server in servers)
            yield failed(servers[0], f"{names}: one data centre, no zones told apart", "zones")
        else:
            yield passed(servers[0], "zones")
    for servers in (late, more):
        if servers:
            yield unsure(servers[0], ["which servers stand at one place"])


@CHECKS.stack("RED-07")
def check_upstreams(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Each prefix reaches the Internet through several AS numbers."""
    for edge, fleet in stack.fleets:
        for name, prefix in items(fleet, "prefixes"):
            subject = f"prefix {name}"

            def look(prefix: Tree = prefix, subject: str = subject) -> Finding:
                asns = _carriers(fleet, prefix)  # noqa: B023  # asked before the next fleet
                told = ", ".join(sorted(asns.values)) or "no carrier"
                text = f"{subject} leaves through {told} alone"
                return judge(edge, asns, settings["upstreams"], text, subject)  # noqa: B023  # as above

            yield settled(edge, subject, look)


@CHECKS.stack("RED-08")
def check_exit(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """No service falls with one provider: leaving any of them is possible without an outage."""
    edges = list(stack.of(EDGE))
    if not edges:
        return
    late = [each for each in _late(stack) if each.startswith(("provider of", "facts of"))]
    try:
        proof = _prove(stack, {})
    except InputRejected as cause:
        yield failed(edges[0], str(cause))
        return
    for verdict in proof.verdicts:
        alone = sorted(c[0] for c in verdict.cuts if len(c) == 1 and c[0].startswith("provider "))
        name = verdict.system.name
        if verdict.survives < 0:
            yield failed(edges[0], f"{name}: down with nothing lost", name)
        elif alone:
            yield failed(edges[0], f"{name}: falls with {', '.join(alone)}", name)
        elif late:
            yield unsure(edges[0], late, name)
        else:
            yield passed(edges[0], name)
    if late and not stack.places.fleets:
        yield unsure(edges[0], late)


@CHECKS.stack("RED-09")
def check_families(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every VIP has an address of both families."""
    for edge, fleet in stack.fleets:
        for name, addresses in items(fleet, "vips"):
            subject = f"vip {name}"

            def look(addresses: object = addresses, subject: str = subject) -> Finding:
                told = list(each(addresses))
                found = {"IPv6" if ":" in a else "IPv4" for a in told if isinstance(a, str)}
                late = tuple(f"an address of {subject}" for a in told if a is UNKNOWN)
                text = f"{subject} has {' and '.join(sorted(found)) or 'no address'} only"
                return judge(edge, Counted(frozenset(found), late), 2, text, subject)  # noqa: B023  # asked before the next fleet

            yield settled(edge, subject, look)


def announcing(fleet: Tree, prefix: Tree) -> Counted:
    """PoPs at which a prefix has an origin; without declared origins, all of them."""
    pops = frozenset(name for name, _ in items(fleet, "pops"))
    origins = [origin for _, origin in items(prefix, "origins")]
    if not origins:
        return Counted(pops)
    named = [pop for origin in origins for pop in each(origin, "pops")]
    late = tuple("a PoP of its origin" for pop in named if pop is UNKNOWN)
    return Counted(frozenset(pop for pop in named if isinstance(pop, str)) & pops, late)


def _spread(stack: Stack, fact: str, count: int) -> Iterator[Finding]:
    for edge, fleet in stack.fleets:
        pops = sorted(name for name, _ in items(fleet, "pops"))
        found = stack.said(fact, pops)
        what = ", ".join(sorted(found.values)) or f"no {fact} that anybody declared"
        yield judge(edge, found, count, f"{', '.join(pops)} stand with: {what}")


def _prove(stack: Stack, settings: Mapping[str, Any]) -> Proof:
    said = {key: value for key, value in settings.items() if value is not None}
    demands = parse_demands_tree("redundancy-proved", planned(said))
    return prove_redundancy(stack.places, demands, DEFAULT, today=stack.today, doubtful=False)


def _late(stack: Stack) -> list[str]:
    """What the proof rests on and nobody knows yet."""
    places = stack.places.places.items()
    late = [f"{one} of {host}" for host, place in places for one in place.unknown]
    return late + [f"facts of {edge}" for edge in stack.places.late]


def _serving(pool: Tree) -> tuple[list[str], list[str]]:
    """Workers that take connections, and those of which that is not known yet."""
    serving, doubtful = [], []
    for name, worker in items(pool, "workers"):
        drained, weight = at(worker, "drained"), at(worker, "weight")
        if UNKNOWN in (drained, weight):
            doubtful.append(name)
        elif drained is not True and weight:
            serving.append(name)
    return sorted(serving), sorted(doubtful)


def _domains(place: Any) -> set[str]:  # noqa: ANN401  # a Place, or none
    """What a host falls with, as far as its component says."""
    if place is None:
        return set()
    here = {f"{place.provider or 'own metal'} {place.site}"} if place.site else set()
    return here | set(place.domains)


def _carriers(fleet: Tree, prefix: Tree) -> Counted:
    """Carriers by AS number; of what is not known yet, each may be another one."""
    family = 6 if ":" in str(need(prefix, "cidr")) else 4
    pops = announcing(fleet, prefix)
    values, late = set(), list(pops.late)
    for pop in sorted(pops.values):
        for name, up in items(fleet, "pops", pop, "upstreams"):
            families = at(up, "families")
            spoken = [] if families in (UNKNOWN, ABSENT) else list(each(families))
            asn, kind = at(up, "asn"), at(up, "kind")
            if UNKNOWN in (asn, kind, families) or UNKNOWN in spoken:
                late.append(f"{name} at {pop}")
            elif kind != "internal" and family in [int(one) for one in spoken]:
                values.add(f"AS{int(asn)}")
    return Counted(frozenset(values), tuple(late))


def _groups(
    stack: Stack, kind: str, *paths: tuple[str, ...]
) -> tuple[dict[tuple[str, ...], list[Resource]], list[Resource]]:
    """Servers that agree in these facts, where there are several; those that come late."""
    groups: dict[tuple[str, ...], list[Resource]] = {}
    servers = list(stack.of(kind))
    late = []
    for server in servers:
        found = [at(server.facts, *path) for path in paths]
        if UNKNOWN in found:
            late.append(server)
        elif ABSENT not in found:
            groups.setdefault(tuple(map(str, found)), []).append(server)
    several = {key: group for key, group in sorted(groups.items()) if len(group) > 1}
    return several, late if len(servers) > 1 else []
