"""From a stack's facts to the structure of its services."""

import difflib
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.proof.causes import KINDS, UNSAID, Cause, Standing
from loopback_iac.proof.demands import Demands, Expiring, Name
from loopback_iac.proof.model import Model, Route, System
from loopback_iac.proof.stack import SAID, Place, Stack, Tree

Origin = tuple[str, str]
"""Who announces (`pop` or `provider`), and the cause that the origin's AS number is."""
TAKEN = ("upstream-accepted", "announced")
LATE = {**dict(zip(SAID, SAID, strict=True)), "domain": "failure_domains", "owner": "legal_owner"}
"""Kinds of causes by the field of a host that they come from."""
SOFTWARE = "BIRD, HAProxy, WireGuard and the agent"


def build_model(
    stack: Stack,
    demands: Demands,
    default: int = 0,
    *,
    today: date | None = None,
    doubtful: bool = True,
) -> Model:
    """
    Causes, gates and systems of a stack.

    In: default, losses to survive where nothing is demanded; today, the day on which `accepted` has
        to hold, none for whichever; doubtful: what is not known yet is taken as shared by all hosts
        of which it is not known, rather than left out.
    Out: demands that name what only `up` may know are left in `open` of the model.
    Raises: InputRejected for demands that name what the stack does not have.
    """
    model = Model()
    edges = [_Edge(model, stack, demands, name, doubtful) for name in stack.fleets]
    for edge in edges:
        try:
            edge.add_systems(default, prefixed=len(edges) > 1)
        except (LookupError, StopIteration, TypeError, ValueError, AttributeError) as cause:
            raise InputRejected(edge.name, (_unreadable(edge.name, cause),)) from cause
    problems = [*_check_services(stack, demands), *_check_hosts(stack, demands)]
    if stack.late:  # whose services and machines those are
        model.open += [f"{each.path}: {each.got} before `up`" for each in problems]
        problems = []
    problems += _accept(model, stack, demands, today)
    if problems:
        raise InputRejected("demands", tuple(problems))
    model.assumed += [*model.open, *_left_out(stack), *_alike(stack)]
    if doubtful:
        model.assumed += _unsaid(stack)
    return model


