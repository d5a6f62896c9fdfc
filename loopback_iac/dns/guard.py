"""The change guard: what is dangerous about a difference, and what was acknowledged of it.

Each danger is acknowledged by itself, in code, in words that name it: there is no force that
switches all of them off. An acknowledgement ends in a digest of what it is about, so that one that
stays in the code does not let the next change pass.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from loopback_iac.dns.difference import Change, Difference, Kind
from loopback_iac.model.problem import Problem

MAX_SHARE_PERCENT = 30
"""Of a zone's RRsets that one change may alter or remove."""
FLOOR = 3
"""RRsets that may always change: in a zone of five, two are 40 %."""
MAX_LISTED = 10
"""Dangers of one class that are acknowledged name by name; more of them, by their count."""
ADDRESSES = ("A", "AAAA")


class Danger(Enum):
    """Why a change is looked at twice; the value stands in acknowledgements."""

    APEX_NS = "apex-ns"
    DS = "ds"
    DNSKEY = "dnskey"
    LAST_ADDRESS = "last-address"
    MX = "mx"
    CAA = "caa"
    DELETE = "delete"
    SHARE = "share"


# RFC 8659 3 and 4.2: the first CAA of a name takes the place of those above it, and forbids all
# authorities that it does not name; each one more allows another
_ALWAYS = {"CAA": Danger.CAA, "DS": Danger.DS, "DNSKEY": Danger.DNSKEY}
HARM = {
    Danger.APEX_NS: "resolvers ask whoever stands here; a wrong name takes the zone away",
    Danger.DS: "a DS that fits no key makes every answer bogus",
    Danger.DNSKEY: "a key that is missed makes every answer bogus",
    Danger.LAST_ADDRESS: "the name has no address afterwards",
    Danger.MX: "mail goes elsewhere, or nowhere",
    Danger.CAA: "who may issue certificates for it and for what is below it changes",
    Danger.DELETE: "the records are gone",
    Danger.SHARE: "much of the zone changes at once",
}


@dataclass(frozen=True, order=True)
class Risk:
    """One dangerous part of a change, and the words that acknowledge it."""

    danger: str
    subject: str
    got: str
    digest: str
    """Of the data before and after."""

    @property
    def acknowledgement(self) -> str:
        """What to write to have it done; it fits this very change and no other."""
        return f"{self.danger} {self.subject} {self.digest}"


def find_risks(found: Difference, max_share_percent: float = MAX_SHARE_PERCENT) -> tuple[Risk, ...]:
    """Every dangerous part of a difference, in order; many of a class are one, by their count."""
    if not found.old.rrsets:
        return ()  # a zone that is new takes nothing from anybody
    single = [risk for change in found.changes for risk in _risks(found, change)]
    folded: list[Risk] = []
    for danger in Danger:
        same = [risk for risk in single if risk.danger == danger.value]
        if len(same) > MAX_LISTED:
            names = ", ".join(risk.subject for risk in same[:MAX_LISTED])
            folded.append(
                Risk(
                    danger.value,
                    f"x{len(same)}",
                    f"{len(same)} of them: {names} and others",
                    _digest(risk.acknowledgement for risk in same),
                )
            )
        else:
            folded += same
    return (*folded, *_share(found, max_share_percent))


def check_change(
    found: Difference,
    acknowledged: Collection[str] = (),
    max_share_percent: float = MAX_SHARE_PERCENT,
) -> tuple[Problem, ...]:
    """Dangers of a change that nobody acknowledged.

    In: what was acknowledged, each as the fix of its problem says; how many percent of the RRsets
        may change or go without that.
    Out: problems; none when every danger was seen by somebody.
    """
    risks = find_risks(found, max_share_percent)
    return tuple(
        Problem(
            f"{found.new.name} {risk.subject}" if risk.danger == "share" else risk.subject,
            f"{risk.got}: {HARM[Danger(risk.danger)]}",
            "an acknowledgement of its own",
            f'acknowledge "{risk.acknowledgement}", or take the change back',
            f"change-{risk.danger}",
        )
        for risk in risks
        if risk.acknowledgement not in acknowledged
    )


def _risks(found: Difference, change: Change) -> Iterator[Risk]:
    rrset = change.rrset
    danger = _danger(found, change)
    if danger is None:
        return
    sides = (change.old, change.new)
    digest = _digest(repr((side.rdata, side.ttl_s)) if side else "" for side in sides)
    if danger in (Danger.APEX_NS, Danger.DS, Danger.DNSKEY, Danger.MX, Danger.CAA):
        got = _told(change)
    else:
        got = f"removes {', '.join(_values(change))}"
    yield Risk(danger.value, f"{rrset.owner} {rrset.type}", got, digest)


def _danger(found: Difference, change: Change) -> Danger | None:
    """The one danger that names a change best."""
    rrset, gone = change.rrset, change.kind is Kind.REMOVED
    alters = change.kind is not Kind.TTL
    if rrset.type == "NS" and rrset.owner == found.old.name:
        return Danger.APEX_NS if alters else None
    if rrset.type in _ALWAYS:
        return _ALWAYS[rrset.type] if alters else None
    if rrset.type == "MX" and alters and _moves_mail(found, change):
        return Danger.MX
    if rrset.type in ADDRESSES and gone and _last(found, change):
        return Danger.LAST_ADDRESS
    return Danger.DELETE if gone else None


def _moves_mail(found: Difference, change: Change) -> bool:
    """Whether mail that was taken somewhere goes elsewhere; one more host for bad days moves none.

    A name without MX has its mail at its own address, or at that of its alias, until its first MX.
    Sources: RFC 5321 5.1 (preferences, and the implicit MX), RFC 7505 3 (a null MX ends it).
    """
    if change.old:
        best = min(wire[:2] for wire in change.old.rdata)
        return bool(change.removed) or any(wire[:2] <= best for wire in change.added)
    return bool(found.old.by_owner.get(change.rrset.owner, {}).keys() & {*ADDRESSES, "CNAME"})


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _last(found: Difference, change: Change) -> bool:
    """Whether a name that had addresses has none afterwards."""
    left = found.new.by_owner.get(change.rrset.owner, {})
    return not any(kind in left for kind in (*ADDRESSES, "CNAME"))


def _share(found: Difference, max_share_percent: float) -> Iterator[Risk]:
    touched = sum(1 for c in found.changes if c.kind is not Kind.ADDED)
    existing = len(found.old.rrsets)
    if touched > max(FLOOR, existing * max_share_percent / 100):
        got = f"{touched} of {existing} RRsets change or go"
        whole = (repr((c.old, c.new)) for c in found.changes)
        yield Risk(Danger.SHARE.value, f"{touched}/{existing}", got, _digest(whole))


def _values(change: Change) -> list[str]:
    side = change.old
    gone = set(change.removed)
    if side is None:
        return []
    return [text for text, wire in zip(side.values(), side.rdata, strict=True) if wire in gone]


def _told(change: Change) -> str:
    match change.kind:
        case Kind.ADDED:
            return f"adds {', '.join(change.rrset.values())}"
        case Kind.REMOVED:
            return f"removes {', '.join(_values(change))}"
        case _:
            assert change.old is not None  # noqa: S101  # neither added nor removed
            return f"{', '.join(change.old.values())} => {', '.join(change.rrset.values())}"
