"""The lab's own Debian mirror: packages as Debian made them, vouched for by a key born in the lab.

A flat repository (sources.list(5)): packages, `Packages`, and `InRelease` that carries its digests
and a signature. Hosts that are given its address trust its key for it and for nothing else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from loopback_iac.lab.paths import LabError
from loopback_iac.lab.topology import MIRROR, MIRROR_PORT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from loopback_iac.lab.paths import InstancePaths
    from loopback_iac.lab.topology import Topology

KEYRING = "etc/apt/keyrings/loopback-lab.asc"
SOURCES = "etc/apt/sources.list.d/loopback-lab.sources"
_OWNER = "Loopback lab mirror"


def render_sources(topology: Topology) -> str:
    """What a host's apt has to be told, as a deb822 stanza (sources.list(5))."""
    end = topology.uplink(MIRROR)
    return (
        "Types: deb\n"
        f"URIs: http://{end.v4.ip if end.v4 else ''}:{MIRROR_PORT}/\n"
        "Suites: ./\n"
        f"Signed-By: /{KEYRING}\n"
    )


def ensure_signing_key(paths: InstancePaths, name: str = "mirror") -> str:
    """
    Make an OpenPGP key for the mirror unless there is one.

    In: name, another one for a key that nobody was told to trust.
    Out: its public half, armored.
    Raises: LabError when gpg is missing or refuses.
    """
    home = paths.keys / f"openpgp-{name}"
    if not home.exists():
        home.mkdir(parents=True, mode=0o700)
        _gpg(home, "--quick-generate-key", "--passphrase", "", _OWNER, "ed25519", "sign", "never")
    return _gpg(home, "--armor", "--export", _OWNER)


def publish(
    paths: InstancePaths, packages: Iterable[Path] = (), *, signed_by: str = "mirror"
) -> None:
    """
    Add packages to what the mirror serves, and sign the whole of it anew.

    In: packages, `.deb` files; signed_by, the name of a signing key.
    Raises: LabError when a package cannot be read, or as `ensure_signing_key` does.
    """
    paths.mirror.mkdir(exist_ok=True)
    for package in packages:
        shutil.copy(package, paths.mirror / package.name)
    ensure_signing_key(paths, signed_by)
    index = "\n".join(_describe(package) for package in sorted(paths.mirror.glob("*.deb")))
    _replace(paths.mirror / "Packages", index)
    signed = _gpg(
        paths.keys / f"openpgp-{signed_by}", "--clear-sign", stdin=_render_release(index.encode())
    )
    _replace(paths.mirror / "InRelease", signed)


def _describe(package: Path) -> str:
    content = package.read_bytes()
    control = _run(["dpkg-deb", "--field", str(package)])
    return (
        f"{control.rstrip()}\nFilename: ./{package.name}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )


def _render_release(index: bytes) -> str:
    now = dt.datetime.now(dt.UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
    return (
        f"Origin: {_OWNER}\nLabel: {_OWNER}\nSuite: trixie\nDate: {now}\n"
        f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
    )


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text)
    draft.rename(path)


def _gpg(home: Path, *words: str, stdin: str = "") -> str:
    if not shutil.which("gpg"):
        raise LabError(
            "gpg is missing: it signs the lab's package mirror\n  fix: apt-get install gnupg"
        )
    try:
        return _run(["gpg", "--homedir", str(home), "--batch", "--quiet", *words], stdin)
    finally:
        # gpg leaves an agent behind, which would outlive the lab
        _run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"])


def _run(argv: list[str], stdin: str = "") -> str:
    done = subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise LabError(f"`{argv[0]} {argv[-1]}`: {done.stderr.strip()}")
    return done.stdout
