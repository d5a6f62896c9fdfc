"""Looking at a zone on all its servers: what each answers, and what it has that nobody declared."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from loopback_iac.dns import names
from loopback_iac.dns.check_structure import SIGNERS
from loopback_iac.dns.served.chain import next_name, types_in
from loopback_iac.dns.served.check_server import differing, must_be_asked
from loopback_iac.dns.served.judge import Measure
from loopback_iac.dns.served.message import Message, Silence
from loopback_iac.dns.served.signatures import Keys, Served, group_records
from loopback_iac.dns.served.view import (
    MISSING_TYPE,
    TCP,
    UDP,
    Look,
    ParentView,
    Server,
    View,
    addresses_within,
    missing_name,
    read_answer,
    read_refusal,
    serial_of,
)
from loopback_iac.remote.dns_ask import Limits, ask, ask_tcp, ask_udp
from loopback_iac.remote.dns_transfer import fetch_zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loopback_iac.dns.served.message import Record, Reply
    from loopback_iac.dns.zone import Key, Zone
    from loopback_iac.remote.dns_transfer import Tsig

SERVERS_AT_ONCE = 8
LOOKS = 3  # at a zone that changes meanwhile
MAX_AGAIN = 256  # a server that differs in more than that is not asked for all of it once more
MAX_UNDECLARED = 10_000  # names of a chain: a server may make them up without end
APEX = ("CDS", "CDNSKEY", "ZONEMD")
ALL, QUERIES, TRANSFERS = "all", "queries", "transfer"
WAYS = (ALL, QUERIES, TRANSFERS)


class Probe(NamedTuple):
    """What is asked of each server."""

    zone: Zone
    now: int
    tsig: Tsig | None = None
    way: str = ALL
    limits: Limits = Limits()


def probe_zone(
    probe: Probe, servers: Sequence[Server], parent: Server | None = None
) -> tuple[list[View], ParentView | None]:
    """Look at a zone on every server, and at its delegation.

    Out: a view of each, in the order given; silence is a part of them, and raises nothing.
    """
    return asyncio.run(_probe_all(probe, servers, parent))


async def _probe_all(
    probe: Probe, servers: Sequence[Server], parent: Server | None
) -> tuple[list[View], ParentView | None]:
    gate = asyncio.Semaphore(SERVERS_AT_ONCE)

    async def one(server: Server) -> View:
        async with gate:
            return await probe_server(server, probe)

    views = await asyncio.gather(*(one(server) for server in servers))
    theirs = await probe_parent(parent, probe.zone.name, probe.limits) if parent else None
    # those that were looked at first are asked again: a newer serial may have reached them
    return [*await asyncio.gather(*(_refreshed(view, probe) for view in views))], theirs


def probe_looks(zone: str, servers: Sequence[Server], limits: Limits) -> list[View]:
    """What the DS gate needs of each server.

    SOA, DNSKEY and two absences, over UDP and TCP; who serves the zone, and at which addresses.
    """

    async def one(server: Server) -> View:
        looks = await _look(server, zone, limits)
        ways = _answering(looks)
        if not ways:
            return View(server, looks)
        asking = ask if UDP in ways else ask_tcp
        answers = await asking(server, [(zone, "NS")], limits)
        told = read_answer(answers[zone, "NS"], (zone, "NS"))
        inside = addresses_within(zone, told.rdata if isinstance(told, Served) else ())
        return View(server, looks, answers=answers | await asking(server, inside, limits))

    async def all_looks() -> list[View]:
        return await asyncio.gather(*map(one, servers))

    return asyncio.run(all_looks())


def _answering(looks: Mapping[str, Look]) -> list[str]:
    """The transports that a server answers over."""
    return [way for way, look in looks.items() if read_refusal(look.soa) is None]


async def _refreshed(view: View, probe: Probe) -> View:
    before = _serials(view.looks, probe.zone.name)
    if not before:
        return view
    looks = await _look(view.server, probe.zone.name, probe.limits)
    if _serials(looks, probe.zone.name) == before:
        return view
    return await probe_server(view.server, probe)


def _serials(looks: dict[str, Look] | object, zone: str) -> dict[str, int]:
    assert isinstance(looks, dict)  # noqa: S101  # made below
    found = {way: serial_of(look.soa, zone) for way, look in looks.items()}
    return {way: serial for way, serial in found.items() if serial is not None}


async def probe_server(server: Server, probe: Probe) -> View:
    """One server, looked at again when its zone changes meanwhile."""
    for _ in range(LOOKS):
        view = await _probe_once(server, probe)
        before = _serials(view.looks, probe.zone.name)
        if not before:
            return view
        after = await _look(server, probe.zone.name, probe.limits)
        if before == _serials(after, probe.zone.name):
            return view
    return replace(view, moved=True)


async def _look(server: Server, zone: str, limits: Limits) -> dict[str, Look]:
    keys = [
        (zone, "SOA"),
        (zone, "DNSKEY"),
        (zone, MISSING_TYPE),
        (missing_name(zone), "A"),
    ]
    first = {UDP: ask_udp, TCP: ask_tcp}
    looks = {}
    for way, asking in first.items():
        found = await asking(server, keys[:1], limits)
        if not isinstance(found[keys[0]], Silence):
            found |= await (ask if way == UDP else asking)(server, keys[1:], limits)
        said = [found.get(key, found[keys[0]]) for key in keys]
        looks[way] = Look(*said)
    return looks


async def _probe_once(server: Server, probe: Probe) -> View:
    zone, limits = probe.zone, probe.limits
    looks = await _look(server, zone.name, limits)
    ways = _answering(looks)
    if not ways:
        return View(server, looks)
    asking = ask if UDP in ways else ask_tcp
    apex = await asking(server, [(zone.name, kind) for kind in APEX], limits)
    measure = Measure(zone, _own_keys(looks, zone.name), probe.now)
    answers: dict[Key, Reply] = {}
    again: dict[Key, Reply] = {}
    if probe.way in (ALL, QUERIES):
        answers = await asking(server, must_be_asked(measure), limits)
        if len(ways) == 2:
            differ = list(islice(differing(measure, answers), MAX_AGAIN))
            again = await ask_tcp(server, differ, limits) if differ else {}
    transfer: tuple[Record, ...] | Silence | None = None
    walk: dict[Key, Reply] | Silence | None = None
    if probe.way in (ALL, TRANSFERS):
        transfer = await fetch_zone(server, zone.name, probe.tsig, limits)
    if probe.way != TRANSFERS and not isinstance(transfer, tuple):
        walk = await _walk(server, probe, measure, tcp=UDP not in ways)
    return View(
        server,
        looks,
        {kind: reply for (_, kind), reply in apex.items()},
        ways[0],
        answers,
        again,
        transfer,
        walk,
        probe.tsig is not None,
    )


def _own_keys(looks: dict[str, Look], zone: str) -> Keys | None:
    """A server's keys as it gives them: enough to tell what is worth asking once more."""
    for look in looks.values():
        found = read_answer(look.dnskey, (zone, "DNSKEY"))
        if isinstance(found, Served):
            return Keys(zone, found.rdata)
    return None


