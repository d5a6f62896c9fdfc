"""The first SSH host key of a machine that we boot: derived, so the first connection is pinned.

HKDF (RFC 5869) over the fleet's secret, the machine's name and an epoch. The same three give the
same key, so a plan shows no change and nothing has to be kept but the secret.
"""

import base64
import struct
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from loopback_iac.model.problem import InputRejected, Problem

SHORTEST_SECRET = 32  # characters; a random one of base64 then has 192 bits
KEY_TYPE = b"ssh-ed25519"
MAGIC = b"openssh-key-v1\0"


class HostKey(NamedTuple):
    """Both halves as OpenSSH writes them."""

    private: str
    """openssh-key-v1, with a final newline."""
    public: str
    """An authorized_keys line without a comment."""


def host_key(path: str, secret: str, name: str, epoch: int) -> HostKey:
    """The key of one machine.

    In: `path` of the secret, for messages.
    Raises: InputRejected for a secret that could be guessed.
    """
    if len(secret) < SHORTEST_SECRET or len(set(secret)) < SHORTEST_SECRET // 4:
        problem = Problem(
            path,
            f"has {len(secret)} characters, {len(set(secret))} of them different",
            f"at least {SHORTEST_SECRET} random characters",
            "make one with `openssl rand -base64 33` and keep it: every host key follows from it",
            "fleet-secret",
        )
        raise InputRejected(path, (problem,))
    bound = f"loopback-iac ssh host key\n{name}\n{epoch}".encode()
    seed = HKDF(SHA256(), 32, salt=None, info=bound).derive(secret.encode())
    key = Ed25519PrivateKey.from_private_bytes(seed)
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    public = _string(KEY_TYPE) + _string(raw)
    line = f"{KEY_TYPE.decode()} {base64.b64encode(public).decode()}"
    return HostKey(_armored(public, raw, seed), line)


def _armored(public: bytes, raw: bytes, seed: bytes) -> str:
    """The private half in OpenSSH's own format, not encrypted.

    Written here because every library draws the two check words at random: the user data would
    differ at each run, and the machine would be replaced each time.

    Sources: PROTOCOL.key of OpenSSH.
    """
    check = seed[:4]  # equal words tell a right passphrase from a wrong one; there is none
    inner = check * 2 + public + _string(seed + raw) + _string(b"")
    inner += bytes(range(1, 1 + -len(inner) % 8))
    blob = MAGIC + _string(b"none") * 2 + _string(b"") + struct.pack(">I", 1)
    text = base64.b64encode(blob + _string(public) + _string(inner)).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return "\n".join(
        ["-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""]
    )


def _string(value: bytes) -> bytes:
    """RFC 4251 section 5."""
    return struct.pack(">I", len(value)) + value