@dataclass
class _Edge:
    """One fleet of the stack."""

    model: Model
    stack: Stack
    demands: Demands
    name: str
    doubtful: bool

    @property
    def facts(self) -> Tree:
        return self.stack.fleets[self.name]

    def add_systems(self, default: int, *, prefixed: bool) -> None:
        for service, facts in sorted(self.facts["services"].items()):
            for text in sorted(self.facts["vips"][facts["vip"]]):
                address = ipaddress.ip_address(text)
                label = f"{service} at {address}"
                parts = {
                    f"edge of {address}": self._edge(address, self.demands.of(service).pops),
                    f"pool {facts['pool']}": self._pool(facts["pool"], service),
                    **self._naming(service),
                }
                demand = self.demands.survives_of(service, default)
                title = f"{self.name}/{label}" if prefixed else label
                self.model.systems.append(System(title, service, demand, parts))

    def _edge(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, need: int) -> str:
        prefix = next(p for p in self.facts["prefixes"].values() if address in _network(p["cidr"]))
        given_up = [b["pops"] for b in self.facts["blackholes"] if b["address"] == str(address)]
        units, routes = [], []
        for pop in sorted(self.facts["pops"]):
            origins = [] if any(pop in pops for pops in given_up) else self._origins(prefix, pop)
            if origins:
                unit, through = self._unit(pop, address.version, origins)
                units.append(unit)
                routes += through
        self._say_state(prefix)
        ours = self._common("prefix", str(_network(prefix["cidr"])))
        part = self.model.every([ours, *self._always(), self.model.gate(need, units)])
        if need == 1:
            self.model.routes[part] = tuple(routes)
        return part

    def _origins(self, prefix: Tree, pop: str) -> list[Origin]:
        """Who originates a prefix at a PoP: the PoP itself, its provider, or nobody."""
        origins: Mapping[str, Any] = prefix.get("origins") or {}
        if not origins:
            return [("pop", self._common("origin", f"AS{int(self.facts['asn'])}"))]
        return [
            (origin["announced_by"], self._common("origin", f"AS{int(origin['asn'])}"))
            for _, origin in sorted(origins.items())
            if pop in origin["pops"]
        ]

    def _say_state(self, prefix: Tree) -> None:
        """An origin that carriers have not taken yet counts as declared; an operator is told."""
        for name, origin in sorted((prefix.get("origins") or {}).items()):
            if origin["state"] not in TAKEN:
                told = f"origin {name} of {prefix['cidr']}: state {origin['state']!r}"
                self._assume(f"{told}, counted as if its carriers took the announcement")

    def _unit(self, pop: str, family: int, origins: list[Origin]) -> tuple[str, list[Route]]:
        """A PoP that is announced and forwards, and the routes through it."""
        machine = self._common("pop", pop)
        ways: list[Route] = [
            (self._beyond(pop, up, facts), self._common("session", f"{pop}/{up}"))
            for up, facts in sorted(self.facts["pops"][pop]["upstreams"].items())
            if family in {int(each) for each in facts["families"]}
        ]
        options: list[str] = []
        routes: list[Route] = []
        for by, origin in origins:
            # what the provider announces comes and goes with the provider, and needs no session
            through: list[Route] = [()] if by == "provider" else ways
            options += [self.model.every([*way, origin]) for way in through]
            routes += [(*way, machine) for way in through]
        around = [machine, *self._place(pop), self.model.gate(1, options)]
        return self.model.every(around), routes

    def _beyond(self, pop: str, up: str, facts: Tree) -> str:
        """What stands behind a session: a carrier's network, or one router."""
        tunnel = facts.get("tunnel")
        if facts["kind"] == "internal" or (tunnel and tunnel["router"] != "carrier"):
            where = tunnel["endpoint"] if tunnel else up
            self._assume(f"{pop}: what carries traffic beyond router {where} is not declared")
            return self._common("router", str(where))
        return self._common("upstream", f"AS{int(facts['asn'])}")

    def _assume(self, text: str) -> None:
        if text not in self.model.assumed:
            self.model.assumed.append(text)

    def _pool(self, pool: str, service: str) -> str:
        workers = self.facts["pools"][pool]["workers"]
        serving = sorted(n for n, w in workers.items() if not w["drained"] and w["weight"])
        machines = [self._common("worker", name) for name in serving]
        units = [
            self.model.every([machine, *self._place(name)])
            for name, machine in zip(serving, machines, strict=True)
        ]
        need = self.demands.of(service).workers
        part = self.model.every([*self._always(), self.model.gate(need, units)])
        if need == 1:
            self.model.routes[part] = tuple((machine,) for machine in machines)
        return part

    def _place(self, host: str) -> list[str]:
        """What a host falls with."""
        place = self.stack.places.get(host, Place())
        said = {"provider": place.provider, "site": place.site, "country": place.country}
        found = [
            self._common(kind, name or UNSAID)
            for kind, name in said.items()
            if name or self.doubtful or kind not in place.unknown
        ]
        found += [self._common("domain", domain) for domain in place.domains]
        found += [self._common("owner", place.owner)] if place.owner else []
        shared = (each.name for each in self.demands.shared if host in each.hosts)
        return found + [self._common("shared", name) for name in shared]

    def _always(self) -> list[str]:
        """Single in every fleet of this library."""
        return [
            self._common("software", SOFTWARE),
            self._common("pipeline", f"`up` of {self.name}"),
            self._common("credentials", f"deploy key of {self.name}"),
        ]

    def _naming(self, service: str) -> dict[str, str]:
        parts = {
            f"name {name}": self._name(name, facts)
            for name, facts in sorted(self.demands.names.items())
            if service in facts.services
        }
        authority = self.demands.of(service).certificates
        if authority is not None:
            parts["certificates"] = self._expiring("ca", authority)
        return parts

    def _name(self, name: str, facts: Name) -> str:
        always = [self._common("parent", name.rstrip(".").rpartition(".")[2])]
        always += [self._common("registrar", facts.registrar)] if facts.registrar else []
        always += [self._expiring("signer", facts.signer)] if facts.signer else []
        units = [
            self.model.every(
                [
                    self._common("operator", operator),
                    self.model.gate(1, [self._common("tld", tld) for tld in sorted(tlds)]),
                ]
            )
            for operator, tlds in sorted(facts.operators.items())
        ]
        return self.model.every([*always, self.model.gate(1, units)])

    def _expiring(self, kind: str, what: Expiring) -> str:
        return self.model.cause(Cause(kind, what.name, KINDS[kind].standing, what.bound))

    def _common(self, kind: str, name: str) -> str:
        """A cause as its kind stands."""
        return self.model.cause(Cause(kind, name, KINDS[kind].standing, KINDS[kind].because))


