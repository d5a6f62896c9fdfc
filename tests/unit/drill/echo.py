"""A small far end for the load: TLS that answers who asked, and ports that misbehave on purpose.

argv: directory with `good.pem` and `other.pem` (key and chain). Prints one line when it listens.
Far ends have machines of their own: as the load does, it comes before what is of no real time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import ssl
import struct
import sys
from pathlib import Path

GOOD, CLOSES, RESETS, NOT_TLS, UNTRUSTED, LIES, MUTE, WRONG_PORT = range(443, 451)
ADDRESSES = ("203.0.113.10", "2001:db8:100::10")


def answer(client: str, port: int) -> bytes:
    seen = {"worker": "w1", "pop": "fra1", "client": client, "port": port}
    return json.dumps(seen).encode()


async def serve(reader, writer, client: str | None = None, port: int | None = None) -> None:
    try:
        request = await reader.readuntil(b"\r\n\r\n")
        peer = writer.get_extra_info("peername")
        seen = answer(client or peer[0], port or peer[1])
        if request.startswith(b"GET /stream"):
            lines = int(request.split()[1].partition(b"?lines=")[2] or 0)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(lines) if lines else itertools.repeat(None):
                writer.write(b"%x\r\n%s\n\r\n" % (len(seen) + 1, seen))
                await writer.drain()
                await asyncio.sleep(0.1)
            writer.write(b"0\r\n\r\n" * (port != 7))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(seen) + seen)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass  # most clients leave after the ServerHello
    finally:
        writer.close()


async def close(reader, writer) -> None:
    await reader.read(4096)  # what is left unread turns the close into a reset
    writer.close()


async def reset(_, writer) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def talk_plain(_, writer) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    writer.close()


async def stay_mute(_, writer) -> None:
    await asyncio.sleep(60)
    writer.close()


def context(path: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path)
    return made


async def main() -> None:
    directory = Path(sys.argv[1])
    good, other = context(directory / "good.pem"), context(directory / "other.pem")

    async def lie(reader, writer) -> None:
        await serve(reader, writer, "198.51.100.99")

    async def lie_a_little(reader, writer) -> None:
        await serve(reader, writer, port=7)

    ports = [
        (GOOD, serve, good),
        (CLOSES, close, None),
        (RESETS, reset, None),
        (NOT_TLS, talk_plain, None),
        (UNTRUSTED, serve, other),
        (LIES, lie, good),
        (MUTE, stay_mute, None),
        (WRONG_PORT, lie_a_little, good),
    ]
    for port, act, tls in ports:
        for address in ADDRESSES:
            await asyncio.start_server(act, address, port, ssl=tls, backlog=1024)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # handshakes cut by clients
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await asyncio.sleep(3600)


asyncio.run(main())
