"""Round trip through a tunnel: one ICMP echo to the other end of the pair's /31."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import time
from typing import TYPE_CHECKING

from .programs import run

if TYPE_CHECKING:
    from collections.abc import Sequence

DEADLINE_S = 0.5
TRIES = 3


def round_trip_ms(pair: Sequence[str]) -> float | None:
    """The shortest of three round trips to a tunnel's peer.

    In:  our addresses on the tunnel with their length, as `read_pairs` tells them.
    Out: milliseconds to three digits; None without a peer address or an answer.
    """
    peer = peer_address(pair)
    if peer is None:
        return None
    seen: list[float] = []
    for number in range(TRIES):
        spent = _echo(peer, number)
        if spent is None:
            break  # one deadline is enough for a peer that is away
        seen.append(spent)
    return round(min(seen), 3) if seen else None


def read_pairs() -> dict[str, list[str]]:
    """Interface -> our IPv4 addresses with their length, of all at once: each call takes time."""
    pairs: dict[str, list[str]] = {}
    for line in run("ip", "-o", "-4", "addr").out.splitlines():
        words = line.split()  # 5: lb-w1    inet 10.88.0.1/31 scope global lb-w1 ...
        pairs.setdefault(words[1], []).append(words[3])
    return pairs


def peer_address(pair: Sequence[str]) -> str | None:
    """The other address of the pair's /31.

    In:  our addresses on the tunnel; only one with its length tells of a pair.
    """
    own = {address.split("/")[0] for address in pair}
    for word in pair:
        if "/" in word:
            for address in ipaddress.ip_network(word, strict=False):
                if str(address) not in own:
                    return str(address)
    return None


def _echo(address: str, number: int) -> float | None:
    mark = os.getpid() & 0xFFFF
    packet = _request(mark, number)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as talk:
        talk.settimeout(DEADLINE_S)
        began = time.monotonic()
        try:
            talk.sendto(packet, (address, 0))
            while time.monotonic() - began < DEADLINE_S:
                answer, source = talk.recvfrom(256)
                head = (answer[0] & 15) * 4
                if source[0] == address and answer[head : head + 1] == b"\0":
                    seen = struct.unpack_from("!HH", answer, head + 4)
                    if seen == (mark, number):
                        return (time.monotonic() - began) * 1000
        except OSError:
            return None
    return None


def _request(mark: int, number: int) -> bytes:
    bare = struct.pack("!BBHHH", 8, 0, 0, mark, number) + b"loopback"
    total = sum(struct.unpack(f"!{len(bare) // 2}H", bare))
    total = (total >> 16) + (total & 0xFFFF)
    check = ~(total + (total >> 16)) & 0xFFFF
    return struct.pack("!BBHHH", 8, 0, check, mark, number) + b"loopback"
