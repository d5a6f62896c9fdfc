"""The deploy key's line in authorized_keys: restricted to this agent. Other lines are never
touched.
"""

from __future__ import annotations

import os
import pwd
import re

from .allowed import POP
from .files import read_on_disk, replace
from .refusal import RefusedError

FORCED = 'restrict,command="/usr/local/sbin/loopback-agent ssh"'
ONWARD = ",port-forwarding"
_KEPT_OPTION = re.compile(r'(?:from|expiry-time)="[^"]*"')
_KEY = re.compile(r"((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+)\s+([A-Za-z0-9+/]+=*)")


def restrict_key(deploy_key: str, role: str) -> None:
    """Give the key its forced command in the login user's file.

    In:  the role; through a PoP the key may reach on to workers, as far as the PoP's sshd_config
         permits.

    Raises: RefusedError when the text is no key, or no line of the file has it.
    """
    user = pwd.getpwuid(os.geteuid())
    path = f"{user.pw_dir}/.ssh/authorized_keys"
    found = read_on_disk(path)
    before = found.content.decode("utf-8", "surrogateescape") if found else ""
    after = restricted(before, deploy_key, path, ONWARD if role == POP else "")
    if found and after != before:
        replace(path, after.encode("utf-8", "surrogateescape"), found.mode, found.uid, found.gid)


def restricted(text: str, deploy_key: str, path: str, more: str = "") -> str:
    """The file's text with the key's line forced; `from=` and `expiry-time=` options of that line
    stay.

    Raises: RefusedError as above.
    """
    key = _KEY.fullmatch(deploy_key.strip()) or _KEY.match(deploy_key.strip() + " ")
    if key is None:
        raise RefusedError(
            "deploy_key is no public key in OpenSSH's form",
            fix="pass `ssh-ed25519 AAAA...` or null",
        )
    lines, seen = [], False
    for line in text.splitlines():
        held = None if line.lstrip().startswith("#") else _KEY.search(line)
        if held and held.group(2) == key.group(2):
            seen = True
            kept = _KEPT_OPTION.findall(line[: held.start()])
            lines.append(",".join([*kept, FORCED + more]) + " " + line[held.start() :])
        else:
            lines.append(line)
    if not seen:
        raise RefusedError(
            f"the deploy key is in no line of {path}, so it cannot be restricted",
            fix="let the deploy key log in through that file, or set deploy_key to null",
            host="enrolled, the key is not restricted",
        )
    return "\n".join(lines) + "\n"
