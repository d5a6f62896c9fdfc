"""A member's end of a failover address that servers take over themselves: IONOS.

The arbiter tells it who holds the address. Told that it does, it puts the address on the card that
has its own, and says so to the LAN by gratuitous ARP, which is what moves the traffic there; told
that another does, it takes it off. It decides nothing: told nothing, it leaves things as they are,
and after a boot it has nothing.

Sources: docs.ionos.com, VDC Networking: IP Failover (who has the traffic is the operating system's
matter), Compatibility (gratuitous ARP); RFC 5227 section 3, RFC 826.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
import socketserver
import struct
import sys
import threading
from typing import NamedTuple

from .bundle import parse_json
from .programs import must, run
from .refusal import RefusedError
from .routes import OURS, PROTOCOL
from .words import PATIENCE_S, PORT, Word, make_challenge, parse_word, read_line

HOLD = "/etc/loopback/hold.json"
KEY = "/etc/loopback/hold-key"
# Frames get lost, and whoever keeps the old answer is not asked: a new holder says it so often,
# once per word that it hears.
ANNOUNCED = 5
_ARP = 0x0806
_EVERYBODY = b"\xff" * 6


class Hold(NamedTuple):
    """The whole file."""

    name: str
    own: str
    address: str


def parse_hold(content: bytes) -> Hold:
    """Read hold.json.

    Raises: RefusedError naming what does not fit.
    """
    value = parse_json(content, "hold.json")
    try:
        own, address = (str(ipaddress.IPv4Address(value[key])) for key in ("own", "address"))
        return Hold(str(value["name"]), own, address)
    except (KeyError, TypeError, ValueError) as wrong:
        raise RefusedError(
            f"hold.json does not fit format 1: {type(wrong).__name__} {wrong}"
        ) from wrong


def parse_key(content: bytes) -> bytes:
    """Raises: RefusedError for what is no key."""
    try:
        key = bytes.fromhex(content.decode("ascii"))
    except ValueError as wrong:
        raise RefusedError("hold-key is no hexadecimal number") from wrong
    if len(key) != 32:
        raise RefusedError("hold-key is not 32 bytes long")
    return key


def render_announcement(mac: bytes, address: str) -> tuple[bytes, bytes]:
    """Gratuitous ARP, as request and as reply: some listen to the one, some to the other.

    In:  hardware address of the card.
    Sources: RFC 5227 section 3 (announcement), RFC 826.
    """
    ip = socket.inet_aton(address)
    head = _EVERYBODY + mac + struct.pack("!H", _ARP)

    def frame(operation: int, target: bytes) -> bytes:
        return head + struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + mac + ip + target + ip

    return frame(1, b"\0" * 6), frame(2, _EVERYBODY)


class Member:
    """One member: what it was told last."""

    def __init__(self, kept: Hold, key: bytes) -> None:
        self.kept, self.key = kept, key
        self._number, self._left = "", 0
        self._alone = threading.Lock()

    def carry_out(self, word: Word) -> None:
        """Make the card what a word says.

        Raises: RefusedError when the own address is on no card, or with ip's complaint.
        """
        if word.address != self.kept.address or not word.holder:
            return
        with self._alone:
            device, held = find_card(self.kept)
            if word.holder != self.kept.name:
                self._left, self._number = 0, word.number
                if held:
                    must("ip", "address", "del", f"{self.kept.address}/32", "dev", device)
                    _say(f"{self.kept.address}: given up, {word.holder} holds it")
                return
            if not held:
                given = (f"{self.kept.address}/32", "dev", device, "proto", str(PROTOCOL))
                must("ip", "address", "add", *given)
                _say(f"{self.kept.address}: taken, on {device}")
            if not held or word.number != self._number:
                self._left, self._number = ANNOUNCED, word.number
            if self._left:
                self._left -= 1
                announce(device, self.kept.address)


def find_card(kept: Hold) -> tuple[str, bool]:
    """Out: the card with the member's own address; whether the failover address is on it.

    Raises: RefusedError when there is no such card.
    """
    for link in json.loads(must("ip", "-j", "-4", "address", "show") or "[]"):
        there = {entry.get("local") for entry in link.get("addr_info", [])}
        if kept.own in there:
            return str(link["ifname"]), kept.address in there
    raise RefusedError(f"no card has this host's own address {kept.own}")


def announce(device: str, address: str) -> None:
    """Tell the LAN of a card that the address is here."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP)) as line:
        line.bind((device, _ARP))
        for frame in render_announcement(line.getsockname()[4], address):
            line.send(frame)


def drop_addresses(kept: str = "") -> None:
    """Take failover addresses off the cards, all but one: this host is no member of them now.

    In:  kept, the one that may stay.
    """
    for link in json.loads(run("ip", "-j", "-4", "address", "show").out or "[]"):
        for entry in link.get("addr_info", []):
            ours = str(entry.get("protocol", "")) in OURS and link["ifname"] != "lo"
            if ours and entry["local"] != kept:
                run("ip", "address", "del", f"{entry['local']}/32", "dev", link["ifname"])


def read_hold(path: str = HOLD) -> Hold | None:
    """The file that stands on the host, or None."""
    try:
        with open(path, "rb") as stream:
            return parse_hold(stream.read())
    except FileNotFoundError:
        return None


class _Heard(socketserver.BaseRequestHandler):
    """One word."""

    member: Member
    request: socket.socket

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            challenge = make_challenge()
            self.request.sendall(challenge)
            word = parse_word(self.member.key, challenge, read_line(self.request))
            answer = "not said by this arbiter"
            if word is not None:
                try:
                    self.member.carry_out(word)
                    answer = "ok"
                except (RefusedError, OSError) as refused:
                    answer = str(getattr(refused, "what", refused)).splitlines()[0]
                    _say(answer)
            self.request.settimeout(PATIENCE_S)
            self.request.sendall(answer.encode() + b"\n")


class _Ear(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def hold() -> None:
    """Listen for ever.

    Raises: RefusedError when there is no hold.json or no key.
    """
    kept = read_hold()
    if kept is None:
        raise RefusedError("there is no /etc/loopback/hold.json", fix="apply a bundle first")
    try:
        with open(f"{os.environ.get('CREDENTIALS_DIRECTORY', '')}/key", "rb") as stream:
            key = parse_key(stream.read())
    except OSError as missing:
        raise RefusedError(
            "the unit has no credential `key`", fix="start it as loopback-hold.service"
        ) from missing
    drop_addresses(kept.address)
    _Heard.member = Member(kept, key)
    with _Ear(("0.0.0.0", PORT), _Heard) as ear:  # noqa: S104  # what is not signed is not done
        ear.serve_forever()


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
