"""A flood of SYNs under invented source addresses: what a PoP has to bear without leaving.

Runs as `python -m loopback_iac.lab.drill.flood` inside a client's network namespace until SIGTERM,
or for as long as its plan allows. stdin: the plan as JSON. stdout: one line when it starts, one
with how many packets it sent.
"""

from __future__ import annotations

import ipaddress
import json
import random
import signal
import socket
import struct
import sys
import time

MAX_RATE, MAX_SECONDS = 5000, 30  # bounds of what one run may ask of a shared machine
# RFC 2544's benchmark range and a corner of the documentation prefix: nobody in the lab has them
SOURCES = (
    (4, ipaddress.ip_network("198.18.128.0/17")),
    (6, ipaddress.ip_network("2001:db8:bad::/48")),
)
DIFFERENT = 2048  # packets made before the flood; then they are sent in turn
IPV6_HDRINCL = 36  # linux/in6.h; the socket module does not name it
SYN, WINDOW = 0x02, 64240


def render_syn(source: str, target: str, port: int, sport: int, sequence: int) -> bytes:
    """One TCP SYN with its IP header.

    Sources: RFC 9293 section 3.1; RFC 791; RFC 8200 section 3 and 8.1.
    """
    ours, theirs = ipaddress.ip_address(source), ipaddress.ip_address(target)
    head = struct.pack("!HHIIBBHHH", sport, port, sequence, 0, 5 << 4, SYN, WINDOW, 0, 0)
    ends = ours.packed + theirs.packed
    if ours.version == 4:
        pseudo = ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(head))
        outer = struct.pack(
            "!BBHHHBBH", 0x45, 0, 20 + len(head), 0, 0x4000, 64, socket.IPPROTO_TCP, 0
        )
    else:
        pseudo = ends + struct.pack("!IHBB", len(head), 0, 0, socket.IPPROTO_TCP)
        outer = struct.pack("!IHBB", 6 << 28, len(head), socket.IPPROTO_TCP, 64)
    return outer + ends + head[:16] + struct.pack("!H", _checksum(pseudo + head)) + head[18:]


def _checksum(text: bytes) -> int:
    """Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(text) // 2}H", text))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _packets(targets: dict[int, str], port: int) -> list[tuple[int, bytes, str]]:
    draw = random.Random(1)  # noqa: S311 -- a flood of the same packets each time, no secret
    made = []
    for number in range(DIFFERENT):
        family, network = SOURCES[number % len(SOURCES)]
        source = str(network[draw.randrange(1, 1 << 15)])
        syn = render_syn(
            source, targets[family], port, draw.randrange(1024, 65536), draw.getrandbits(32)
        )
        made.append((family, syn, targets[family]))
    return made


def main() -> None:
    """Read the plan, flood, say how much."""
    plan = json.load(sys.stdin)
    rate, seconds = int(plan["rate"]), float(plan["seconds"])
    if not 1 <= rate <= MAX_RATE or not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"{rate}/s for {seconds} s is outside {MAX_RATE}/s and {MAX_SECONDS} s")
    packets = _packets({int(f): a for f, a in plan["targets"]}, int(plan["port"]))
    doors = {
        4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
        6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW),
    }
    doors[6].setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    print("flooding", flush=True)  # noqa: T201 - this line is the protocol
    start, sent = time.monotonic(), 0
    while going and (now := time.monotonic() - start) < seconds:
        while sent < now * rate:
            family, packet, target = packets[sent % DIFFERENT]
            doors[family].sendto(packet, (target, 0))
            sent += 1
        time.sleep(0.002)
    print(json.dumps({"sent": sent, "seconds": time.monotonic() - start}))  # noqa: T201 - as above


if __name__ == "__main__":
    main()
