"""A connection to the API server that no resolver holds up.

A name is looked up in a thread of its own, again and again, and dialled by what was found last: a
keeper that waited for a resolver would let its addresses lapse, and so would every other one.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

LOOK_EVERY_S = 30.0
AGAIN_S = 1.0


class Where:
    """Where the API server is."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._found: tuple[str, ...] = (host,) if _is_address(host) else ()
        self._looks = bool(self._found)

    def dial(self, timeout_s: float) -> socket.socket:
        """Connect to one of its addresses, all of them within this time.

        Raises: OSError; also for a name that was never found yet.
        """
        if not self._looks:
            self._looks = True
            threading.Thread(target=self._run, name=self.host, daemon=True).start()
        found, end_s = self._found, time.monotonic() + timeout_s
        failed: OSError = OSError(f"{self.host} was not looked up yet")
        for at, address in enumerate(found):
            share_s = (end_s - time.monotonic()) / (len(found) - at)
            try:
                return socket.create_connection((address, self.port), max(share_s, 0.001))
            except OSError as silent:
                failed = silent
        raise failed

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_S if self.look() else AGAIN_S)

    def look(self) -> bool:
        """Look the name up; what was found before stays where that fails."""
        try:
            told = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return False
        self._found = tuple(dict.fromkeys(str(each[4][0]) for each in told))
        return True


class Line(http.client.HTTPSConnection):
    """Connecting and the handshake end within one timeout."""

    def __init__(self, where: Where, tls: ssl.SSLContext, timeout_s: float) -> None:
        super().__init__(where.host, where.port, timeout=timeout_s, context=tls)
        self._where, self._tls, self._within_s = where, tls, timeout_s

    def connect(self) -> None:
        """Raises: OSError."""
        end_s = time.monotonic() + self._within_s
        plain = self._where.dial(self._within_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(max(end_s - time.monotonic(), 0.001))
        self.sock = self._tls.wrap_socket(plain, server_hostname=self._where.host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