def _network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(str(cidr))


def _unreadable(name: str, cause: Exception) -> Problem:
    """Facts of another version, from a state that was applied with it."""
    return Problem(
        f"{name}.fleet",
        f"its facts cannot be read ({cause!r})",
        "facts as this version's AnycastEdge publishes them",
        "prove the plan, or apply with this version first",
        "facts-unreadable",
    )


def _accept(model: Model, stack: Stack, demands: Demands, today: date | None) -> Iterator[Problem]:
    for at, taken in enumerate(demands.accepted):
        known = model.causes.get(taken.cause)
        if known is None and _may_come(stack, taken.cause):
            got = f"there is no cause {taken.cause!r} before `up`"
            model.open.append(f"accepted[{at}].cause: {got}, and nothing is accepted for it")
        elif known is None:
            near = difflib.get_close_matches(taken.cause, sorted(model.causes), n=3, cutoff=0.3)
            yield Problem(
                f"accepted[{at}].cause",
                f"there is no cause {taken.cause!r}",
                f"a cause such as {', '.join(map(repr, near))}" if near else "",
                "write it as `loopback prove --json` names it, or take it out",
                "accepted-unknown",
            )
        elif today is not None and taken.until is not None and taken.until < today:
            # it counts as its kind does again; an operator is to hear why
            model.assumed.append(f"nobody accepts {known.title} since {taken.until}: counted again")
        else:
            accepted = Cause(known.kind, known.name, Standing.ACCEPTED, taken.because, taken.owner)
            model.causes[known.key] = accepted


def _may_come(stack: Stack, cause: str) -> bool:
    """Whether `up` may find a cause that the plan does not know."""
    kind, _, name = cause.partition(" ")
    late = {each for place in stack.places.values() for each in place.unknown}
    return bool(kind in KINDS and name and (stack.late or LATE.get(kind) in late))


def _check_services(stack: Stack, demands: Demands) -> Iterator[Problem]:
    known = {service for facts in stack.fleets.values() for service in facts["services"]}
    asked = [(f"services.{name}", name) for name in demands.services]
    asked += [
        (f"names.{name}.services", service)
        for name, facts in demands.names.items()
        for service in facts.services
    ]
    for path, service in asked:
        if service not in known:
            need = f"one of {', '.join(sorted(known))}" if known else ""
            got = f"there is no service {service!r}"
            yield Problem(path, got, need, "write the service's name", "service-unknown")


def _check_hosts(stack: Stack, demands: Demands) -> Iterator[Problem]:
    known = set(_machines(stack))
    for at, shared in enumerate(demands.shared):
        for host in shared.hosts:
            if host not in known:
                need = f"one of {', '.join(sorted(known))}" if known else ""
                got = f"there is no PoP or worker {host!r}"
                path = f"shared[{at}].hosts"
                yield Problem(path, got, need, "write the machine's name", "host-unknown")


def _machines(stack: Stack) -> Iterator[str]:
    for facts in stack.fleets.values():
        yield from facts["pops"]
        for pool in facts["pools"].values():
            yield from pool["workers"]


def _left_out(stack: Stack) -> Iterator[str]:
    if stack.late:
        yield f"{', '.join(stack.late)}: facts are not known before `up`, and left out"


def _alike(stack: Stack) -> Iterator[str]:
    """Suppliers whose names begin alike may be one."""
    first: dict[str, list[str]] = {}
    for provider in sorted({place.provider for place in stack.places.values() if place.provider}):
        first.setdefault(provider.split()[0], []).append(provider)
    for names in first.values():
        if len(names) > 1:
            yield f"{', '.join(names)} are taken as different providers"


def _unsaid(stack: Stack) -> Iterator[str]:
    """One line per field that some hosts do not declare, or that only `up` will know."""
    for said in SAID:
        missing = [
            host
            for host in sorted(set(_machines(stack)))
            if not getattr(stack.places.get(host, Place()), said)
        ]
        if missing:
            yield (
                f"{said} of {', '.join(missing)} is not declared or not known before `up`: taken "
                "as one and the same for all of them, and as none that others declare"
            )
    for host, place in stack.places.items():
        for late in sorted(set(place.unknown) - set(SAID)):
            yield f"{late} of {host} is not known before `up`, and left out"
