"""Both ends of a transfer, run inside hosts: a worker that sends back what it got, and a client.

serve PORT                 reads the PROXY header, then a length and so many bytes, and returns them
ask ADDRESS PORT SIZE      prints as JSON whether the same bytes came back, and the segment's size
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading


def read(connection: socket.socket, size: int) -> bytes:
    parts, left = [], size
    while left:
        part = connection.recv(min(left, 65536))
        if not part:
            raise ConnectionError("closed early")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def answer(connection: socket.socket) -> None:
    with connection:
        try:
            head = read(connection, 16)
            read(connection, struct.unpack(">H", head[14:])[0])
            (size,) = struct.unpack(">Q", read(connection, 8))
            connection.sendall(read(connection, size))
        except OSError:
            return  # a health check goes after its header


def serve(port: int) -> None:
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as ear:
        while True:
            threading.Thread(target=answer, args=(ear.accept()[0],), daemon=True).start()


def ask(address: str, port: int, size: int) -> dict[str, object]:
    sent = os.urandom(size)
    with socket.create_connection((address, port), timeout=20) as connection:
        connection.sendall(struct.pack(">Q", size) + sent)
        same = read(connection, size) == sent
        segment = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    return {"same": same, "segment": segment}


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "serve":
        serve(int(words[0]))
    else:
        print(json.dumps(ask(words[0], int(words[1]), int(words[2]))))  # noqa: T201  # its output is its answer