async def _walk(
    server: Server, probe: Probe, measure: Measure, *, tcp: bool
) -> dict[Key, Reply] | Silence:
    """Names and types of the NSEC chain that nobody declared, each with its answer."""
    zone = probe.zone
    if measure.keys is None:
        return Silence("no transfer, and no NSEC chain in a zone without keys")
    asking = ask_tcp if tcp else ask
    seen: dict[str, tuple[str, bytes]] = {}
    left = [owner for owner in zone.by_owner if zone.cut_above(owner) is None]
    known = set(left)
    while left:
        found, silent = await _ask_chain(server, left, probe, tcp=tcp)
        if silent:
            return silent
        seen |= found
        nexts = {after for after, _ in found.values() if names.is_within(after, zone.name)}
        left = sorted((nexts | found.keys()) - known)
        known.update(left)
        if len(known) > len(zone.by_owner) + MAX_UNDECLARED:
            return Silence(f"its NSEC chain has more than {MAX_UNDECLARED} names not declared")
    gap = _gap(seen, zone.name)
    if gap:
        return Silence(f"its NSEC chain has a gap after {gap}")
    extra = [
        (owner, kind)
        for owner, (_, bitmap) in sorted(seen.items())
        for kind in sorted(types_in(bitmap))
        if kind not in SIGNERS and kind != "SOA" and zone.rrset(owner, kind) is None
    ]
    return await asking(server, extra, probe.limits) if extra else {}


def _gap(chain: dict[str, tuple[str, bytes]], zone: str) -> str:
    """Where a chain from the zone's own name back to it breaks off; empty when it does not."""
    here, passed = zone, 0
    while here in chain and passed <= len(chain):
        after = chain[here][0]
        if after == zone:
            return ""
        here, passed = after, passed + 1
    return here


async def _ask_chain(
    server: Server, owners: Iterable[str], probe: Probe, *, tcp: bool
) -> tuple[dict[str, tuple[str, bytes]], Silence | None]:
    """NSEC of names; of a delegation it stands in the proof that its successor is no name."""
    asking = ask_tcp if tcp else ask
    replies = await asking(server, [(owner, "NSEC") for owner in owners], probe.limits)
    found: dict[str, tuple[str, bytes]] = {}
    lacking = []
    for (owner, _), reply in replies.items():
        own = _nsec_of(reply)
        if owner not in own:
            lacking.append(owner)
        found |= own
    # one octet more has to be a name still, whatever a server calls its names
    after = [
        (_successor(owner), "A")
        for owner in lacking
        if len(names.labels(owner)[0]) < 63 and len(names.name_wire(owner)) < 255
    ]
    proofs = await asking(server, after, probe.limits) if after else {}
    for reply in proofs.values():
        if isinstance(reply, Silence):
            return found, Silence(f"its NSEC chain is not told: {reply.why}")
        own = _nsec_of(reply)
        if not own:
            return found, Silence("it has no NSEC chain (NSEC3, or none)")
        found |= own
    return found, None


def _successor(name: str) -> str:
    """A name that comes after everything below `name`, and before whatever follows."""
    first = names.labels(name)[0].encode("latin-1") + b"\0"
    return names.join(names.label_text(first), names.parent(name))


def _nsec_of(reply: Reply) -> dict[str, tuple[str, bytes]]:
    if not isinstance(reply, Message):
        return {}
    found = {}
    for (owner, kind), served in group_records((*reply.answer, *reply.authority)).items():
        if kind == "NSEC":
            try:
                found[owner] = next_name(served.rdata[0])
                types_in(found[owner][1])
            except (ValueError, IndexError):
                found.pop(owner, None)
    return found


async def probe_parent(parent: Server, zone: str, limits: Limits) -> ParentView:
    """The delegation of a zone, as a server of its parent has it."""
    keys = [(zone, "NS"), (zone, "DS")]
    found = await ask(parent, keys, limits)
    return ParentView(parent.place, found[keys[0]], found[keys[1]])
