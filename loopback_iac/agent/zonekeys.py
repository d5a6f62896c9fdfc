"""The keys of zones, carried off the host in a form that only their owner reads, and back.

With them goes what dynamic updates brought: no declaration has it.

Whoever has them can sign for the zones, so they leave Knot's own database in memory only, and the
host as a CMS message (RFC 5652) for a certificate whose private key was never here.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import tarfile
from typing import TYPE_CHECKING, Any

from .programs import must, run
from .refusal import RefusedError
from .sets import read_set
from .state import RUN, read_state
from .updated import seed_zones, updated_zones
from .zones import LOAD_S, zones_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# knotd writes there as its own user; both are in memory
_KNOT = "/run/knot/loopback-keys"
_OWN = f"{RUN}/keys"
# `quic` is the key of transfers: it is made anew from the declaration, and was seen in backups
_WORDS = ("+backupdir", _KNOT, "+keysonly", "+nozonefile", "+noquic")
_UPDATES = f"{_KNOT}/updates"
_CONTENT = (
    *("+backupdir", _UPDATES, "+journal", "+nozonefile"),
    *("+nokaspdb", "+notimers", "+nocatalog", "+noquic"),
)
_MOST_BYTES = 64_000_000


def backup_keys(certificate: bytes) -> None:
    """Write every key to stdout, encrypted.

    In:  PEM of the certificate that may read it.
    Raises: RefusedError when the host signs nothing, or openssl does not take the certificate.
    """
    sys.stdout.write(encrypted_backup(certificate))


def encrypted_backup(certificate: bytes, zones: str = "") -> str:
    """Every key, and zone files beside them, for one reader.

    In:  PEM of the certificate that may read it; the folder of zone files, if they come along.
    Out: a CMS message in PEM; `restore_keys` takes it decrypted, with zones or without.
    Raises: RefusedError when the host signs nothing, or openssl does not take the certificate.
    """
    _, updated = _signed_zones()
    with _folders():
        if b"PRIVATE KEY" in certificate:
            raise RefusedError(
                "this is a private key", fix="send the certificate; the key stays where it is"
            )
        _write(f"{_OWN}/reader.pem", certificate)
        _knotc("zone-backup", *_WORDS)
        if updated:
            _knotc("zone-backup", *_CONTENT, *updated)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(_KNOT, arcname=".")
            if zones:
                archive.add(zones, arcname="zones")
        _write(f"{_OWN}/keys.tar", packed.getvalue())
        done = run(
            *("openssl", "cms", "-encrypt", "-binary", "-aes256", "-outform", "PEM"),
            *("-in", f"{_OWN}/keys.tar", f"{_OWN}/reader.pem"),
        )
        if done.code:
            raise RefusedError(
                f"openssl did not encrypt for this certificate: {done.complaint}",
                fix="send a certificate of an RSA or EC key, in PEM, on stdin",
            )
        return done.out


def restore_keys(archive: bytes) -> dict[str, Any]:
    """Put keys back and sign every zone with them.

    In:  the tar file, decrypted.
    Out: zones that are signed with them, and those that the backup has no key of.
    Raises: RefusedError; the keys are as they were unless Knot itself failed half-way.
    """
    zones, updated = _signed_zones()
    with _folders():
        _unpack(archive)
        must("chown", "-R", "knot:knot", _KNOT)
        _knotc("-f", "zone-restore", *_WORDS)
        if updated and os.path.isdir(_UPDATES):
            _knotc("-f", "zone-restore", *_CONTENT, *updated)
        # what the backup does not have yet stands without content, and not at all on a new disk
        seed_zones(updated)
        for zone in zones:
            _knotc("zone-sign", zone)
        held = {name.removesuffix(".pem") for _, _, names in os.walk(_KNOT) for name in names}
        restored = [z for z in zones if held & set(run("keymgr", z, "list").out.split())]
    # one that was declared after the backup was made goes on with the keys it has
    return {"format": 1, "restored": restored, "kept": sorted({*zones} - {*restored})}


def _signed_zones() -> tuple[list[str], list[str]]:
    """All zones, and those that change by update."""
    kept = read_set(read_state()["active"])
    zones = zones_of(kept) if kept else []
    if not zones:
        raise RefusedError("this host signs no zone", fix="ask the hidden primary")
    return zones, updated_zones(kept) if kept else []


@contextlib.contextmanager
def _folders() -> Iterator[None]:
    """Two places in memory, gone afterwards whatever happens."""
    _drop()
    os.makedirs(_OWN, mode=0o700)
    try:
        yield
    finally:
        _drop()


def _drop() -> None:
    for folder in (_OWN, _KNOT):
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(archive: bytes) -> None:
    if len(archive) > _MOST_BYTES:
        raise RefusedError(f"{len(archive)} bytes are no backup of keys")
    os.makedirs(_KNOT, mode=0o700)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as packed:
            packed.extractall(_KNOT, filter="data")
    except (tarfile.TarError, OSError) as broken:
        raise RefusedError(
            f"stdin is no backup of keys: {broken}",
            fix="decrypt it first: openssl cms -decrypt -inform PEM -inkey KEY.pem",
        ) from broken


def _knotc(*words: str) -> None:
    done = run("knotc", "-b", "-t", str(LOAD_S), *words, timeout_s=LOAD_S + 5)
    if done.code:
        raise RefusedError(f"knotc {' '.join(words[:2])}: {done.complaint}")


def _write(path: str, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
