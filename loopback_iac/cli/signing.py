"""SSH signatures (SSHSIG) by ssh-keygen, so that a key in an agent or on a token serves as well."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from loopback_iac.cli.running import refuse
from loopback_iac.evidence.verify import NAMESPACE, Wrong, check_signature

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+@-]{0,127}")
"""A principal without what allowed_signers files give a meaning."""


def check_signer(name: str) -> None:
    """Refuse a name that would mean something else in an allowed_signers file."""
    if not NAME.fullmatch(name):
        need = "letters, digits and . _ % + @ -, for example edge@example.org"
        refuse(f"--signer: got {name!r}, need {need}", 2)


def signer_line(name: str, key: Path) -> str:
    """The line of an allowed_signers file that trusts this key for evidence only."""
    beside = key if key.suffix == ".pub" else key.with_name(key.name + ".pub")
    known = beside.is_file()
    public = beside.read_text() if known else _ssh_keygen(["-y", "-f", str(key)], key)
    kind, blob, *_ = public.split()
    return f'{name} namespaces="{NAMESPACE}" {kind} {blob}\n'


def sign_file(path: Path, key: Path, name: str, signers: Path) -> None:
    """Write the signature beside a file, and refuse a key that nobody would believe."""
    _ssh_keygen(["-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(path)], key)
    try:
        check_signature(path, name, signers)
    except Wrong as wrong:
        refuse(
            f"--key {key}: the signature would not be believed: {wrong}\n"
            f"  fix: choose the key that {signers.name} has for {name}, or add it there:\n"
            f"  {signer_line(name, key).strip()}",
            2,
        )


def _ssh_keygen(argv: Sequence[str], key: Path) -> str:
    try:
        done = subprocess.run(
            ["ssh-keygen", *argv], capture_output=True, text=True, check=False
        )  # it asks for a passphrase on the terminal by itself
    except FileNotFoundError:
        refuse("ssh-keygen is not installed\n  fix: apt install openssh-client", 2)
    if done.returncode:
        said = (done.stderr.strip() or "no word").splitlines()[-1]
        refuse(
            f"--key {key}: ssh-keygen could not use it: {said}\n"
            "  fix: name a private key, or a public one whose other half an agent has",
            2,
        )
    return done.stdout
