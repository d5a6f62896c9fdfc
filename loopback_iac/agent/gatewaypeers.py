"""What gateways of a group tell each other: whether they see the API, and what they hold.

UDP, a question and an answer, each signed with the group's key; the answer repeats the question's
random number, so an old one is worth nothing, and it is dated by the question: no clock matters.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import http.client
import json
import os
import socket
import sys
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

from .gatewaychoice import Said
from .programs import boottime_s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .gatewayfile import Group

# IANA lists nothing here; TCP 8474 is the arbiter's word to its members
PORT = 8475
_MOST_BYTES = 1200
_MAC_CHARACTERS = 64
READY_EVERY_S = 0.5
READY_TIMEOUT_S = 1.0
# two looks that failed, or one that hangs
READY_FOR_S = 2.0


def derive_key(credential: str, group: str) -> bytes:
    """Made of what all nodes of a group hold, and of no use at the API."""
    text = f"loopback egress gateway {group}".encode()
    return hmac.new(credential.strip().encode(), text, hashlib.sha256).digest()


def sign(key: bytes, tree: Mapping[str, Any]) -> bytes:
    """A datagram: MAC and JSON."""
    text = json.dumps(tree, sort_keys=True).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest().encode() + text


def verify(key: bytes, datagram: bytes) -> dict[str, Any] | None:
    """Out: None for what was not signed with the key."""
    mac, text = datagram[:_MAC_CHARACTERS], datagram[_MAC_CHARACTERS:]
    if not hmac.compare_digest(mac, hmac.new(key, text, hashlib.sha256).hexdigest().encode()):
        return None
    try:
        tree = json.loads(text)
    except ValueError:
        return None
    return tree if isinstance(tree, dict) else None


def render_answer(said: Said, number: str, node: str, age_s: float) -> dict[str, Any]:
    """A node's word, and how old it is."""
    return {**said._asdict(), "at_s": 0, "number": number, "node": node, "age_s": age_s}


def parse_answer(tree: Mapping[str, Any], number: str, node: str, asked_s: float) -> Said | None:
    """Out: None for what answers something else."""
    if tree.get("number") != number or tree.get("node") != node:
        return None
    try:
        flags = ("api", "ready", "holds", "settled", "gone", "prepared")
        return Said(
            asked_s - max(0.0, float(tree["age_s"])),
            int(tree["epoch"]),
            **{flag: bool(tree[flag]) for flag in flags},
            offer=str(tree["offer"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


class Ear:
    """Answers for every group of this node."""

    def __init__(self, words: Mapping[str, tuple[bytes, str, Callable[[], Said]]]) -> None:
        """In: by group, its key, this node's name, and its word."""
        self._words = words

    def start(self) -> None:
        """Answer from now on; the threads end with the process."""
        line = _listen()
        threading.Thread(target=self._run, args=(line,), name="ear", daemon=True).start()

    def _run(self, line: socket.socket) -> None:
        while True:
            try:
                datagram, whence = line.recvfrom(_MOST_BYTES)
                answer = self.answer(datagram)
                if answer is not None:
                    line.sendto(answer, whence)
            except OSError as broken:
                sys.stderr.write(f"UDP {PORT}: {broken}\n")
                time.sleep(READY_EVERY_S)

    def answer(self, datagram: bytes) -> bytes | None:
        """Out: None for what was not asked by a node of the group."""
        for key, node, word in self._words.values():
            asked = verify(key, datagram)
            if asked is not None and asked.get("ask") == node:
                said = word()
                age_s = boottime_s() - said.at_s
                return sign(key, render_answer(said, str(asked.get("number")), node, age_s))
        return None


def _listen() -> socket.socket:
    """Of both families, or of IPv4 on a kernel that was started without IPv6."""
    try:
        line = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    except OSError as refused:
        if refused.errno != errno.EAFNOSUPPORT:
            raise
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        line.bind(("0.0.0.0", PORT))  # noqa: S104  # what is not signed is not answered
        return line
    line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    line.bind(("::", PORT))
    return line


class Peers:
    """The other nodes of one group, asked again and again; a thread each."""

    def __init__(self, group: Group, node: str, key: bytes) -> None:
        self._group, self._key = group, key
        self._others = [other for other in group.nodes if other.name != node]
        self.said: dict[str, Said] = {}

    def start(self) -> None:
        """Begin to ask."""
        for other in self._others:
            threading.Thread(
                target=self._run, args=(other.name, other.address), name=other.name, daemon=True
            ).start()

    def _run(self, name: str, address: str) -> None:
        pause_s = min(0.1, self._group.timing.interval_s / 2)
        while True:
            said = self._try(name, address, pause_s * 2)
            if said is not None:
                self.said = {**self.said, name: said}
            time.sleep(pause_s)

    def _try(self, name: str, address: str, timeout_s: float) -> Said | None:
        number = os.urandom(16).hex()
        try:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as line:
                line.settimeout(timeout_s)
                line.connect((address, PORT))
                asked_s = boottime_s()
                line.send(sign(self._key, {"ask": name, "number": number}))
                tree = verify(self._key, line.recv(_MOST_BYTES))
        except OSError:
            return None
        return parse_answer(tree, number, name, asked_s) if tree is not None else None


class Ready:
    """Whether the Cilium agent of this node says that it is well."""

    def __init__(self, url: str) -> None:
        self._parts = urllib.parse.urlsplit(url)
        self._answered_s = float("-inf")

    def start(self) -> None:
        """Begin to ask."""
        threading.Thread(target=self._run, name="ready", daemon=True).start()

    def __bool__(self) -> bool:
        return boottime_s() - self._answered_s < READY_FOR_S

    def _run(self) -> None:
        while True:
            began_s = boottime_s()
            if self._try():
                self._answered_s = began_s
            time.sleep(READY_EVERY_S)

    def _try(self) -> bool:
        line = http.client.HTTPConnection(
            self._parts.hostname or "", self._parts.port or 80, timeout=READY_TIMEOUT_S
        )
        try:
            # without this header Cilium's own checks of its peers count as well
            line.request("GET", self._parts.path or "/", headers={"brief": "true"})
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            line.close()
