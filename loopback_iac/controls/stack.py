"""The stack a control looks at: resources with their plain facts, and what several controls ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from loopback_iac.controls.result import Finding, Outcome
from loopback_iac.controls.tree import ABSENT, UNKNOWN, Counted, Tree, UndecidedError, at, need
from loopback_iac.proof import EDGE, HOSTS, PLANNED, read_stack
from loopback_iac.proof import Stack as Places

if TYPE_CHECKING:
    from datetime import date

NAME_SERVICE = "loopback-iac:index:HiddenPrimary"
CONVERGED = tuple(
    f"loopback-iac:index:{kind}"
    for kind in (
        *("EdgePop", "Worker", "PrimaryHost", "NameServerHost", "NsdHost"),
        *("FailoverMember", "FailoverArbiter"),
    )
)
EDGE_POP = CONVERGED[0]


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. `facts` are its inputs or outputs, with what is not known yet as such."""

    kind: str
    name: str
    facts: Tree
    urn: str = ""
    protect: bool = False
    delete_before_replace: bool = False
    secrets_told: bool = False
    """Whether `facts` show which of their values are secrets."""

    @property
    def label(self) -> str:
        """How findings call it where nothing else tells it apart."""
        return self.urn or self.name


@dataclass(frozen=True)
class Stack:
    """All resources of one stack."""

    resources: tuple[Resource, ...]
    today: date | None = None
    """On which acceptances still hold; none given: they all do."""
    _kinds: dict[str, list[Resource]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Resources are asked for by kind, by every control anew."""
        for resource in self.resources:
            self._kinds.setdefault(resource.kind, []).append(resource)

    def of(self, *kinds: str) -> Iterator[Resource]:
        """Resources of these kinds, in their order in the stack."""
        for kind in kinds:
            yield from self._kinds.get(kind, ())

    def kinds(self) -> Iterable[str]:
        """Every kind there is."""
        return self._kinds

    @property
    def fleets(self) -> Iterator[tuple[Resource, Tree]]:
        """
        Fleets with their published facts.

        Raises: UndecidedError when the facts are not known yet.
        """
        for edge in self.of(EDGE):
            fleet = need(edge.facts, "fleet")
            if isinstance(fleet, Mapping):
                yield edge, fleet

    @cached_property
    def places(self) -> Places:
        """Where machines stand and whose they are, by the name of host, PoP and worker alike."""
        return read_stack(
            {"type": r.kind, "name": r.name, "inputs": planned(r.facts)}
            for r in self.of(EDGE, *HOSTS)
        )

    def said(self, field_name: str, hosts: Iterable[str]) -> Counted:
        """Different values that machines say of one fact; who says nothing adds nothing."""
        values: set[str] = set()
        late: list[str] = []
        for host in hosts:
            place = self.places.places.get(host)
            if place is None:
                continue
            if field_name in place.unknown:
                late.append(f"{field_name} of {host}")
            elif text := getattr(place, field_name):
                values.add(text)
        return Counted(frozenset(values), tuple(late))


def planned(tree: Any) -> Any:  # noqa: ANN401  # any tree of JSON
    """A tree as plans of our engine write it, which is what the proof reads."""
    found = at(tree)
    if found is UNKNOWN:
        return PLANNED
    if found is ABSENT:
        return None
    if isinstance(found, Mapping):
        return {key: planned(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [planned(value) for value in found]
    return found


def passed(resource: Resource, subject: str = "") -> Finding:
    """It holds."""
    return Finding(Outcome.PASS, "", resource.label, resource.name, subject)


def failed(resource: Resource, text: str, subject: str = "") -> Finding:
    """It does not; `text` says why without a value that might be secret."""
    return Finding(Outcome.FAIL, text, resource.label, resource.name, subject)


def unsure(resource: Resource, late: Iterable[str], subject: str = "") -> Finding:
    """What decides is not known yet."""
    text = f"not known here: {', '.join(late)}"
    return Finding(Outcome.OPEN, text, resource.label, resource.name, subject)


def inapplicable(reason: str) -> Finding:
    """There is nothing it is about, and why."""
    return Finding(Outcome.NOT_APPLICABLE, reason)


def settled(resource: Resource, subject: str, look: Callable[[], Finding]) -> Finding:
    """What `look` finds, or that it cannot tell yet; what comes after is looked at all the same."""
    try:
        return look()
    except UndecidedError as cause:
        return unsure(resource, [f"{cause.path} of {subject}"], subject)


def judge(resource: Resource, found: Counted, count: int, text: str, subject: str = "") -> Finding:
    """At least so many different values; those not known yet decide only where they can."""
    match found.reaches(count):
        case True:
            return passed(resource, subject)
        case False:
            return failed(resource, text, subject)
        case _:
            return unsure(resource, found.late, subject)
