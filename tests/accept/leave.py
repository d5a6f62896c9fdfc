"""Ends of egress, run inside a namespace.

serve ADDRESS PORT               says who asks, by address and the longest segment he takes
leave ADDRESS PORT SOURCE        one connection: a line in, the answer or the error's name out
"""

from __future__ import annotations

import json
import socket
import sys
import threading

PATIENCE_S = 1.0
BULK = 2_000_000


def answer(connection: socket.socket, asker: str) -> None:
    segment = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            told = json.dumps({"asker": asker, "segment": segment}).encode() + b"\n"
            connection.sendall(told + (b"x" * BULK + b"\n" if line == b"bulk\n" else b""))


def serve(address: str, port: int) -> None:
    with socket.create_server((address, port)) as listener:
        while True:
            connection, (asker, _) = listener.accept()
            threading.Thread(target=answer, args=(connection, asker), daemon=True).start()


def leave(address: str, port: int, source: str) -> None:
    """A connection lives as long as this does; what is asked again is sent again by TCP."""
    try:
        connection = socket.create_connection((address, port), PATIENCE_S, (source, 0))
    except OSError as failed:
        print(json.dumps({"error": failed.strerror or type(failed).__name__}), flush=True)  # noqa: T201  # its output is its answer
        return
    connection.settimeout(None)
    with connection, connection.makefile("rb") as answers:
        for line in sys.stdin:
            connection.sendall(line.encode())
            print(answers.readline().decode(), end="", flush=True)  # noqa: T201  # likewise
            if line == "bulk\n":
                answers.readline()


if __name__ == "__main__":
    verb, where, number, *rest = sys.argv[1:]
    if verb == "serve":
        serve(where, int(number))
    else:
        leave(where, int(number), rest[0])
