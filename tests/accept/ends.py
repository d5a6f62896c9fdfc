"""Both ends of a forwarded connection, run inside a namespace: a worker's ingress, and clients."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def read_exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("closed early")
        data += part
    return data


def read_proxy(connection: socket.socket) -> dict[str, str] | None:
    """The client's address and TLV 0xE0 of a PROXY v2 header; None for a health check."""
    head = read_exactly(connection, 16)
    if head[:12] != SIGNATURE:
        raise ConnectionError("no PROXY v2 header")
    body = read_exactly(connection, struct.unpack(">H", head[14:])[0])
    if head[12] == 0x20:  # LOCAL: the proxy itself
        return None
    family, size = (socket.AF_INET, 4) if head[13] == 0x11 else (socket.AF_INET6, 16)
    found = {"client": socket.inet_ntop(family, body[:size])}
    rest = body[2 * size + 4 :]
    while len(rest) >= 3:
        kind, length = struct.unpack(">BH", rest[:3])
        if kind == 0xE0:
            found["pop"] = rest[3 : 3 + length].decode()
        rest = rest[3 + length :]
    return found


def answer(name: str, connection: socket.socket) -> None:
    with connection:
        try:
            found = read_proxy(connection)
            if found is not None:
                connection.sendall(json.dumps({"worker": name, **found}).encode())
        except ConnectionError:
            return


def serve(name: str, address: str, port: int) -> None:
    with socket.create_server((address, port), reuse_port=False) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(name, connection), daemon=True).start()


def ask_once(address: str, port: int, source: str) -> object:
    try:
        with socket.create_connection(
            (address, port), timeout=30, source_address=(source, 0) if source else None
        ) as connection:
            text = b""
            while part := connection.recv(4096):
                text += part
        return json.loads(text) if text else "Empty"
    except OSError as failed:
        return type(failed).__name__


def hold(address: str, port: int, source: str, count: int) -> list[object]:
    """Answers to `count` connections, each kept open until all were made."""
    kept = []
    answers: list[object] = []
    for _ in range(count):
        try:
            connection = socket.create_connection((address, port), 30, (source, 0))
            kept.append(connection)
            text = connection.recv(4096)
            answers.append(json.loads(text) if text else "Empty")
        except OSError as failed:
            answers.append(type(failed).__name__)
    return answers


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "serve":
        serve(words[0], words[1], int(words[2]))
    elif verb == "hold":
        print(json.dumps(hold(words[0], int(words[1]), words[2], int(words[3]))))  # noqa: T201  # its output is its answer
    else:
        answers = [ask_once(words[0], int(words[1]), words[2]) for _ in range(int(words[3]))]
        print(json.dumps(answers))  # noqa: T201  # its output is its answer
