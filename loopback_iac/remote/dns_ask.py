"""Asking a name server: many questions over UDP at once, the rest over TCP."""

from __future__ import annotations

import asyncio
import secrets
import socket
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
SOONEST_S = 0.02  # between two looks at what has waited for too long
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


class _Asked(NamedTuple):
    """One question on its way."""

    key: Key
    turn: int
    until: float


class _Line:
    """One connected socket with so many questions on it; answers find theirs by its id.

    A task, a future and a timer for each question cost more than the question itself.
    """

    def __init__(self, line: socket.socket, keys: Iterable[Key], limits: Limits) -> None:
        self.line, self.limits = line, limits
        self.left = iter(list(keys))
        self.loop = asyncio.get_running_loop()
        self.waiting: dict[int, _Asked] = {}
        self.found: dict[Key, Reply] = {}
        self.idents = b""
        self.done = self.loop.create_future()

    async def ask(self) -> dict[Key, Reply]:
        self.loop.add_reader(self.line, self._read)
        timer = self.loop.create_task(self._watch())
        try:
            self._fill()
            await self.done
        finally:
            timer.cancel()
            self.loop.remove_reader(self.line)
        return self.found

    def _fill(self) -> None:
        while len(self.waiting) < self.limits.in_flight:
            key = next(self.left, None)
            if key is None:
                break
            self._send(key, 1)
        if not self.waiting and not self.done.done():
            self.done.set_result(None)

    def _send(self, key: Key, turn: int) -> None:
        ident = self._ident()
        self.waiting[ident] = _Asked(key, turn, self.loop.time() + self.limits.timeout_s)
        try:
            self.line.send(make_query(key, ident))
        except BlockingIOError:
            pass  # as if it were lost on its way
        except OSError as cause:  # what came of a question before
            self.loop.call_soon(self._fail, why_silent(cause))

    def _ident(self) -> int:
        while True:
            if not self.idents:
                self.idents = secrets.token_bytes(1024)
            ident, self.idents = int.from_bytes(self.idents[:2]), self.idents[2:]
            if ident not in self.waiting:
                return ident

    def _read(self) -> None:
        for _ in range(self.limits.in_flight):
            try:
                data = self.line.recv(65535)
            except BlockingIOError:
                break
            except OSError as cause:
                self._fail(why_silent(cause))
                break
            ident = int.from_bytes(data[:2])
            held = self.waiting.get(ident)
            if held is not None:
                self._settle([ident], read_reply(data, held.key))
        self._fill()

    def _fail(self, why: str) -> None:
        self._settle(list(self.waiting), Silence(why))
        self._fill()

    def _settle(self, idents: list[int], reply: Reply) -> None:
        """Note what came of questions; what is silent is asked again."""
        for ident in idents:
            asked = self.waiting.pop(ident)
            self.found[asked.key] = reply
            if _silent(reply) and asked.turn < self.limits.tries:
                self._send(asked.key, asked.turn + 1)

    async def _watch(self) -> None:
        """Give up what has waited for too long."""
        while True:
            now = self.loop.time()
            late = [ident for ident, asked in self.waiting.items() if asked.until <= now]
            self._settle(late, Silence("no answer in time"))
            self._fill()
            next_end = min((asked.until for asked in self.waiting.values()), default=now)
            await asyncio.sleep(max(next_end - now, SOONEST_S))


async def ask_udp(server: Server, keys: Iterable[Key], limits: Limits) -> dict[Key, Reply]:
    """Ask each question, `limits.in_flight` of them at once; as often as `limits.tries`."""
    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as line:
        line.settimeout(0)
        try:
            line.connect((server.address, server.port))
        except OSError as cause:
            return dict.fromkeys(keys, Silence(why_silent(cause)))
        return await _Line(line, keys, limits).ask()


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
