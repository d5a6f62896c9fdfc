"""From a chain to a bundle on the disk: the whole folder, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.cli.chain import clear_killed, need_chain, write_folder
from loopback_iac.cli.running import refuse
from loopback_iac.cli.signing import check_signer, sign_file
from loopback_iac.evidence.bundle import Told, render_bundle, render_index, verifier_bytes
from loopback_iac.evidence.canonical import sha256
from loopback_iac.evidence.verify import CHAIN, INDEX, MANIFEST, SIGNATURE, SIGNERS

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


def write_bundle(
    folder: Path, out: Path, key: Path, signer: str | None, now: datetime
) -> tuple[str, str]:
    """
    Write a bundle of a chain.

    In: signer, None for the one of the last manifest.
    Out: the head, and SHA-256 of verify.py.
    """
    chain = need_chain(folder, now)
    head = chain.manifests[-1]
    name = signer or str(head["signer"])
    check_signer(name)
    signers = (folder / SIGNERS).read_bytes()
    if sha256(signers) != head["signers_sha256"]:
        refuse(
            f"--chain {folder}: {SIGNERS} is not the file that the last manifest was made with\n"
            "  fix: `loopback evidence record` once more, so that the change is in the chain",
            1,
        )
    if out.exists():
        refuse(f"--out {out}: it is there already\n  fix: name a new folder", 2)
    texts = {each: (chain.last_folder / each).read_bytes() for each in head["documents"]}
    told = Told(chain.manifests, texts)
    made = render_bundle(told, _manifests(folder), signers)
    index = render_index(told, made, name)
    out.parent.mkdir(parents=True, exist_ok=True)
    clear_killed(out)

    def finish(at: Path) -> None:
        sign_file(at / INDEX, key, name, at / SIGNERS)

    write_folder(out, {**made, **index}, finish, inside=out.parent)
    return str(head["sha256"]), sha256(verifier_bytes())


def _manifests(folder: Path) -> dict[str, bytes]:
    found = {}
    for link in sorted(folder.glob("[0-9]*")):
        for name in (MANIFEST, MANIFEST + SIGNATURE):
            found[f"{CHAIN}/{link.name}/{name}"] = (link / name).read_bytes()
    return found
