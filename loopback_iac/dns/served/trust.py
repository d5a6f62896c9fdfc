"""Which keys may sign a zone: those that its DS lead to, else those that its servers agree on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from loopback_iac.dns.served.message import Reply
from loopback_iac.dns.served.signatures import (
    COMPUTED,
    UNCHECKED,
    Keys,
    Served,
    matching_keys,
    prove_keys,
    why_unchecked,
)
from loopback_iac.dns.served.view import Finding, View, read_answer, read_refusal

BY_DS = "DS"
AGREED = "none: no DS is known; the keys are those that all servers asked agree on"
OWN = "none: no DS is known and servers disagree; each is held to its own keys"
NO_USABLE_DS = "none: no DS is of a kind that can be checked here; each server is held to its own"
UNPROVEN = "none: no DS names a key of any server; each is held to its own keys"
UNSIGNED = "the zone is not signed"


class Trust(NamedTuple):
    """Keys by server address and port; None: the zone is not signed."""

    how: str
    keys: Mapping[tuple[str, int], Keys] | None
    sets: Mapping[tuple[str, int], frozenset[bytes]]
    """The DNSKEY set of each server that gave one."""
    proven: frozenset[tuple[str, int]] = frozenset()
    """Servers whose set a trusted key signed, though that signature may have expired."""


def find_trust(
    zone: str, views: Sequence[View], ds: Iterable[bytes], *, signed: bool | None, now: int
) -> tuple[Trust, list[Finding]]:
    """Whose signatures count at each server.

    In: `ds`: those of the parent, or given by hand; `signed`: whether the zone is to be signed;
        None: it is when there is a DS, or any server has a key or a signature.
    """
    anchors = tuple(ds)
    seen = {place_of(view): _dnskey(view, zone) for view in views}
    held = {place: served for place, served in seen.items() if served is not None}
    if signed is None:
        signed = bool(anchors or held) or any(_has_signatures(view, zone) for view in views)
    sets = {place: frozenset(served.rdata) for place, served in held.items()}
    if not signed:
        return Trust(UNSIGNED, None, sets), []
    how, keys, proven = _choose(zone, held, anchors, now)
    found = []
    for view in views:
        place = place_of(view)
        if all(read_refusal(look.soa) for look in view.looks.values()):
            continue  # it is silent altogether, which says nothing of its keys
        if place not in held and signed and not held and not anchors:
            continue  # no server has any: said once, of the zone
        if place not in proven:
            why = "no DNSKEY" if place not in held else "a DNSKEY set that no trusted key signed"
            server = view.server
            need = "a DNSKEY set signed by a key of the DS" if how == BY_DS else "signed by itself"
            where = (str(server), server.place)
            found.append(Finding(*where, "dnskey-unproven", zone, "DNSKEY", why, need))
        found += _unchecked(zone, view, keys.get(place, keys.get(None, Keys(zone, ()))))
    if not held and not anchors:
        found.append(Finding("", "", "zone-unsigned", zone, "DNSKEY", "no keys", "a signed zone"))
    everywhere = {place: keys.get(place, keys.get(None, Keys(zone, ()))) for place in seen}
    return Trust(how, everywhere, sets, frozenset(proven)), found


def _unchecked(zone: str, view: View, keys: Keys) -> list[Finding]:
    """Said once of each server, and not of each record that such a key signed."""
    if not keys.unchecked:
        return []
    where = str(view.server), view.server.place
    return [Finding(*where, UNCHECKED, zone, "DNSKEY", keys.unchecked, f"a key of {COMPUTED}")]


def place_of(view: View) -> tuple[str, int]:
    """What tells servers apart."""
    return view.server.address, view.server.port


def _dnskey(view: View, zone: str) -> Served | None:
    for look in view.looks.values():
        found = read_answer(look.dnskey, (zone, "DNSKEY"))
        if isinstance(found, Served):
            return found
    return None


def _has_signatures(view: View, zone: str) -> bool:
    found = [read_answer(look.soa, (zone, "SOA")) for look in view.looks.values()]
    return any(isinstance(one, Served) and one.signatures for one in found)


_Keyed = dict[tuple[str, int] | None, Keys]


def _choose(
    zone: str, held: Mapping[tuple[str, int], Served], anchors: tuple[bytes, ...], now: int
) -> tuple[str, _Keyed, set[tuple[str, int]]]:
    """How, the keys by server (None: any other), and servers whose set is proven.

    A set whose signature has expired is its own server's alone: keys of it may be long retired.
    """
    usable = tuple(wire for wire in anchors if not why_unchecked(wire))
    if usable:
        proven: dict[tuple[str, int], Served] = {}
        late: dict[tuple[str, int], Served] = {}
        for place, served in held.items():
            entry = matching_keys(zone, usable, served.rdata)
            seal, _ = prove_keys(zone, served, entry, now)
            if entry and not seal.is_altered:
                (late if seal.rule else proven)[place] = served
        if proven or late:
            wires = {wire for served in proven.values() for wire in served.rdata}
            anchored: _Keyed = {None: Keys(zone, sorted(wires))}
            for place, served in late.items():
                anchored[place] = Keys(zone, sorted(wires | set(served.rdata)))
            return BY_DS, anchored, {*proven, *late}
    own = {place: prove_keys(zone, served, None, now) for place, served in held.items()}
    sealed = {place for place, (seal, _) in own.items() if not seal.is_altered}
    if not anchors and len({served.rdata for served in held.values()}) == 1:
        return AGREED, {None: next(iter(own.values()))[1]}, sealed
    keyed: _Keyed = {place: keys for place, (_, keys) in own.items()}
    if anchors and not usable:
        return NO_USABLE_DS, keyed, sealed
    return (UNPROVEN if anchors else OWN), keyed, sealed


def read_ds(reply: Reply | None, zone: str) -> tuple[bytes, ...]:
    """The DS that a parent answers; none when it answers none."""
    found = read_answer(reply, (zone, "DS"))
    return found.rdata if isinstance(found, Served) else ()
