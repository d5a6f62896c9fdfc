"""The DS of a zone at its parent's servers: looked at, and taken out before the zone goes.

Sources: RFC 4035 2.4 and 3.1.4.1 (where a DS stands), RFC 2136 (update), RFC 8945 (TSIG).
"""

from __future__ import annotations

import base64
import json
import math
import time
from typing import TYPE_CHECKING, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsigkeyring
import dns.update

from loopback_iac.remote.dns_ds_left import (
    Left,
    ParentError,
    drop_left,
    read_left,
    write_left,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST_WAIT_S = 3600
"""Caches that hold a DS longer than this are waited for by whoever runs it, not by a Command."""
_TIMEOUT_S, _AGAIN_S, _TRIES = 3.0, 1.0, 3
_SPREAD_S = 120.0
_ASK_PARENT = "name servers of the parent zone in `parent.addresses`, and run it where they answer"


class Parent(NamedTuple):
    """What a Command hands over."""

    zone: str
    signed: bool
    addresses: Sequence[str]
    key_name: str
    secret: str


class Seen(NamedTuple):
    """A DS RRset as one server has it."""

    address: str
    ttl_s: int
    values: tuple[str, ...]


def parse_parent(text: str) -> Parent:
    """
    An order from standard input.

    Raises: ValueError when it is none; it never quotes the secret.
    """
    tree = json.loads(text)
    if not isinstance(tree, dict) or set(tree) != set(Parent._fields):
        raise ValueError(f"an order has {', '.join(Parent._fields)}")
    found = Parent(**tree)
    if not found.key_name:
        return found
    secret = found.secret.strip()
    try:
        dns.name.from_text(found.key_name)
        is_key = bool(base64.b64decode(secret, validate=True))
    except (ValueError, dns.exception.DNSException):
        is_key = False
    if not is_key:
        raise ValueError("parent.key_name has to be a name, parent.secret a key in base64")
    return found._replace(secret=secret)


def probe_ds(parent: Parent) -> tuple[Seen, ...]:
    """
    The DS that the parent's servers have; none where it is nowhere.

    Raises: ParentError when one of them does not say, or is no server of the parent.
    """
    zone = dns.name.from_text(parent.zone)
    found = []
    for address in parent.addresses:
        told = _ask(parent.zone, "DS", address)
        sets = [r for r in told.answer if (r.name, r.rdtype) == (zone, dns.rdatatype.DS)]
        if not told.flags & dns.flags.AA or not (sets or _denies(told, zone)):
            raise ParentError(
                f"{address} is no authority for the parent of {parent.zone}: "
                "what it says does not tell whether there is a DS",
                _ASK_PARENT,
            )
        found += [Seen(address, one.ttl, tuple(sorted(map(str, one)))) for one in sets]
    return tuple(found)


def _denies(told: dns.message.Message, zone: dns.name.Name) -> bool:
    """Whether an answer is a zone's above; the zone's own servers have no DS either (3.1.4.1)."""
    return any(
        one.rdtype == dns.rdatatype.SOA and zone != one.name and zone.is_subdomain(one.name)
        for one in told.authority
    )


def check_unsigned(parent: Parent) -> None:
    """
    A zone that nobody signs has no DS.

    Raises: ParentError when it has: every answer would be bogus.
    """
    seen = () if parent.signed else probe_ds(parent)
    if seen:
        raise ParentError(
            f"{parent.zone} has a DS at {seen[0].address}, and its operators serve no signatures: "
            "no validating resolver would take their answers",
            f"take the DS out at the registrar, and wait {seen[0].ttl_s} s for the caches",
        )


def remove_ds(
    parent: Parent,
    wait: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> str:
    """
    Have no DS of the zone, and no cache that holds one.

    What it did is kept on this machine until caches have forgotten: a run that was cut off, or
    failed, is waited for by the next one.

    Out: what was done.
    Raises: ParentError when somebody has to take it out by hand, or has to wait longer than this
        does; the zone may not go before.
    """
    seen, before = probe_ds(parent), read_left(parent.zone)
    if seen:
        ttl_s = max(one.ttl_s for one in seen)
        if not parent.key_name:
            raise ParentError(
                f"{parent.zone} has a DS at {seen[0].address}: removed now, it would be bogus",
                f"take the DS out at the registrar, wait {ttl_s} s for the caches, run it again",
            )
        ttl_s = max(ttl_s, before.ttl_s if before else 0)
        _take_out(parent, ttl_s, before, wait)
        before = Left(ttl_s)
    if before is None:
        return f"{parent.zone} has no DS"
    moment = math.ceil(now())
    # nobody saw it go: now is the latest that it can have been
    gone_at = moment if before.gone_at is None else before.gone_at
    write_left(parent.zone, Left(before.ttl_s, gone_at))
    left_s = min(max(gone_at + before.ttl_s - moment, 0), before.ttl_s)
    if left_s > LONGEST_WAIT_S:
        raise ParentError(
            f"the DS of {parent.zone} is out, and caches may keep it for {left_s} s more",
            f"run it again in {left_s} s, not before",
        )
    wait(left_s)
    drop_left(parent.zone)
    return f"the DS of {parent.zone} was taken out, and {before.ttl_s} s have passed"


def _take_out(
    parent: Parent, ttl_s: int, before: Left | None, wait: Callable[[float], None]
) -> None:
    """
    Have no server that has the DS; noted before it is tried, for it may be cut off at any moment.

    Raises: ParentError.
    """
    above = _parent_zone(parent.zone, parent.addresses[0])
    write_left(parent.zone, Left(ttl_s))
    try:
        refused = _update(parent, above)
        if not refused:
            _await_gone(parent, wait)
    except ParentError as cause:
        raise ParentError(
            f"{cause.what}; caches may keep its DS for {ttl_s} s after the last server lost it",
            f"{cause.fix}; then run it again on this machine, which waits for the caches. "
            f"Any other has to be told by you: let it begin {ttl_s} s after no server has the DS",
        ) from cause
    if refused:
        # nothing was changed
        drop_left(parent.zone) if before is None else write_left(parent.zone, before)
        raise ParentError(
            f"{parent.addresses[0]} refuses to take the DS of {parent.zone} out: {refused}",
            f"let key {parent.key_name} change DS in {above} there, or take the DS out at the "
            f"registrar and wait {ttl_s} s for the caches; then run it again",
        )


def _update(parent: Parent, above: dns.name.Name) -> str:
    """
    Take the DS out.

    Out: why the server did not do it; empty when it did.
    Raises: ParentError when it does not say.
    """
    address = parent.addresses[0]
    ring = dns.tsigkeyring.from_text({parent.key_name: ("hmac-sha256", parent.secret)})
    update = dns.update.UpdateMessage(above, keyring=ring)
    update.delete(dns.name.from_text(parent.zone), "DS")
    try:
        told = dns.query.tcp(update, address, timeout=_TIMEOUT_S)
    except (OSError, dns.exception.DNSException) as cause:
        raise ParentError(
            f"{address} does not say whether it took the DS of {parent.zone} out: "
            f"{type(cause).__name__}: {cause}",
            f"see that it answers over TCP, and knows key {parent.key_name} and the time",
        ) from cause
    return "" if told.rcode() == dns.rcode.NOERROR else dns.rcode.to_text(told.rcode())


def _await_gone(parent: Parent, wait: Callable[[float], None]) -> None:
    deadline = time.monotonic() + _SPREAD_S
    while seen := probe_ds(parent):
        if time.monotonic() > deadline:
            raise ParentError(
                f"{seen[0].address} still has the DS of {parent.zone}, {_SPREAD_S:.0f} s after "
                f"{parent.addresses[0]} took it out",
                f"see that {seen[0].address} gets what changes at {parent.addresses[0]}",
            )
        wait(_AGAIN_S)


def _parent_zone(zone: str, address: str) -> dns.name.Name:
    """The closest zone above that the server is an authority for."""
    here = dns.name.from_text(zone)
    while here != dns.name.root:
        here = here.parent()
        told = _ask(here.to_text(), "SOA", address)
        if told.flags & dns.flags.AA and any(r.name == here for r in told.answer):
            return here
    raise ParentError(f"{address} is an authority for no zone above {zone}", _ASK_PARENT)


def _ask(name: str, kind: str, address: str) -> dns.message.Message:
    """
    One question over TCP: a DS decides, so nobody may have answered in between.

    Raises: ParentError.
    """
    query = dns.message.make_query(name, kind, flags=0)
    why = ""
    for _ in range(_TRIES):
        try:
            told = dns.query.tcp(query, address, timeout=_TIMEOUT_S)
        except (OSError, dns.exception.DNSException) as cause:
            why = f"{type(cause).__name__}: {cause}"
            continue
        if told.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return told
        why = dns.rcode.to_text(told.rcode())
    raise ParentError(f"{address} does not say whether {name} has {kind}: {why}", _ASK_PARENT)
