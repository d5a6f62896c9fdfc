"""One server, held against what is declared: everything that can be told without the others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from loopback_iac.dns import names
from loopback_iac.dns.check_structure import SIGNERS
from loopback_iac.dns.served.denial import UNPROVEN, find_cuts, find_promised
from loopback_iac.dns.served.judge import (
    Lack,
    Measure,
    judge_reply,
    judge_served,
    shown,
)
from loopback_iac.dns.served.message import Message, Record, Reply, Silence
from loopback_iac.dns.served.signatures import EXPIRED, WRONG, Seal, Served, group_records
from loopback_iac.dns.served.view import (
    MISSING_TYPE,
    TCP,
    TRANSFER,
    WALK,
    Finding,
    View,
    can_be_asked,
    missing_name,
    read_answer,
    serial_of,
)
from loopback_iac.dns.served.zonemd import HOLDS, UNKNOWN, check_zonemd
from loopback_iac.dns.zone import Key

Content = dict[Key, tuple[int, tuple[bytes, ...]]]


@dataclass
class Sighting:
    """What was found at one server, gathered while it is looked through."""

    view: View
    measure: Measure
    serials: dict[str, int] = field(default_factory=dict)
    sealed_serials: set[int] = field(default_factory=set)
    """Those that the zone's keys signed, or that nobody signs."""
    transports: dict[str, str] = field(default_factory=dict)
    nsid: str = ""
    findings: list[Finding] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    extra: str = ""
    zonemd: str = UNKNOWN
    signatures: int = 0
    first: tuple[int, Key] | None = None
    """Of those that hold, the one that ends first."""
    ended: int | None = None
    """When the first of those that have expired did."""
    content: Content | None = None
    updated: Content | None = None
    """What dynamic updates brought; None: nobody looked for what is not declared."""

    @property
    def now(self) -> int:
        """When it was looked at."""
        return self.measure.now

    @property
    def signed(self) -> bool:
        """Whether its zone is to be signed."""
        return self.measure.keys is not None

    def tell(self, way: str, key: Key, lacks: list[Lack]) -> None:
        """Keep what an RRset lacks."""
        server = self.view.server
        self.findings += [
            Finding(str(server), server.place, one.rule, *key, one.got, one.need, (way,))
            for one in lacks
        ]

    def seen(self, key: Key, found: Served) -> list[Lack]:
        """Judge an RRset, and remember how long its signature holds."""
        lacks, seal = judge_served(self.measure, key, found)
        self.sealed(key, seal)
        return lacks

    def number(self, way: str, soa: Served) -> None:
        """Remember a serial, and whether it counts for others: anybody can make one up."""
        self.serials[way] = serial = int.from_bytes(soa.rdata[0][-20:-16])
        keys = self.measure.keys
        key = self.measure.zone.name, "SOA"
        if keys is None or not keys.check(*key, soa, self.now).is_altered:
            self.sealed_serials.add(serial)

    def bring(self, key: Key, found: Served) -> None:
        """Remember what came by update."""
        if self.updated is not None and key[1] in self.measure.updated:
            self.updated[key] = found.ttl_s, found.rdata

    def sealed(self, key: Key, seal: Seal) -> None:
        """Remember how long a signature holds, or since when it does not."""
        if seal.rule == EXPIRED and (self.ended is None or seal.expires < self.ended):
            self.ended = seal.expires
        if seal.expires and not seal.rule:
            self.signatures += 1
            if self.first is None or (seal.expires, key) < self.first:
                self.first = seal.expires, key


def look_at(view: View, measure: Measure) -> Sighting:
    """Everything about one server that needs no other."""
    sight = Sighting(view, measure)
    _look_at_transports(sight)
    if view.moved:
        need = "one serial from begin to end"
        sight.tell("", (measure.zone.name, "SOA"), [Lack("moving", "it changed each time", need)])
    for key, reply in sorted(view.answers.items()):
        _look_at_answer(sight, view.asked_by, key, reply)
    for key, reply in sorted(view.again.items()):
        _look_at_answer(sight, TCP, key, reply)
    if isinstance(view.transfer, tuple):
        _look_at_transfer(sight, view.transfer)
    else:
        _look_at_walk(sight)
        if view.transfer is not None:
            why = f"no transfer ({view.transfer.why})"
            sight.unknown.append(f"{why}: ZONEMD, and addresses below delegations, are not known")
            # without answers a transfer was all that would have shown the zone
            if view.keyed or not view.answers:
                lack = Lack("transfer-refused", view.transfer.why, "a transfer of the zone")
                sight.tell("", (measure.zone.name, "AXFR"), [lack])
    return sight


def _look_at_transports(sight: Sighting) -> None:
    zone = sight.measure.zone.name
    for way, look in sight.view.looks.items():
        soa = read_answer(look.soa, (zone, "SOA"))
        if soa is None or (isinstance(soa, Served) and serial_of(look.soa, zone) is None):
            soa = Silence("it has no SOA of the zone")
        sight.transports[way] = soa.why if isinstance(soa, Silence) else ""
        if isinstance(soa, Silence):
            sight.tell(way, (zone, "SOA"), [Lack(f"{way}-silent", soa.why, "an answer")])
            continue
        sight.number(way, soa)
        _look_at_nsid(sight, way, look.soa)
        for kind, reply in (("SOA", look.soa), ("DNSKEY", look.dnskey)):
            found = read_answer(reply, (zone, kind))
            if isinstance(found, Served):
                sight.tell(way, (zone, kind), sight.seen((zone, kind), found))
            elif isinstance(found, Silence):
                sight.tell(way, (zone, kind), [Lack("no-answer", found.why, "an answer")])
        if sight.signed:
            _look_at_denial(sight, way, (zone, MISSING_TYPE), look.nodata)
            name, declared = missing_name(zone), sight.measure.zone
            if f"*.{zone}" not in declared.by_owner and name not in declared.names:
                _look_at_denial(sight, way, (name, "A"), look.nxdomain)


