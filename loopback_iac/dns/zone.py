"""A zone as a value: RRsets in the order of DNSSEC, their data as the octets that are compared.

Data is kept in canonical wire form (RFC 4034 6.2), so that equal data is equal, a set sorts as a
signer sorts it, and what a server answers can be compared without any text in between. RRset is a
tuple because a hundred thousand of them are made at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from loopback_iac.dns import names
from loopback_iac.dns.rdata import render_rdata
from loopback_iac.dns.refusal import Refusal

Key = tuple[str, str]
"""Owner and type."""
Found = Mapping[Key, tuple[int, Iterable[bytes]]]
"""TTL and data by owner and type, in any order."""
DEFAULT_TTL_S = 3600
MAX_TTL_S = 2**31 - 1  # RFC 2181 8


class RRset(NamedTuple):
    """All records of one owner and type; owner is absolute, rdata sorted and without doubles."""

    owner: str
    type: str
    ttl_s: int
    rdata: tuple[bytes, ...]

    @property
    def key(self) -> Key:
        """Owner and type."""
        return self.owner, self.type

    def values(self) -> list[str]:
        """Presentation form of each record, names absolute."""
        return [render_rdata(self.type, wire) for wire in self.rdata]


@dataclass(frozen=True)
class Zone:
    """One zone of class IN; `make_zone` puts the RRsets in order."""

    name: str
    default_ttl_s: int
    rrsets: tuple[RRset, ...]

    @cached_property
    def by_owner(self) -> dict[str, dict[str, RRset]]:
        """Owner -> type -> RRset, owners in the order of the zone."""
        found: dict[str, dict[str, RRset]] = {}
        for rrset in self.rrsets:
            found.setdefault(rrset.owner, {})[rrset.type] = rrset
        return found

    @cached_property
    def by_type(self) -> dict[str, list[RRset]]:
        """Type -> RRsets, in the order of the zone."""
        found: dict[str, list[RRset]] = {}
        for rrset in self.rrsets:
            found.setdefault(rrset.type, []).append(rrset)
        return found

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that exists: owners and what stands empty between them and the zone."""
        found = {self.name}
        for owner in self.by_owner:
            here = owner
            while here not in found:
                found.add(here)
                here = names.parent(here)
        return frozenset(found)

    @cached_property
    def cuts(self) -> frozenset[str]:
        """Names below which others answer: delegations (RFC 1034 4.2.1)."""
        return frozenset(r.owner for r in self.rrsets if r.type == "NS" and r.owner != self.name)

    def rrset(self, owner: str, kind: str) -> RRset | None:
        """The records of one owner and type."""
        return self.by_owner.get(owner, {}).get(kind)

    def cut_above(self, name: str) -> str | None:
        """The delegation that a name stands strictly below, if any."""
        if not self.cuts:
            return None
        here = name
        while here != self.name and names.is_within(here, self.name):
            here = names.parent(here)
            if here in self.cuts:
                return here
        return None


def make_zone(name: str, default_ttl_s: int, found: Found) -> Zone:
    """A zone of what was found, in order.

    In: `name` and owners as `names.parse_name` leaves them, data as `rdata.parse_rdata` does.
    """
    order = names.order
    ordered = sorted(
        ((order(key[0]), key[1], key[0], entry) for key, entry in found.items()),
        key=_place,
    )
    rrsets = tuple(
        RRset(owner, kind, ttl_s, tuple(sorted(set(data))))
        for _, kind, owner, (ttl_s, data) in ordered
    )
    return Zone(name, default_ttl_s, rrsets)


def _place(entry: tuple[tuple[str, ...], str, str, object]) -> tuple[tuple[str, ...], bool, str]:
    """SOA first among the types of a name: zone files begin with it."""
    return entry[0], entry[1] != "SOA", entry[1]


def check_ttl(ttl_s: int) -> int:
    """A TTL within its range.

    Raises: Refusal.
    """
    if not 0 <= ttl_s <= MAX_TTL_S:
        raise Refusal(
            "ttl-range",
            f"{ttl_s} is no TTL",
            f"0 to {MAX_TTL_S} seconds (RFC 2181 8)",
            "write seconds in that range",
        )
    return ttl_s
