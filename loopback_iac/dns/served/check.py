"""All servers of a zone, held against what is declared: findings, and a verdict on each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from loopback_iac.dns.check_structure import SIGNERS, soa_times
from loopback_iac.dns.served.check_parent import check_cds, check_ds, check_parent, parent_ds
from loopback_iac.dns.served.check_server import Sighting, look_at
from loopback_iac.dns.served.judge import Measure, shown_values
from loopback_iac.dns.served.rules import (
    DIVERGED,
    EQUAL,
    FAULTY,
    LAGGING,
    RULES,
    TAMPERED,
    UNREACHABLE,
)
from loopback_iac.dns.served.signatures import Served
from loopback_iac.dns.served.trust import Trust, find_trust, place_of
from loopback_iac.dns.served.view import (
    TRANSFER,
    Finding,
    ParentView,
    Server,
    View,
    is_older,
    read_answer,
    unasked_servers,
)
from loopback_iac.dns.zone import Key, RRset, Zone

DECLARED, OTHER = "declared", "other"


class Expected(NamedTuple):
    """What servers are held to."""

    zone: Zone
    now: int
    """Seconds since the epoch."""
    ds: tuple[bytes, ...] = ()
    """Trusted beside those of the parent."""
    signed: bool | None = None
    """None: it is when any server, or the parent, says so."""
    earlier: tuple[tuple[str, Zone], ...] = ()
    """States that the zone had, each with its title."""
    updated: tuple[str, ...] = ()
    """Types that dynamic updates bring; of them servers are held to each other."""
    signer_ds: tuple[bytes, ...] = ()
    """Of keys that the signer has: trusted as well, and not held to what a parent has."""


@dataclass(frozen=True)
class Verdict:
    """One server."""

    server: Server
    verdict: str
    serial: int | None
    nsid: str
    transports: Mapping[str, str]
    """"answers", or why not."""
    content: str
    """"declared", the title of an earlier state, or "other"."""
    extra: str
    """How records that nobody declared were looked for; or why they were not."""
    zonemd: str
    signatures: int
    expires: int
    """When the first of its signatures does, or did; 0: none was seen."""


@dataclass(frozen=True)
class Report:
    """What a look at all servers came to."""

    zone: str
    checked_at: int
    trust: str
    newest: int | None
    servers: tuple[Verdict, ...]
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...] = field(default=())

    @property
    def equal(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def check_served(
    expected: Expected, views: Sequence[View], parent: ParentView | None = None
) -> Report:
    """Hold what servers were seen to say against the declared zone.

    Out: the same report for the same views, whatever their order.
    """
    zone, now = expected.zone, expected.now
    views = sorted(views, key=lambda view: view.server)
    found: list[Finding] = []
    ds = expected.ds
    if parent is not None:
        theirs, silent = parent_ds(parent, zone.name)
        ds = tuple(sorted({*ds, *theirs}))
        found += [silent] if silent else check_parent(zone, parent)
    trust, unproven = find_trust(
        zone.name, views, (*ds, *expected.signer_ds), signed=expected.signed, now=now
    )
    found += unproven
    sightings = []
    for view in views:
        keys = None if trust.keys is None else trust.keys[place_of(view)]
        sightings.append(look_at(view, Measure(zone, keys, now, updated=expected.updated)))
    unread = []
    if any(sight.serials for sight in sightings):
        found += check_ds(zone.name, ds, parent, trust)
    elif ds:
        unread = ["no server answered: whether a DS names a key of the zone"]
    newest = _newest(sightings)
    for view, sight in zip(views, sightings, strict=True):
        found += sight.findings
        if trust.keys is not None:
            found += check_cds(zone.name, view, ds, trust)
            found += _check_life(zone, view, sight)
        found += _check_serial(view, sight, newest, zone.name)
    found += _check_key_sets(zone.name, views, sightings, trust, newest)
    found += _check_updated(views, sightings, newest)
    merged = tuple(sorted(_merged(found)))
    verdicts = tuple(
        _verdict(expected, view, sight, merged)
        for view, sight in zip(views, sightings, strict=True)
    )
    unread += [*_unknown(views, sightings), *_unasked(zone, views, parent)]
    unknown = tuple(sorted(set(unread)))
    return Report(zone.name, now, trust.how, newest, verdicts, merged, unknown)


def _merged(found: Iterable[Finding]) -> Iterator[Finding]:
    """The same seen on several ways is one finding."""
    ways: dict[Finding, set[str]] = {}
    for one in found:
        ways.setdefault(replace(one, by=()), set()).update(one.by)
    for one, by in ways.items():
        yield replace(one, by=tuple(sorted(by)))


def _newest(sightings: Iterable[Sighting]) -> int | None:
    """The newest serial that a key of the zone signed, or any where none signs."""
    newest: int | None = None
    for sight in sightings:
        for serial in sorted(sight.sealed_serials):
            if newest is None or is_older(newest, serial):
                newest = serial
    return newest


def _check_serial(view: View, sight: Sighting, newest: int | None, zone: str) -> Iterator[Finding]:
    for way, serial in sight.serials.items():
        if newest is not None and is_older(serial, newest):
            where = str(view.server), view.server.place
            texts = f"serial {serial}", f"serial {newest}"
            yield Finding(*where, "serial-behind", zone, "SOA", *texts, (way,))


def _check_life(zone: Zone, view: View, sight: Sighting) -> Iterator[Finding]:
    """Whether what a secondary keeps serving is signed until it gives up."""
    looks = (read_answer(look.soa, (zone.name, "SOA")) for look in view.looks.values())
    soa = next((found for found in looks if isinstance(found, Served)), None)
    if soa is None or not sight.first:
        return
    expires, (owner, kind) = sight.first
    expire_s = soa_times(RRset(zone.name, "SOA", soa.ttl_s, soa.rdata))[2]
    if sight.now <= expires < sight.now + expire_s:
        where = str(view.server), view.server.place
        got = f"a signature ends at {expires}"
        need = f"more life than the SOA's expire of {expire_s} s"
        yield Finding(*where, "signature-life", owner, kind, got, need)


def _check_key_sets(
    zone: str, views: Sequence[View], sights: Sequence[Sighting], trust: Trust, newest: int | None
) -> Iterator[Finding]:
    current = {
        place_of(view): view.server
        for view, sight in zip(views, sights, strict=True)
        if newest in sight.serials.values() and place_of(view) in trust.proven
    }
    sets = [trust.sets[place] for place in current]
    if len(set(sets)) <= 1:
        return
    most = max(sorted(set(sets), key=sorted), key=sets.count)
    alone = sets.count(most) > len(sets) / 2
    for place, server in current.items():
        if not alone or trust.sets[place] != most:
            got = f"{len(trust.sets[place])} keys, {len(trust.sets[place] ^ most)} unlike others'"
            where = str(server), server.place
            yield Finding(*where, "dnskey-differs", zone, "DNSKEY", got, "one set everywhere")


def _check_updated(
    views: Sequence[View], sights: Sequence[Sighting], newest: int | None
) -> Iterator[Finding]:
    """What nobody declared can only be held to what others have of the same serial."""
    seen = [
        (view.server, sight.updated)
        for view, sight in zip(views, sights, strict=True)
        if sight.updated is not None and newest in sight.serials.values()
    ]
    held = [content for _, content in seen]
    most = max(held, key=held.count, default={})
    alone = held.count(most) > len(held) / 2
    for server, content in seen:
        other = most if alone else next((one for one in held if one != content), content)
        differing = [k for k in content.keys() | other.keys() if content.get(k) != other.get(k)]
        if differing:
            key = min(differing)
            got, need = (_told(key, one.get(key)) for one in (content, other))
            where = str(server), server.place, "updated-differs"
            yield Finding(*where, *key, got, f"{need}, as another of this serial has it")


def _told(key: Key, found: tuple[int, tuple[bytes, ...]] | None) -> str:
    return f"TTL {found[0]}: {shown_values(key[1], found[1])}" if found else "nothing"


def _verdict(
    expected: Expected,
    view: View,
    sight: Sighting,
    found: Sequence[Finding],
) -> Verdict:
    server = view.server
    own = [one for one in found if (one.server, one.address) == (str(server), server.place)]
    rules = {RULES[one.rule].verdict for one in own}
    data = any(one.rule.startswith("rrset-") for one in own)
    content = _content(expected, sight, differs=data)
    if all(why for why in sight.transports.values()):
        verdict = UNREACHABLE
    elif TAMPERED in rules:
        verdict = TAMPERED
    elif LAGGING in rules:
        known = expected.earlier and not sight.signed and TRANSFER in sight.serials
        verdict = DIVERGED if known and content == OTHER else LAGGING
    elif DIVERGED in rules:
        verdict = DIVERGED
    else:
        verdict = FAULTY if rules else EQUAL
    serial = next(iter(sight.serials.values()), None)
    told = {way: why or "answers" for way, why in sight.transports.items()}
    return Verdict(
        server,
        verdict,
        serial,
        sight.nsid,
        told,
        content if sight.serials else "unknown",
        sight.extra,
        sight.zonemd,
        sight.signatures,
        _first_end(sight),
    )


def _first_end(sight: Sighting) -> int:
    """One that has expired did so before any that holds; 0: no signature was seen."""
    held = sight.first[0] if sight.first else 0
    return held if sight.ended is None else sight.ended


def _content(expected: Expected, sight: Sighting, *, differs: bool) -> str:
    if not differs:
        return DECLARED
    if sight.content is not None:
        for title, zone in expected.earlier:
            if contents(zone) == sight.content:
                return title
    return OTHER


def contents(zone: Zone) -> dict[Key, tuple[int, tuple[bytes, ...]]]:
    """What a zone holds, without the SOA and what a signer makes."""
    return {
        rrset.key: (rrset.ttl_s, rrset.rdata)
        for rrset in zone.rrsets
        if rrset.type not in SIGNERS and rrset.key != (zone.name, "SOA")
    }


def _unknown(views: Sequence[View], sights: Sequence[Sighting]) -> Iterator[str]:
    for view, sight in zip(views, sights, strict=True):
        for what in sight.unknown:
            yield f"{view.server} {view.server.place}: {what}"


def _unasked(zone: Zone, views: Sequence[View], parent: ParentView | None) -> Iterator[str]:
    servers = zone.rrset(zone.name, "NS")
    for server in unasked_servers(servers.rdata if servers else (), views):
        yield f"{server} is a name server of the zone, and no server of that name was asked"
    if parent is None:
        yield "the parent was not asked: its NS, glue and DS are not known"
