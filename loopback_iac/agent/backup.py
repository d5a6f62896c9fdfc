"""Zones and their keys to machines elsewhere: encrypted here for a reader whose key is not here.

What a target's forced command takes it keeps under a new name, and nothing that this host holds
reads, replaces or removes it there: whoever takes the host over cannot take its backups along.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .bundle import parse_json
from .files import read_on_disk, replace
from .programs import run
from .refusal import RefusedError
from .state import FORMAT, LIBRARY, RUN, alone

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGETS = "/etc/loopback/backup.json"
READER = "/etc/loopback/backup-reader.pem"
KEY = "/etc/loopback/backup-key"
ZONES = "/etc/loopback/zones"
DONE = f"{LIBRARY}/backup.json"
_SEND_S = 300.0
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_HOST_KEY = re.compile(r"[a-z0-9-]+ [A-Za-z0-9+/]+=*")


class Target(NamedTuple):
    """A machine that takes backups."""

    name: str
    address: str
    port: int
    user: str
    host_key: str


def parse_targets(content: bytes) -> list[Target]:
    """Raises: RefusedError naming the first target that is none."""
    told = parse_json(content, "list of backup targets").get("targets")
    if not isinstance(told, dict) or not told:
        raise RefusedError("backup.json names no target")
    return [_target(name, entry) for name, entry in sorted(told.items())]


def _target(name: str, entry: Any) -> Target:  # noqa: ANN401 - JSON
    told = entry if isinstance(entry, dict) else {}
    address, user = str(told.get("address")), str(told.get("user"))
    port, host_key = told.get("port"), str(told.get("host_key"))
    fits = _HOST.fullmatch(address) and _USER.fullmatch(user) and _HOST_KEY.fullmatch(host_key)
    if not fits or not isinstance(port, int) or not 0 < port < 65536:
        raise RefusedError(f"the backup target {name!r} lacks address, port, user or host key")
    return Target(name, address, port, user, host_key)


def back_up() -> dict[str, Any]:
    """One backup to every target; what one does not take the others get all the same.

    Out: size, digest, and the targets that have it.
    Raises: RefusedError naming each target that has it not, and why.
    """
    import hashlib

    from .zonekeys import encrypted_backup

    found, reader = read_on_disk(TARGETS), read_on_disk(READER)
    if found is None or reader is None:
        raise RefusedError("no backups are declared", fix="give the baseline `backups`")
    targets = parse_targets(found.content)
    with alone():
        sealed = encrypted_backup(reader.content, ZONES)
    digest = hashlib.sha256(sealed.encode()).hexdigest()
    refused = {target.name: _send(target, sealed, digest) for target in targets}
    _note([target.name for target in targets if not refused[target.name]], digest)
    failed = [f"{name}: {why}" for name, why in refused.items() if why]
    if failed:
        raise RefusedError(
            "not backed up to " + "; ".join(failed),
            fix="see that the target is up, has room and the line of the output backup_line",
            host="serving as before",
        )
    return {"format": FORMAT, "bytes": len(sealed), "sha256": digest, "targets": sorted(refused)}


def _send(target: Target, sealed: str, digest: str) -> str:
    """Out: why the target has it not, or nothing."""
    known = f"{RUN}/backup-known-hosts"
    named = target.address if target.port == 22 else f"[{target.address}]:{target.port}"
    replace(known, f"{named} {target.host_key}\n".encode(), 0o600)
    options = (
        *("-F", "none", "-i", KEY, "-p", str(target.port), "-l", target.user),
        *(word for option in _ssh_options(known) for word in ("-o", option)),
    )
    try:
        done = run("ssh", *options, "--", target.address, stdin=sealed, timeout_s=_SEND_S)
    except RefusedError as late:
        return late.what
    if done.code:
        return done.complaint or f"ssh ended with {done.code}"
    return "" if done.out.strip() == digest else "it answers with another digest"


def _ssh_options(known: str) -> Sequence[str]:
    return (
        "IdentitiesOnly=yes",
        f"UserKnownHostsFile={known}",
        "GlobalKnownHostsFile=none",
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "ConnectTimeout=10",
        "ServerAliveInterval=15",
        "ControlPath=none",
    )


def _note(names: list[str], digest: str) -> None:
    done = report_backups() or {}
    done |= {name: {"at_s": int(time.time()), "sha256": digest} for name in names}
    replace(DONE, json.dumps(done, sort_keys=True).encode(), 0o644)


def report_backups() -> dict[str, Any] | None:
    """When each target last took a backup, and its digest; None where none are declared."""
    if not os.path.exists(TARGETS):
        return None
    found = read_on_disk(DONE)
    told: dict[str, Any] = json.loads(found.content) if found else {}
    return told
