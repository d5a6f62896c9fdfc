"""A zone as a whole, by transfer: read at once, each message's TSIG held to the key.

Sources: RFC 5936 (AXFR), RFC 8945 5.3.1 (TSIG over several messages).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import dns.exception
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsig

from loopback_iac.dns.refusal import Refusal
from loopback_iac.dns.served.message import (
    FIXED,
    MalformedMessage,
    Message,
    Record,
    Silence,
    parse_message,
)
from loopback_iac.remote.dns_ask import why_silent

if TYPE_CHECKING:
    from loopback_iac.dns.served.view import Server
    from loopback_iac.remote.dns_ask import Limits

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")
BUFFER_OCTETS = 1 << 26  # servers end transfers to whom they have to wait for
MAX_UNSIGNED = 99  # messages between two with a TSIG: RFC 8945 5.3.1


class Tsig(NamedTuple):
    """A key for transfers; its secret is shown nowhere."""

    key: dns.tsig.Key

    def __repr__(self) -> str:
        """The name alone."""
        return f"Tsig({self.key.name})"


def parse_tsig(text: str) -> Tsig:
    """One line as `kdig -k` takes it: [ALGORITHM:]NAME:SECRET, the secret in base64.

    Raises: Refusal; it never quotes the line.
    """
    words = text.strip().split(":")
    need = "[ALGORITHM:]NAME:SECRET on one line, the secret in base64"
    fix = "write what `keymgr -t NAME` prints first, without the comment sign"
    if len(words) == 2:
        words = ["hmac-sha256", *words]
    if len(words) != 3 or words[0].lower() not in ALGORITHMS:
        raise Refusal("tsig-line", f"{len(words)} parts", need, fix)
    try:
        key = dns.tsig.Key(dns.name.from_text(words[1]), words[2], words[0].lower())
    except (dns.exception.DNSException, ValueError):
        raise Refusal("tsig-line", "a name or a secret that cannot be read", need, fix) from None
    return Tsig(key)


async def fetch_zone(
    server: Server, zone: str, tsig: Tsig | None, limits: Limits
) -> tuple[Record, ...] | Silence:
    """All records of a zone, its SOA once; or why there are none."""
    query = dns.message.make_query(zone, "AXFR", id=secrets.randbelow(1 << 16))
    if tsig is not None:
        query.use_tsig(tsig.key)
    octets = query.to_wire()
    seals = _Seals(tsig.key, query.mac or b"") if tsig is not None else None
    try:
        async with asyncio.timeout(limits.transfer_s):
            return await _fetch(server, octets, zone, seals, limits)
    except (_Refused, dns.exception.DNSException, ValueError, EOFError, OSError) as cause:
        return Silence(_why(cause))


def _why(cause: Exception) -> str:
    """What a person reads of a transfer that failed; the same on every run."""
    match cause:
        case _Refused():
            return str(cause)
        case MalformedMessage():
            return f"it answers what is no DNS: {cause}"
        case TimeoutError() | ConnectionRefusedError() | EOFError() | OSError():
            return why_silent(cause)
    return f"its TSIG does not hold ({type(cause).__name__})"


class _Refused(Exception):  # noqa: N818  # says why; made into a Silence
    """A server that does not transfer."""


async def _fetch(
    server: Server, query: bytes, zone: str, seals: _Seals | None, limits: Limits
) -> tuple[Record, ...]:
    reader, writer = await asyncio.open_connection(server.address, server.port, limit=BUFFER_OCTETS)
    found: list[Record] = []
    size = 0
    try:
        writer.write(len(query).to_bytes(2) + query)
        await writer.drain()
        while len(found) < 2 or found[-1].type != "SOA" or found[-1] != found[0]:
            octets = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
            await asyncio.sleep(0)  # what came meanwhile is taken from the socket
            size += len(octets)
            if size > limits.transfer_octets:
                raise _Refused(f"more than {limits.transfer_octets} octets")
            message = parse_message(octets)
            _check_message(message, octets[:2] == query[:2], seals, octets)
            found += message.answer
            if not found or found[0].type != "SOA" or found[0].owner != zone:
                raise _Refused("it does not begin with the SOA of the zone")
            if not message.answer:
                raise _Refused("a message without records")
    finally:
        writer.close()
    if seals is not None and seals.unsigned:
        raise _Refused("its last message has no TSIG")
    return tuple(found[:-1])


def _check_message(message: Message, same: bool, seals: _Seals | None, octets: bytes) -> None:  # noqa: FBT001  # internal
    if seals is not None:
        seals.check(octets, message.tsig_at, message.rcode)
    if message.rcode != "NOERROR":
        raise _Refused(message.rcode)
    if not same:
        raise _Refused("an answer to another question")


@dataclass
class _Seals:
    """The TSIG of a transfer, message by message."""

    key: dns.tsig.Key
    mac: bytes
    context: Any = None
    unsigned: int = 0
    first: bool = field(default=True)

    def check(self, octets: bytes, at: int, rcode: str) -> None:
        """Raises: _Refused, or an error of dns.tsig."""
        if not at:
            self.unsigned += 1
            if self.first or self.unsigned > MAX_UNSIGNED:
                raise _Refused(rcode if rcode != "NOERROR" else "a message without TSIG")
            self.context.update(octets)
            return
        end = at
        name, used = dns.name.from_wire(octets, at)
        end += used
        size = FIXED.unpack_from(octets, end)[3]
        data = dns.rdata.from_wire(
            dns.rdataclass.ANY, dns.rdatatype.TSIG, octets, end + FIXED.size, size
        )
        now = int(time.time())
        try:
            self.context = dns.tsig.validate(  # type: ignore[no-untyped-call]  # dnspython's
                octets, self.key, name, data, now, self.mac, at, self.context, multi=True
            )
        except dns.tsig.PeerError as cause:
            raise _Refused(f"{rcode}: {type(cause).__name__.removeprefix('Peer')}") from None
        self.first, self.unsigned = False, 0
