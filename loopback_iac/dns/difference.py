"""What changes between two zones, RRset by RRset.

The SOA's serial is the server's business and is no change. Data is compared as octets, so case,
order and spelling of a value make none either.
"""

from dataclasses import dataclass
from enum import Enum

from loopback_iac.dns import names
from loopback_iac.dns.rdata import render_rdata
from loopback_iac.dns.zone import Key, RRset, Zone


class Kind(Enum):
    """How an RRset changes; `VALUES` may change the TTL as well."""

    ADDED = "added"
    REMOVED = "removed"
    TTL = "ttl"
    VALUES = "values"


@dataclass(frozen=True)
class Change:
    """One RRset that is not what it was; `old` and `new` are None where there is none."""

    kind: Kind
    old: RRset | None
    new: RRset | None

    @property
    def rrset(self) -> RRset:
        """The new one, or the one that goes."""
        found = self.new or self.old
        assert found is not None  # noqa: S101  # one of them is there
        return found

    @property
    def removed(self) -> tuple[bytes, ...]:
        """Data that goes."""
        kept = set(self.new.rdata) if self.new else set()
        return tuple(wire for wire in (self.old.rdata if self.old else ()) if wire not in kept)

    @property
    def added(self) -> tuple[bytes, ...]:
        """Data that comes."""
        had = set(self.old.rdata) if self.old else set()
        return tuple(wire for wire in (self.new.rdata if self.new else ()) if wire not in had)


@dataclass(frozen=True)
class Difference:
    """All changes of one zone, in its order; the zones they lead from and to."""

    old: Zone
    new: Zone
    changes: tuple[Change, ...]

    def counts(self) -> dict[str, int]:
        """How many RRsets change, by kind; kinds without any are left out."""
        found = {kind.value: sum(1 for c in self.changes if c.kind is kind) for kind in Kind}
        return {kind: count for kind, count in found.items() if count}


def difference(old: Zone, new: Zone) -> Difference:
    """What is to change to get from one zone to another.

    In: two zones; of one name, or everything is removed and added. A SOA that one of them leaves to
        its server is no change.
    """
    before, after = _keyed(old), _keyed(new)
    soa = (new.name, "SOA")
    if soa not in before or soa not in after:  # who declares none leaves it to the server
        before.pop(soa, None)
        after.pop(soa, None)
    changes = [
        Change(_kind(before.get(key), after.get(key)), before.get(key), after.get(key))
        for key in before.keys() | after.keys()
        if not _same(before.get(key), after.get(key))
    ]
    return Difference(old, new, tuple(sorted(changes, key=_place)))


def render_difference(found: Difference) -> str:
    """The changes as lines: + comes, - goes, ~ changes its TTL.

    Out: final newline; nothing for no change.
    """
    lines: list[str] = []
    for change in found.changes:
        owner, kind = change.rrset.key
        if change.kind is Kind.TTL or (change.old and change.new and _ttl_changes(change)):
            assert change.old and change.new  # noqa: S101, PT018  # both are there
            lines.append(f"~ {owner} {kind} TTL {change.old.ttl_s} => {change.new.ttl_s}")
        for sign, side, wires in (
            ("-", change.old, change.removed),
            ("+", change.new, change.added),
        ):
            if side is not None:
                lines += [
                    f"{sign} {owner} {side.ttl_s} {kind} {render_rdata(kind, wire)}"
                    for wire in wires
                ]
    return "".join(f"{line}\n" for line in lines)


def _ttl_changes(change: Change) -> bool:
    return bool(change.old and change.new and change.old.ttl_s != change.new.ttl_s)


def _keyed(zone: Zone) -> dict[Key, RRset]:
    return {(rrset.owner, rrset.type): rrset for rrset in zone.rrsets}


def _same(old: RRset | None, new: RRset | None) -> bool:
    if old == new:
        return True
    if old is None or new is None or old.type != "SOA" or old.ttl_s != new.ttl_s:
        return False
    return list(map(_without_serial, old.rdata)) == list(map(_without_serial, new.rdata))


def _without_serial(wire: bytes) -> tuple[bytes, bytes]:
    return wire[:-20], wire[-16:]


def _kind(old: RRset | None, new: RRset | None) -> Kind:
    if old is None:
        return Kind.ADDED
    if new is None:
        return Kind.REMOVED
    return Kind.TTL if old.rdata == new.rdata else Kind.VALUES


def _place(change: Change) -> tuple[tuple[str, ...], str]:
    return names.order(change.rrset.owner), change.rrset.type
