"""Asking a name server: many questions over UDP at once, the rest over TCP."""

from __future__ import annotations

import asyncio
import secrets
import struct
from typing import TYPE_CHECKING, NamedTuple

from loopback_iac.dns import names
from loopback_iac.dns.served.message import (
    HEADER,
    NSID,
    MalformedMessage,
    Message,
    Reply,
    Silence,
    parse_message,
    type_number,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loopback_iac.dns.served.view import Server
    from loopback_iac.dns.zone import Key

UDP_OCTETS = 1232  # DNS Flag Day 2020: what no path of today cuts
DNSSEC_OK = 0x8000
TCP_LINES = 4
# no recursion asked, one question, one OPT: DNSSEC and NSID, please
_OPT = b"\0" + struct.pack(">HHIHHH", 41, UDP_OCTETS, DNSSEC_OK, 4, NSID, 0)


class Limits(NamedTuple):
    """How long and how often a server is asked."""

    timeout_s: float = 2.0
    tries: int = 3
    in_flight: int = 64
    transfer_s: float = 120.0
    transfer_octets: int = 1 << 29


def make_query(key: Key, ident: int) -> bytes:
    """One question as octets."""
    head = HEADER.pack(ident, 0, 1, 0, 0, 1)
    return head + names.name_wire(key[0]) + struct.pack(">HH", type_number(key[1]), 1) + _OPT


def read_reply(octets: bytes, key: Key) -> Reply:
    """An answer to one question; what does not answer it is silence."""
    try:
        found = parse_message(octets)
    except MalformedMessage as cause:
        return Silence(f"it answers what is no DNS: {cause}")
    if found.question != key and (found.question is not None or found.rcode == "NOERROR"):
        return Silence("it answers another question")
    return found


async def ask(server: Server, keys: Iterable[Key], limits: Limits) -> dict[Key, Reply]:
    """Ask over UDP, and over TCP what did not fit."""
    found = await ask_udp(server, keys, limits)
    cut = [key for key, reply in found.items() if isinstance(reply, Message) and reply.truncated]
    if cut:
        whole = await ask_tcp(server, cut, limits)
        for key, reply in whole.items():
            if isinstance(reply, Silence):
                reply = Silence(f"cut off over UDP, and over TCP: {reply.why}")  # noqa: PLW2901  # told
            found[key] = reply
    return found


def _silent(reply: Reply) -> bool:
    return isinstance(reply, Silence)


class _Line(asyncio.DatagramProtocol):
    """One connected socket; answers find their question by its id."""

    def __init__(self) -> None:
        self.waiting: dict[int, tuple[Key, asyncio.Future[Reply]]] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr  # the socket is connected: nobody else gets through
        held = self.waiting.get(int.from_bytes(data[:2]))
        if held is not None and not held[1].done():
            held[1].set_result(read_reply(data, held[0]))

    def error_received(self, exc: Exception) -> None:
        for _, future in self.waiting.values():
            if not future.done():
                future.set_result(Silence(why_silent(exc)))


async def ask_udp(server: Server, keys: Iterable[Key], limits: Limits) -> dict[Key, Reply]:
    """Ask each question, `limits.in_flight` of them at once; as often as `limits.tries`."""
    loop = asyncio.get_running_loop()
    try:
        transport, line = await loop.create_datagram_endpoint(
            _Line, remote_addr=(server.address, server.port)
        )
    except OSError as cause:
        return dict.fromkeys(keys, Silence(why_silent(cause)))
    found: dict[Key, Reply] = {}
    left = iter(list(keys))
    ident = secrets.randbelow(1 << 16)

    async def work() -> None:
        nonlocal ident
        for key in left:
            for _ in range(limits.tries):
                ident = (ident + 1 + secrets.randbelow(512)) & 0xFFFF
                while ident in line.waiting:
                    ident = (ident + 1) & 0xFFFF
                mine, future = ident, loop.create_future()
                line.waiting[mine] = key, future
                transport.sendto(make_query(key, mine))
                timer = loop.call_later(limits.timeout_s, _give_up, future)
                found[key] = await future
                timer.cancel()
                del line.waiting[mine]
                if not _silent(found[key]):
                    break

    try:
        await asyncio.gather(*(work() for _ in range(limits.in_flight)))
    finally:
        transport.close()
    return found


def _give_up(future: asyncio.Future[Reply]) -> None:
    if not future.done():
        future.set_result(Silence("no answer in time"))


async def ask_tcp(server: Server, keys: Iterable[Key], limits: Limits) -> dict[Key, Reply]:
    """Ask each question over one of a few connections."""
    found: dict[Key, Reply] = {}
    left = iter(list(keys))
    dead: list[str] = []
    await asyncio.gather(*(_work_tcp(server, left, found, dead, limits) for _ in range(TCP_LINES)))
    return found


async def _work_tcp(
    server: Server, left: Iterator[Key], found: dict[Key, Reply], dead: list[str], limits: Limits
) -> None:
    line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for key in left:
        for turn in range(limits.tries):
            if dead:
                found[key] = Silence(dead[0])
                break
            try:
                async with asyncio.timeout(limits.timeout_s):
                    if line is None:
                        line = await asyncio.open_connection(server.address, server.port)
                    found[key] = await _exchange(line, key)
            except (OSError, EOFError, TimeoutError) as cause:
                found[key] = Silence(why_silent(cause))
                fresh = line is None
                _close(line)
                line = None
                if fresh and turn == limits.tries - 1:
                    dead.append(why_silent(cause))
            if not _silent(found[key]):
                break
    _close(line)


async def _exchange(line: tuple[asyncio.StreamReader, asyncio.StreamWriter], key: Key) -> Reply:
    reader, writer = line
    ident = secrets.randbelow(1 << 16)
    query = make_query(key, ident)
    writer.write(len(query).to_bytes(2) + query)
    await writer.drain()
    octets = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
    if octets[:2] != ident.to_bytes(2):
        raise EOFError
    return read_reply(octets, key)


def _close(line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None) -> None:
    if line is not None:
        line[1].close()


def why_silent(cause: BaseException) -> str:
    """What a person reads of a failed exchange; the same on every run."""
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, EOFError):
        return "it ends the connection"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return type(cause).__name__
