"""Many connections at once, run inside a namespace; prints one line of JSON.

burst ADDRESS PORT SOURCE,SOURCE COUNT    opens COUNT connections from each source and keeps them:
                                          how many were taken per source at the first SYN
crowd ADDRESS PORT SOURCE,SOURCE COUNT    the same, and waits for all of them
syns  ADDRESS PORT NETWORK COUNT          sends COUNT SYNs under addresses of NETWORK, IPv4 only
"""

from __future__ import annotations

import ipaddress
import json
import select
import socket
import struct
import sys
import time

# What was dropped is sent again after a second, and may then be taken
BEFORE_THE_SECOND_SYN_S, LONG_S = 0.8, 60.0


def burst(
    address: str, port: int, sources: list[str], count: int, patience_s: float
) -> dict[str, int]:
    """A connection is taken when the three-way handshake ends within the patience."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    waiting: dict[int, tuple[socket.socket, str]] = {}
    taken = dict.fromkeys(sources, 0)
    poll = select.poll()
    for source in sources:
        for _ in range(count):
            one = socket.socket(family, socket.SOCK_STREAM)
            one.setblocking(False)  # noqa: FBT003  # the standard library's own signature
            one.bind((source, 0))
            one.connect_ex((address, port))
            waiting[one.fileno()] = one, source
            poll.register(one, select.POLLOUT)
    end = time.monotonic() + patience_s
    open_ = len(waiting)
    left = patience_s
    while open_ and left:
        # once more when it is over: who was paused meanwhile has looked at nothing yet
        left = max(0.0, end - time.monotonic())
        for number, _ in poll.poll(left * 1000):
            one, source = waiting[number]
            taken[source] += one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            poll.unregister(number)
            open_ -= 1
    return taken


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def syns(address: str, port: int, network: str, count: int) -> float:
    """Out: seconds it took."""
    target = socket.inet_aton(address)
    first = int(ipaddress.ip_network(network)[1])
    size = ipaddress.ip_network(network).num_addresses - 2
    begun = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as wire:
        for number in range(count):
            source = struct.pack("!I", first + number % size)
            head = struct.pack(
                "!HHIIBBHHH", 1024 + number % 60000, port, number, 0, 5 << 4, 2, 65535, 0, 0
            )
            pseudo = source + target + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(head))
            head = head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]
            # length and header checksum are the kernel's to fill in
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_TCP, 0)
            wire.sendto(ip + source + target + head, (address, 0))
    return time.monotonic() - begun


if __name__ == "__main__":
    verb, where, number, whose, many = sys.argv[1:]
    if verb in ("burst", "crowd"):
        patience_s = BEFORE_THE_SECOND_SYN_S if verb == "burst" else LONG_S
        told: object = burst(where, int(number), whose.split(","), int(many), patience_s)
    else:
        told = round(syns(where, int(number), whose, int(many)), 3)
    print(json.dumps(told), flush=True)  # noqa: T201  # its output is its answer
    sys.stdin.readline()  # what was opened stays open until the caller has looked
