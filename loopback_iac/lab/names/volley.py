"""Many questions at once under many addresses, many to a system call; run inside a namespace.

stdin   one line {"server", "names": one question each, in turns; `@` in a name stands for a label
        that is random, "type", "sources": a network whose addresses ask, one /24 after the other,
        "count": questions, "rate": a second; 0: as fast as they are answered, "window": how many
        may wait for their answer, "pool": how many different ones there are}
        `sources` must be local to the namespace: `ip route add local NETWORK dev lo`
stdout  one line {"sent", "answered", "truncated", "rcodes": {code: count}, "seconds": from the
        first to the last answer, "cpu_s": of this process}
"""

from __future__ import annotations

import ctypes
import ipaddress
import json
import os
import secrets
import select
import socket
import struct
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

BATCH = 128
HEAD_BYTES = 12  # all of an answer that is read; the kernel throws the rest away
PATIENCE_S = 0.2  # what is not answered by then is lost: on one machine answers take microseconds
LAST_S = 1.0
BUFFER_BYTES = 4 << 20
EDNS_DO = bytes.fromhex("0000291000000080000000")  # 4096 bytes, DNSSEC OK (RFC 6891, 3225)
TC, RCODE = 0x02, 0x0F  # of the third and the fourth byte of a message
IP_PKTINFO = 8  # ip(7); the socket module has no name for it
LIBC = ctypes.CDLL(None, use_errno=True)


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr of a 64-bit Linux."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("length", ctypes.c_uint32),
        ("_", ctypes.c_uint32),
    )


def wire_question(name: str, kind: int, number: int) -> bytes:
    """A question with EDNS and DO."""
    labels = name.replace("@", secrets.token_hex(6)).rstrip(".").split(".")
    told = b"".join(bytes([len(label)]) + label.encode() for label in labels)
    head = struct.pack("!HHHHHH", number & 0xFFFF, 0, 1, 0, 0, 1)
    return head + told + b"\0" + struct.pack("!HH", kind, 1) + EDNS_DO


def source_at(network: ipaddress.IPv4Network, number: int) -> bytes:
    """An address of the network; neighbours in number are in different /24 as far as there are."""
    blocks = max(1, network.num_addresses // 256)
    own = number // blocks % min(254, network.num_addresses) + (network.num_addresses > 1)
    return int(network.network_address + number % blocks * 256 + own).to_bytes(4, "big")


class Pool:
    """Questions made ready: the kernel is handed slices of it."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        network = ipaddress.IPv4Network(wanted["sources"])
        names, kind, size = wanted["names"], wanted["type"], wanted["pool"]
        target = struct.pack("=H", socket.AF_INET) + struct.pack("!H", 53)
        target += socket.inet_aton(wanted["server"]) + bytes(8)
        self.kept: list[Any] = [ctypes.create_string_buffer(target, len(target))]
        self.messages = (_Message * size)()
        vectors = (_Vector * size)()
        for number, message in enumerate(self.messages):
            text = wire_question(names[number % len(names)], kind, number)
            # struct cmsghdr with struct in_pktinfo: the address that the question comes from
            control = struct.pack("=QiiI", 28, socket.IPPROTO_IP, IP_PKTINFO, 0)
            control += source_at(network, number) + bytes(8)
            held = [ctypes.create_string_buffer(part, len(part)) for part in (text, control)]
            self.kept += held
            vectors[number] = _Vector(ctypes.addressof(held[0]), len(text))
            message.name = ctypes.addressof(self.kept[0])
            message.name_length = len(target)
            message.vectors = ctypes.addressof(vectors) + number * ctypes.sizeof(_Vector)
            message.vector_count = 1
            message.control = ctypes.addressof(held[1])
            message.control_length = len(control)
        self.kept.append(vectors)
        self.size, self.next = size, 0

    def send(self, door: int, count: int) -> int:
        """Out: how many were sent, fewer than asked for at the pool's end or when it is full."""
        count = min(count, self.size - self.next, BATCH)
        at = ctypes.byref(self.messages, self.next * ctypes.sizeof(_Message))
        done: int = LIBC.sendmmsg(door, at, count, socket.MSG_DONTWAIT)
        done = max(0, done)
        self.next = (self.next + done) % self.size
        return done


class Answers:
    """Receives the heads of answers, and counts them."""

    def __init__(self) -> None:
        self.heads = ctypes.create_string_buffer(HEAD_BYTES * BATCH)
        self.vectors = (_Vector * BATCH)()
        self.messages = (_Message * BATCH)()
        for number, message in enumerate(self.messages):
            base = ctypes.addressof(self.heads) + number * HEAD_BYTES
            self.vectors[number] = _Vector(base, HEAD_BYTES)
            message.vectors = ctypes.addressof(self.vectors) + number * ctypes.sizeof(_Vector)
            message.vector_count = 1
        self.count, self.third, self.fourth = 0, Counter[int](), Counter[int]()

    def take(self, door: int) -> int:
        """Out: how many were there."""
        found: int = LIBC.recvmmsg(door, self.messages, BATCH, socket.MSG_DONTWAIT, None)
        if found <= 0:
            return 0
        raw = self.heads.raw[: found * HEAD_BYTES]
        self.third.update(raw[2::HEAD_BYTES])
        self.fourth.update(raw[3::HEAD_BYTES])
        self.count += found
        return found


@dataclass
class Volley:
    """One run."""

    wanted: dict[str, Any]
    answers: Answers = field(default_factory=Answers)
    sent: int = 0

    def run(self) -> dict[str, Any]:
        """Ask all of it.

        Out: what is told on stdout.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                door.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
            door.bind(("", 0))
            pool = Pool(self.wanted)
            say("ready")
            begun, cpu_s = time.monotonic(), sum(os.times()[:2])
            last = self._ask(door.fileno(), pool, begun)
            spent_s = sum(os.times()[:2]) - cpu_s
        third, fourth = self.answers.third, self.answers.fourth
        rcodes = Counter[int]()
        for byte, count in fourth.items():
            rcodes[byte & RCODE] += count
        return {
            "sent": self.sent,
            "answered": self.answers.count,
            "truncated": sum(count for byte, count in third.items() if byte & TC),
            "rcodes": {str(code): count for code, count in sorted(rcodes.items())},
            "seconds": last - begun,
            "cpu_s": spent_s,
        }

    def _ask(self, door: int, pool: Pool, begun: float) -> float:
        """Out: when the last answer came."""
        poll = select.poll()
        poll.register(door, select.POLLIN)
        count, rate = self.wanted["count"], self.wanted["rate"]
        waiting, last = 0, begun
        while self.sent < count or waiting:
            may = min(count - self.sent, self.wanted["window"] - waiting)
            if rate:
                due = int((time.monotonic() - begun) * rate) + 1
                may = min(count - self.sent, due - self.sent)
            done = pool.send(door, may) if may > 0 else 0
            self.sent += done
            waiting += done
            if taken := self.answers.take(door):
                waiting, last = max(0, waiting - taken), time.monotonic()
            elif not done and not self._patient(poll, rate, count):
                waiting = 0
        return last

    def _patient(self, poll: select.poll, rate: int, count: int) -> bool:
        """Wait a moment; whether what waits for its answer may still get it."""
        if rate and self.sent < count:
            poll.poll(max(1.0, 1000 / rate))
            return True
        return bool(poll.poll((LAST_S if self.sent == count else PATIENCE_S) * 1000))


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    say(json.dumps(Volley(json.loads(sys.stdin.readline())).run()))
