"""The DS of a zone at its parent's servers: looked at, and taken out before the zone goes.

Sources: RFC 4035 2.4 (where a DS stands), RFC 2136 (update), RFC 8945 (TSIG).
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST_WAIT_S = 3600
"""Caches that hold a DS longer than this are waited for by whoever runs it, not by a Command."""
_TIMEOUT_S, _AGAIN_S, _TRIES = 3.0, 1.0, 3
_SPREAD_S = 120.0


class ParentError(Exception):
    """A parent's server has what it should not, or does not answer; the text has the fix."""


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

    Raises: ValueError when it is none.
    """
    tree = json.loads(text)
    if not isinstance(tree, dict) or set(tree) != set(Parent._fields):
        raise ValueError(f"an order has {', '.join(Parent._fields)}")
    return Parent(**tree)


def probe_ds(parent: Parent) -> tuple[Seen, ...]:
    """
    The DS that the parent's servers have; none where it is nowhere.

    Raises: ParentError when one of them does not say.
    """
    found = []
    for address in parent.addresses:
        told = _ask(parent.zone, "DS", address)
        sets = [r for r in told.answer if r.name == dns.name.from_text(parent.zone)]
        found += [
            Seen(address, rrset.ttl, tuple(sorted(map(str, rrset))))
            for rrset in sets
            if rrset.rdtype == dns.rdatatype.DS
        ]
    return tuple(found)


def check_unsigned(parent: Parent) -> None:
    """
    A zone that nobody signs has no DS.

    Raises: ParentError when it has: every answer would be bogus.
    """
    seen = () if parent.signed else probe_ds(parent)
    if seen:
        raise ParentError(
            f"{parent.zone} has a DS at {seen[0].address}, and its operators serve no signatures: "
            "no validating resolver would take their answers\n"
            f"  fix: take the DS out at the registrar, and wait {seen[0].ttl_s} s for the caches"
        )


def remove_ds(parent: Parent, wait: Callable[[float], None] = time.sleep) -> str:
    """
    Have no DS of the zone, and no cache that holds one.

    Out: what was done.
    Raises: ParentError when somebody has to take it out by hand, or has to wait longer than this
        does; the zone may not go before.
    """
    seen = probe_ds(parent)
    if not seen:
        return f"{parent.zone} has no DS"
    ttl_s = max(one.ttl_s for one in seen)
    if not parent.key_name:
        raise ParentError(
            f"{parent.zone} has a DS at {seen[0].address}: removed now, its name would be bogus\n"
            f"  fix: take the DS out at the registrar, wait {ttl_s} s for the caches, run it again"
        )
    _update(parent)
    _await_gone(parent, wait)
    if ttl_s > LONGEST_WAIT_S:
        raise ParentError(
            f"the DS of {parent.zone} is out now, and caches keep it for {ttl_s} s\n"
            f"  fix: run it again in {ttl_s} s, not before"
        )
    wait(ttl_s)
    return f"the DS of {parent.zone} was taken out, and {ttl_s} s have passed"


def _update(parent: Parent) -> None:
    address = parent.addresses[0]
    ring = dns.tsigkeyring.from_text({parent.key_name: ("hmac-sha256", parent.secret)})
    update = dns.update.UpdateMessage(_parent_zone(parent.zone, address), keyring=ring)
    update.delete(dns.name.from_text(parent.zone), "DS")
    try:
        told = dns.query.tcp(update, address, timeout=_TIMEOUT_S)
    except (OSError, dns.exception.DNSException) as cause:
        raise ParentError(f"{address} takes no update: {type(cause).__name__}: {cause}") from cause
    if told.rcode() != dns.rcode.NOERROR:
        refused = dns.rcode.to_text(told.rcode())
        raise ParentError(f"{address} refuses to take the DS of {parent.zone} out: {refused}")


def _await_gone(parent: Parent, wait: Callable[[float], None]) -> None:
    deadline = time.monotonic() + _SPREAD_S
    while seen := probe_ds(parent):
        if time.monotonic() > deadline:
            raise ParentError(f"{seen[0].address} still has the DS of {parent.zone}")
        wait(_AGAIN_S)


def _parent_zone(zone: str, address: str) -> dns.name.Name:
    """The closest zone above that the server is an authority for."""
    here = dns.name.from_text(zone)
    while here != dns.name.root:
        here = here.parent()
        told = _ask(here.to_text(), "SOA", address)
        if told.flags & dns.flags.AA and any(r.name == here for r in told.answer):
            return here
    raise ParentError(f"{address} is an authority for no zone above {zone}")


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
    raise ParentError(f"{address} does not say whether {name} has {kind}: {why}")
