"""What an arbiter tells a member: who holds the address now. Signed, and good for one time.

The member sends a line of random digits; the arbiter answers `MAC JSON`, the MAC over both. So an
old word is of no use to whoever kept it, and nobody's clock matters.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket

# IANA lists nothing here; a member listens, the arbiter connects
PORT = 8474
MOST_BYTES = 4096
# both ends wait so long for each other's line
PATIENCE_S = 2.0


class Word(NamedTuple):
    """Who holds one address, and which telling of that it is: another one is announced anew."""

    address: str
    holder: str
    number: str


def derive_key(token: str, member: str) -> bytes:
    """A member's own key: made from the token, which cannot be made from it."""
    return hmac.new(token.encode(), f"loopback hold {member}".encode(), hashlib.sha256).digest()


def make_challenge() -> bytes:
    """A line that was never sent before."""
    return os.urandom(16).hex().encode() + b"\n"


def render_word(key: bytes, challenge: bytes, word: Word) -> bytes:
    """One line."""
    text = json.dumps(word._asdict(), sort_keys=True).encode()
    return _mac(key, challenge, text) + b" " + text + b"\n"


def parse_word(key: bytes, challenge: bytes, line: bytes) -> Word | None:
    """Out: None for what was not said by whoever has the key, in answer to this challenge."""
    given, _, text = line.rstrip(b"\n").partition(b" ")
    if not hmac.compare_digest(given, _mac(key, challenge, text)):
        return None
    try:
        return Word(**{name: str(value) for name, value in json.loads(text).items()})
    except (ValueError, TypeError, AttributeError):
        return None


def read_line(line: socket.socket) -> bytes:
    """What the other end says, within our patience for all of it.

    Raises: OSError as recv(2) does.
    """
    end_s, said = time.monotonic() + PATIENCE_S, b""
    while b"\n" not in said and len(said) < MOST_BYTES:
        line.settimeout(max(0.001, end_s - time.monotonic()))
        more = line.recv(MOST_BYTES)
        if not more:
            break
        said += more
    return said.partition(b"\n")[0] + b"\n"


def _mac(key: bytes, challenge: bytes, text: bytes) -> bytes:
    return hmac.new(key, challenge.strip() + b" " + text, hashlib.sha256).hexdigest().encode()
