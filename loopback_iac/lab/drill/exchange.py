"""What one connection of the load does, step by step, and the word for how it ended.

Each function that yields is a connection in progress: it yields the epoll event it waits for.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import select
import socket
import ssl
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Steps = Generator[int, None, None]

CLOSE_BY_RESET = struct.pack("ii", 1, 0)  # no TIME_WAIT: ports last at any rate
HANDSHAKE, ALERT, SERVER_HELLO = 0x16, 0x15, 2  # RFC 8446 sections 5.1 and 4
UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EPERM}
OURS = {errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS}
LAST_CHUNK = b"\r\n0\r\n\r\n"  # RFC 9112 7.1
WORKER_WORD = b'"worker"'  # once in each line
WHOLE_BODY = 1 << 30  # no Content-Length: the far end closes when it is done

# What the client saw, not a guess at the cause. The first that fits counts.
WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "refused"),
    (ssl.SSLCertVerificationError, "untrusted"),
    (ssl.SSLEOFError, "closed"),
    (ssl.SSLZeroReturnError, "closed"),
    (ssl.SSLSyscallError, "reset"),  # the socket failed below TLS, without saying how
    (ssl.SSLError, "tls"),
    (ConnectionError, "reset"),
    (TimeoutError, "timeout"),
    (ValueError, "answer"),
)


class BadAnswerError(Exception):
    """The far end answered, but not with what was asked for."""


@dataclass(frozen=True, slots=True)
class Door:
    """What every connection of a load needs: where to, and how to prove who answers."""

    port: int
    server_name: str
    context: ssl.SSLContext
    hello: bytes
    clock: Callable[[], int]  # ns since the start of the load


@dataclass(slots=True)
class Attempt:
    """One connection: when it was due, how far it came. Times in ns from the start of the load."""

    due: int
    family: int
    address: str
    full: bool
    long: bool = False
    begun: int = 0
    connected: int | None = None
    ended: int | None = None
    outcome: str = ""
    answer: dict[str, Any] = field(default_factory=dict)
    client_right: bool | None = None
    lines: int = 0
    last_line: int | None = None
    longest_gap: int = 0
    sock: socket.socket | None = None
    steps: Steps | None = None
    mask: int = 0


def make_door(port: int, server_name: str, ca_pem: str, clock: Callable[[], int]) -> Door:
    """Everything that would cost time once the load runs, done before."""
    context = ssl.create_default_context(cadata=ca_pem)
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(into, out, server_hostname=server_name).do_handshake()
    return Door(port, server_name, context, out.read(), clock)


def greet(door: Door, attempt: Attempt) -> Steps:
    """TCP connect, ClientHello, ServerHello: reaches the worker's TLS at a low cost."""
    sock = yield from _connect(door, attempt)
    sock.send(door.hello)
    yield select.EPOLLIN
    head = sock.recv(4096)
    if not head:
        raise BadAnswerError("closed")
    if head[0] != HANDSHAKE or (len(head) > 5 and head[5] != SERVER_HELLO):
        raise BadAnswerError("tls")


def exchange(door: Door, attempt: Attempt) -> Steps:
    """Full TLS, verified against the CA, and a request whose JSON answer is checked."""
    read, own = yield from _request(door, attempt, "/")
    text = b""
    while (missing := _missing(text)) != 0:
        chunk = yield from read()
        if not chunk:
            if missing != WHOLE_BODY:
                raise BadAnswerError("closed")
            break
        text += chunk
    _take(attempt, text.partition(b"\r\n\r\n")[2], own)


def follow(door: Door, attempt: Attempt, lines: int = 0) -> Steps:
    """Read a stream's lines; an error, its end or the end of the load ends it.

    In: lines, how many to ask for; the answer has to be whole then. 0: without end.
    """
    read, own = yield from _request(door, attempt, f"/stream?lines={lines}" if lines else "/stream")
    seen, told, whole = b"", b"", b""
    while chunk := (yield from read()):
        clock = door.clock()
        if attempt.last_line is not None:
            attempt.longest_gap = max(attempt.longest_gap, clock - attempt.last_line)
        attempt.last_line = clock
        attempt.lines += chunk.count(b"\n")
        if not told:
            seen += chunk
            told = _first_object(seen)
            if told:
                _take(attempt, told, own)
        if lines:
            whole += chunk
            if whole.endswith(LAST_CHUNK):
                if whole.count(WORKER_WORD) != lines:
                    raise BadAnswerError("answer")
                return
    raise BadAnswerError("closed")


def outcome_of(cause: BaseException) -> str:
    """One word for why a connection failed."""
    if isinstance(cause, BadAnswerError):
        return str(cause)
    for kind, word in WORDS:
        if isinstance(cause, kind):
            return word
    number = cause.errno if isinstance(cause, OSError) else None
    return "unreachable" if number in UNREACHABLE else "generator" if number in OURS else "error"


def _connect(door: Door, attempt: Attempt) -> Generator[int, None, socket.socket]:
    kind = socket.AF_INET if attempt.family == 4 else socket.AF_INET6
    sock = attempt.sock = socket.socket(kind, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_BY_RESET)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    error = sock.connect_ex((attempt.address, door.port))
    if error == errno.EINPROGRESS:
        yield select.EPOLLOUT
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, "connect")
    attempt.connected = door.clock()
    return sock


def _request(
    door: Door, attempt: Attempt, path: str
) -> Generator[int, None, tuple[Callable[[], Generator[int, None, bytes]], tuple[str, int]]]:
    """Send a request inside verified TLS; gives the reader of the answer and our own address."""
    sock = yield from _connect(door, attempt)
    address, port = sock.getsockname()[:2]
    own = (str(ipaddress.ip_address(address)), int(port))
    tls = door.context.wrap_socket(
        sock, do_handshake_on_connect=False, server_hostname=door.server_name
    )
    attempt.sock = tls  # the plain socket is detached, its descriptor stays
    yield from _until(tls.do_handshake)
    lines = (f"GET {path} HTTP/1.1", f"Host: {door.server_name}", "Connection: close")
    request = "\r\n".join((*lines, "", "")).encode()
    yield from _until(lambda: tls.send(request))

    def read() -> Generator[int, None, bytes]:
        got: bytes = yield from _until(lambda: tls.recv(16384))
        return got

    return read, own


def _until(act: Callable[[], Any]) -> Generator[int, None, Any]:
    while True:
        try:
            return act()
        except ssl.SSLWantReadError:
            yield select.EPOLLIN
        except ssl.SSLWantWriteError:
            yield select.EPOLLOUT


def _take(attempt: Attempt, body: bytes, own: tuple[str, int]) -> None:
    """Keep who answered, and whether the worker saw the address and port that we have."""
    told = json.loads(body)
    if not {"worker", "pop", "client", "port"} <= told.keys():
        raise BadAnswerError("answer")
    attempt.answer = {k: told[k] for k in ("worker", "pop")}
    # who is asked may not have been told the port: an ingress controller does not pass it on
    port = own[1] if told["port"] is None else told["port"]
    seen = (str(ipaddress.ip_address(told["client"])), port)
    attempt.client_right = seen == own


def _missing(text: bytes) -> int | None:
    """Bytes of the body still to come; None while the header is not whole."""
    head, end, body = text.partition(b"\r\n\r\n")
    if not end:
        return None
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return max(0, int(line.split(b":")[1]) - len(body))
    return WHOLE_BODY


def _first_object(text: bytes) -> bytes:
    body = text.partition(b"\r\n\r\n")[2]
    start, end = body.find(b"{"), body.find(b"}")
    return body[start : end + 1] if 0 <= start < end else b""
