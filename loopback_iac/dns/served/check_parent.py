"""What the parent says of a zone, held against the zone."""

from collections.abc import Iterator

from loopback_iac.dns import names
from loopback_iac.dns.served.judge import shown_values
from loopback_iac.dns.served.message import Message, Silence
from loopback_iac.dns.served.signatures import (
    COMPUTED,
    DIGESTS,
    UNCHECKED,
    Served,
    group_records,
    matching_keys,
    why_unchecked,
)
from loopback_iac.dns.served.trust import Trust, read_ds
from loopback_iac.dns.served.view import Finding, ParentView, View, read_answer, read_refusal
from loopback_iac.dns.zone import Key, Zone

CHECKED = f"{COMPUTED}, digest type {' or '.join(map(str, DIGESTS))}"
DELETES = b"\0\0\0"  # key tag 0, algorithm 0: RFC 8078 4


def check_parent(zone: Zone, parent: ParentView) -> Iterator[Finding]:
    """Name servers and their addresses at the parent."""
    reply = parent.ns
    refused = read_refusal(reply, needs_authority=False)
    if refused is not None or not isinstance(reply, Message):
        why = refused.why if refused else "it was not asked"
        yield _finding(parent, "parent-silent", (zone.name, "NS"), why, "a referral to the zone")
        return
    found = group_records((*reply.authority, *reply.answer)).get((zone.name, "NS"))
    declared = zone.rrset(zone.name, "NS")
    theirs, ours = found.rdata if found else (), declared.rdata if declared else ()
    if set(theirs) != set(ours):
        got, need = shown_values("NS", theirs) or "no delegation", shown_values("NS", ours)
        yield _finding(parent, "parent-ns", (zone.name, "NS"), got, need)
    glue = group_records(reply.additional)
    for wire in ours:
        server = names.name_text(wire)
        if wire not in theirs or not names.is_within(server, zone.name):
            continue
        for kind in ("A", "AAAA"):
            have, want = glue.get((server, kind)), zone.rrset(server, kind)
            there = have.rdata if have else ()
            here = want.rdata if want else ()
            if set(there) != set(here):
                texts = shown_values(kind, there) or "none", shown_values(kind, here) or "none"
                yield _finding(parent, "parent-glue", (server, kind), *texts)


def check_ds(
    zone: str, ds: tuple[bytes, ...], where: ParentView | None, trust: Trust
) -> Iterator[Finding]:
    """DS against the keys of every server.

    In: `where`: the parent that has them; None: they were given by hand.
    """
    if not ds:
        return
    usable = tuple(wire for wire in ds if not why_unchecked(wire))
    for wire in ds:
        if why := why_unchecked(wire):
            got = f"{why}: {shown_values('DS', (wire,))}"
            yield _finding(where, UNCHECKED, (zone, "DS"), got, CHECKED)
    named: set[bytes] = set()
    for keys in trust.sets.values():
        named |= set(matching_keys(zone, usable, keys))
    if usable and not named:
        got, need = shown_values("DS", usable), "the DS of a key of the zone"
        yield _finding(where, "ds-no-key", (zone, "DS"), got, need)
        return
    for wire in usable:
        if wire not in named:
            got, need = shown_values("DS", (wire,)), "the DS of a key that some server has"
            yield _finding(where, "ds-stray", (zone, "DS"), got, need)


def check_cds(zone: str, view: View, ds: tuple[bytes, ...], trust: Trust) -> Iterator[Finding]:
    """CDS and CDNSKEY of one server against its keys and the parent's DS."""
    server = view.server
    place = str(server), server.place
    keys = trust.sets.get((server.address, server.port), frozenset())
    cds = _apex(view, zone, "CDS")
    cdnskey = _apex(view, zone, "CDNSKEY")
    for wire in cds:
        if wire[:3] == DELETES or matching_keys(zone, (wire,), keys):
            continue
        if why := why_unchecked(wire):
            got = f"{why}: {shown_values('CDS', (wire,))}"
            yield Finding(*place, UNCHECKED, zone, "CDS", got, CHECKED)
        else:
            got, need = shown_values("CDS", (wire,)), "the digest of a key of its DNSKEY set"
            yield Finding(*place, "cds-differs", zone, "CDS", got, need)
    for wire in cdnskey:
        if wire[3:4] != b"\0" and wire not in keys:
            got, need = shown_values("CDNSKEY", (wire,)), "a key of its DNSKEY set"
            yield Finding(*place, "cds-differs", zone, "CDNSKEY", got, need)
    if cds and ds and set(cds) != set(ds):
        wanted = "none" if cds[0][:3] == DELETES else shown_values("DS", cds)
        yield Finding(*place, "ds-cds", zone, "DS", shown_values("DS", ds), wanted)


def _apex(view: View, zone: str, kind: str) -> tuple[bytes, ...]:
    found = read_answer(view.apex.get(kind), (zone, kind))
    return found.rdata if isinstance(found, Served) else ()


def parent_ds(parent: ParentView, zone: str) -> tuple[tuple[bytes, ...], Finding | None]:
    """The parent's DS, and what is to be said when it does not answer."""
    refused = read_refusal(parent.ds)
    if isinstance(refused, Silence):
        return (), _finding(
            parent, "parent-silent", (zone, "DS"), refused.why, "DS, or their denial"
        )
    return read_ds(parent.ds, zone), None


def _finding(parent: ParentView | None, rule: str, key: Key, got: str, need: str) -> Finding:
    return Finding("", parent.address if parent else "", rule, *key, got, need)