def _look_at_nsid(sight: Sighting, way: str, reply: Reply) -> None:
    if not isinstance(reply, Message):
        return
    server = sight.view.server
    sight.nsid = sight.nsid or reply.nsid
    if server.pop and reply.nsid != server.pop:
        got = f"NSID {reply.nsid!r}" if reply.nsid else "no NSID"
        key = (sight.measure.zone.name, "SOA")
        sight.tell(way, key, [Lack("nsid-differs", got, f"NSID {server.pop!r}")])


def _look_at_denial(sight: Sighting, way: str, key: Key, reply: Reply) -> None:
    sight.tell(way, key, judge_reply(sight.measure, key, reply)[0])


def _look_at_answer(sight: Sighting, way: str, key: Key, reply: Reply) -> None:
    lacks, seal = judge_reply(sight.measure, key, reply)
    sight.tell(way, key, lacks)
    sight.sealed(key, seal)
    if key[1] == "NS" and isinstance(reply, Message) and key[0] in sight.measure.zone.cuts:
        _look_at_glue(sight, way, key[0], reply)


def _look_at_glue(sight: Sighting, way: str, cut: str, reply: Message) -> None:
    """Addresses that come with a referral; those of servers below it have to (RFC 9471 3.1)."""
    zone = sight.measure.zone
    servers = zone.rrset(cut, "NS")
    inside = {names.name_text(wire) for wire in servers.rdata} if servers else set()
    came = group_records(reply.additional)
    for owner in sorted(name for name in inside if names.is_within(name, cut)):
        for kind in ("A", "AAAA"):
            declared, found = zone.rrset(owner, kind), came.get((owner, kind))
            if found is not None:
                sight.tell(way, (owner, kind), sight.seen((owner, kind), found))
            elif declared is not None:
                lack = Lack("rrset-missing", "nothing", shown(declared))
                sight.tell(way, (owner, kind), [lack])


def _look_at_transfer(sight: Sighting, records: tuple[Record, ...]) -> None:
    zone, measure = sight.measure.zone, sight.measure
    found = group_records(records)
    soa = found.get((zone.name, "SOA"))
    if soa is None:
        sight.unknown.append("its transfer has no SOA")
        return
    sight.number(TRANSFER, soa)
    sight.extra = TRANSFER
    sight.content = {}
    whole = replace(measure, served_cuts=_cuts(measure, found))
    sight.updated = {}
    for key, served in sorted(found.items()):
        sight.bring(key, served)
        lacks, seal = judge_served(whole, key, served)
        sight.sealed(key, seal)
        if seal.wildcard:  # a wildcard's data is made for answers and stands nowhere
            lacks.append(Lack(WRONG, f"signed as {seal.wildcard}", "a signature of its own"))
        if key[1] not in SIGNERS and key != (zone.name, "SOA"):
            sight.content[key] = served.ttl_s, served.rdata
        sight.tell(TRANSFER, key, lacks)
    missing = [rrset.key for rrset in zone.rrsets if rrset.key not in found]
    promised = find_promised(found, missing, zone.name) if measure.keys is not None else set()
    for key in missing:
        lacks = [Lack("rrset-missing", "nothing", shown(zone.rrset(*key)))]
        if key in promised:
            got = f"its own NSEC says that it has {key[1]}"
            lacks.append(Lack(UNPROVEN, got, "a signed proof"))
        sight.tell(TRANSFER, key, lacks)
    given = found.get((zone.name, "ZONEMD"))
    sight.zonemd = check_zonemd(zone.name, sight.serials[TRANSFER], records, given)
    if sight.zonemd == UNKNOWN and given is not None:
        sight.unknown.append("its ZONEMD is of a kind not known here")
    elif sight.zonemd not in (HOLDS, UNKNOWN):
        lack = Lack("zonemd-wrong", sight.zonemd, "the digest of what is served")
        sight.tell(TRANSFER, (zone.name, "ZONEMD"), [lack])


def _cuts(measure: Measure, found: dict[Key, Served]) -> frozenset[str]:
    """Delegations of a transferred zone: those declared, and those that its chain speaks of."""
    zone = measure.zone
    there = {owner for owner, kind in found if kind == "NS" and owner != zone.name}
    more = find_cuts(found, zone.name) if measure.keys is not None else frozenset()
    return frozenset(there & zone.cuts) | more


def _look_at_walk(sight: Sighting) -> None:
    walk = sight.view.walk
    if walk is None or isinstance(walk, Silence):
        why = walk.why if walk else "neither transferred nor walked"
        sight.extra = f"unknown: {why}"
        if sight.serials:
            sight.unknown.append(f"records that nobody declared: {why}")
        return
    sight.extra = WALK
    sight.updated = {}
    for key, reply in sorted(walk.items()):
        found = read_answer(reply, key)
        if isinstance(found, Served):
            sight.bring(key, found)
        sight.tell(WALK, key, judge_reply(sight.measure, key, reply)[0])


def differing(measure: Measure, answers: Mapping[Key, Reply]) -> Iterator[Key]:
    """RRsets whose answers break a rule: they are worth asking once more, another way."""
    for key, reply in answers.items():
        if judge_reply(measure, key, reply)[0]:
            yield key


def must_be_asked(measure: Measure) -> tuple[Key, ...]:
    """The RRsets of the declared zone that its servers answer by themselves."""
    zone = measure.zone
    return tuple(rrset.key for rrset in zone.rrsets if can_be_asked(zone, rrset))
