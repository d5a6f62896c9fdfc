"""Looking at members from outside: a TCP connect to each at once, all within one deadline."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def look(addresses: Iterable[str], port: int, timeout_s: float) -> dict[str, bool]:
    """Who takes a connection.

    Out: by address, whether the connection stood within the time; each is closed at once.
    """
    found, waiting = {}, {}
    for address in addresses:
        found[address] = False
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        line = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(OSError):  # no route of this family: no answer
            if line.connect_ex((address, port)) in (0, errno.EINPROGRESS):
                waiting[line.fileno()] = (line, address)
                continue
        line.close()
    _await(waiting, found, time.monotonic() + timeout_s)
    for line, _ in waiting.values():
        line.close()
    return found


def _await(
    waiting: dict[int, tuple[socket.socket, str]], found: dict[str, bool], end_s: float
) -> None:
    poll = select.poll()
    for descriptor in waiting:
        poll.register(descriptor, select.POLLOUT)
    left = set(waiting)
    while left and (rest_s := end_s - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(rest_s * 1000):
            line, address = waiting[descriptor]
            found[address] = line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            poll.unregister(descriptor)
            left.discard(descriptor)
