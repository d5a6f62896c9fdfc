"""What was seen of one server, and what is said about it: plain values, no judgement here."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from loopback_iac.dns import names
from loopback_iac.dns.served.message import Message, Record, Reply, Silence
from loopback_iac.dns.served.signatures import Served, group_records
from loopback_iac.dns.zone import Key, RRset, Zone

UDP, TCP, TRANSFER, WALK = "udp", "tcp", "transfer", "walk"
ANSWERS = ("NOERROR", "NXDOMAIN")
MISSING_LABEL = "loopback-check-nothing-here"  # no zone has it
MAX_NAME = 255  # RFC 1035 3.1: octets
MISSING_TYPE = "NULL"  # RFC 1035 3.3.10: not to stand in a zone


class Server(NamedTuple):
    """One address of one name server; `pop`: the NSID that it should have, empty: any."""

    name: str
    pop: str
    address: str
    port: int

    def __str__(self) -> str:
        """As a person reads it."""
        return f"{self.name}/{self.pop}" if self.pop else self.name

    @property
    def place(self) -> str:
        """Address and port."""
        port = "" if self.port == 53 else f":{self.port}"
        return f"[{self.address}]{port}" if ":" in self.address and port else self.address + port


class Look(NamedTuple):
    """What a server answered over one transport, before any record was asked for."""

    soa: Reply
    dnskey: Reply
    nodata: Reply
    nxdomain: Reply


@dataclass(frozen=True)
class View:
    """One server, as it was seen."""

    server: Server
    looks: Mapping[str, Look]
    """By transport."""
    apex: Mapping[str, Reply] = field(default_factory=dict)
    """CDS, CDNSKEY and ZONEMD by type."""
    asked_by: str = UDP
    answers: Mapping[Key, Reply] = field(default_factory=dict)
    """What was asked, record set by record set."""
    again: Mapping[Key, Reply] = field(default_factory=dict)
    """Those that differed, asked once more over TCP."""
    transfer: tuple[Record, ...] | Silence | None = None
    """The whole zone, its SOA once; None: it was not asked for."""
    walk: Mapping[Key, Reply] | Silence | None = None
    """What the NSEC chain names and nobody declared; None: it was not walked."""
    keyed: bool = False
    """A key was given for the transfer."""
    moved: bool = False
    """The zone changed each time that it was looked at."""


@dataclass(frozen=True)
class ParentView:
    """What a server of the parent zone says of the delegation."""

    address: str
    ns: Reply
    ds: Reply


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is not as it should be; `server` is empty for what is the zone's."""

    server: str
    address: str
    rule: str
    owner: str
    type: str
    got: str
    need: str
    by: tuple[str, ...] = ()
    """The ways on which it was seen."""


def read_answer(reply: Reply | None, key: Key, *, is_cut: bool = False) -> Served | Silence | None:
    """The RRset that was asked for, None when the server has none, or why it did not say.

    In: `is_cut`: a delegation, whose NS come as a referral.
    """
    refused = read_refusal(reply, needs_authority=not is_cut)
    if refused is not None or not isinstance(reply, Message):
        return refused
    found = group_records(reply.answer).get(key)
    if found is None and is_cut:
        found = group_records(reply.authority).get(key)
    return found


def find_referral(reply: Reply | None, key: Key, zone: str) -> str:
    """The delegation within a zone that an answer leads to; empty when it is no referral."""
    if not isinstance(reply, Message) or reply.authoritative or reply.truncated or reply.answer:
        return ""
    cuts = {record.owner for record in reply.authority if record.type == "NS"}
    if reply.rcode != "NOERROR" or len(cuts) != 1:
        return ""
    (cut,) = cuts
    below = cut != zone and names.is_within(cut, zone) and names.is_within(key[0], cut)
    return cut if below and key != (cut, "DS") else ""  # RFC 4035 3.1.4.1: DS is the parent's


def missing_name(zone: str) -> str:
    """A name of a zone that it does not have, to ask for; its own where none is short enough."""
    room = MAX_NAME - len(names.name_wire(zone)) - 1
    return names.join(MISSING_LABEL[:room], zone) if room > 0 else zone


def read_refusal(reply: Reply | None, *, needs_authority: bool = True) -> Silence | None:
    """Why a reply is no answer; None when it is one."""
    if reply is None:
        return Silence("was not asked")
    if isinstance(reply, Silence):
        return reply
    if reply.rcode not in ANSWERS:
        return Silence(f"it answers {reply.rcode}")
    if needs_authority and not reply.authoritative:
        return Silence("its answer is not authoritative")
    if reply.truncated:
        return Silence("its answer is cut off")
    return None


def serial_of(reply: Reply | None, zone: str) -> int | None:
    """The serial that a SOA answer has."""
    soa = read_answer(reply, (zone, "SOA"))
    if not isinstance(soa, Served) or len(soa.rdata[0]) < 22:
        return None
    return int.from_bytes(soa.rdata[0][-20:-16])


def is_older(one: int, other: int) -> bool:
    """Whether a serial comes before another (RFC 1982 3.2)."""
    return one != other and (other - one) % (1 << 32) < 1 << 31


def unasked_servers(data: Iterable[bytes], views: Iterable[View]) -> list[str]:
    """Names that NS data has, and that no server was asked under."""
    asked = {f"{view.server.name.lower().rstrip('.')}." for view in views}
    return sorted({names.name_text(wire) for wire in data} - asked)


def addresses_within(zone: str, data: Iterable[bytes]) -> list[Key]:
    """What to ask for the addresses of those servers in NS data that are in the zone itself."""
    servers = sorted({names.name_text(wire) for wire in data})
    within = [server for server in servers if names.is_within(server, zone)]
    return [(server, kind) for server in within for kind in ("A", "AAAA")]


def can_be_asked(zone: Zone, rrset: RRset) -> bool:
    """Whether a server answers for an RRset by itself."""
    if rrset.owner in zone.cuts:
        return rrset.type in ("NS", "DS")
    return zone.cut_above(rrset.owner) is None


def is_signed(zone: str, cuts: Collection[str], owner: str, kind: str) -> bool:
    """Whether a signer signs an RRset (RFC 4035 2.2): no delegation, no glue.

    In: `cuts`: the delegations of the zone.
    """
    if owner in cuts:
        return kind in ("DS", "NSEC", "NSEC3")
    here = owner
    while cuts and here != zone and names.is_within(here, zone):
        here = names.parent(here)
        if here in cuts:
            return False
    return True
