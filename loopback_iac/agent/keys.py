"""The private halves of the tunnels' keys: born here, named by epoch, removed once no tunnel uses
them.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
from typing import TYPE_CHECKING

from .allowed import tunnel_of
from .files import read_on_disk, remove, replace
from .programs import must
from .refusal import RefusedError
from .sets import read_set
from .state import read_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .bundle import SetFile

KEYS = "/etc/loopback/keys"
_FILE = re.compile(r"wireguard-(\d+)\.key")
_USE = re.compile(rf"^\s*PostUp\s*=.*\bprivate-key\s+{KEYS}/wireguard-(\d+)\.key\s*$", re.MULTILINE)


def key_path(epoch: int) -> str:
    """Where the private half of an epoch lies."""
    return f"{KEYS}/wireguard-{epoch}.key"


def wireguard_key(epoch: int) -> str:
    """The public half of this host's key; the private half is born here, stays here and is never
    printed.
    """
    path = key_path(epoch)
    found = read_on_disk(path)
    if found is None:
        replace(path, must("wg", "genkey").encode("ascii"), 0o600)
        found = read_on_disk(path)
    if found is None or found.mode & 0o077:
        raise RefusedError(
            f"{path} is readable by others",
            fix=f"rotate: declare the next key epoch and remove {path}",
        )
    public = must("wg", "pubkey", stdin=found.content.decode("ascii")).strip()
    base64.b64decode(public, validate=True)
    return public


def epochs_of(files: Mapping[str, SetFile]) -> dict[str, int]:
    """Out: tunnel -> key epoch, for every tunnel file that names a key of ours."""
    named = {
        tunnel: _USE.search(file.text)
        for path, file in files.items()
        if (tunnel := tunnel_of(path))
    }
    return {tunnel: int(found.group(1)) for tunnel, found in sorted(named.items()) if found}


def epochs_kept() -> set[int]:
    """Epochs that a set which stands, or may come back, uses."""
    state = read_state()
    digests = [
        state["active"],
        *((state[k] or {}).get("digest") for k in ("pending", "rolled_back")),
    ]
    kept = [found for digest in digests if (found := read_set(digest))]
    return {epoch for each in kept for epoch in epochs_of(each.files).values()}


def forget_keys(used: set[int]) -> list[str]:
    """Remove private keys of all other epochs.

    Out: paths removed. Nothing used removes nothing: it says nothing about keys.
    """
    found: dict[int, str] = {}
    with contextlib.suppress(FileNotFoundError):
        names = filter(None, map(_FILE.fullmatch, os.listdir(KEYS)))
        found = {int(name.group(1)): f"{KEYS}/{name.group()}" for name in names}
    gone = [path for epoch, path in sorted(found.items()) if used and epoch not in used]
    for path in gone:
        remove(path)
    return gone
