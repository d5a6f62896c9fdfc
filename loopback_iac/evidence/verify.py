"""Checks a bundle or a chain of evidence. Needs Python 3.11 and ssh-keygen, nothing else.

    python3 verify.py FOLDER [--signers FILE] [--expect-head SHA256] [--holds SHA256]

Exit 0: every file is the one that was signed, and each manifest follows the one before. Exit 1: the
first thing that is wrong is named. Exit 2: it cannot be read. Run a copy of this script whose
SHA-256 you were told elsewhere: one that lies in the folder could have been changed with it. For
the same reason give --signers (an allowed_signers file you had before) and --expect-head. --holds
says that a head you were told earlier is still in the chain. Signatures say who made this and that
nobody changed it since, not that what it says is true.
"""

import argparse
import base64
import hashlib
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Tree = dict[str, Any]
FORMAT = 1
NAMESPACE = "loopback-evidence"
MANIFEST, INDEX, SIGNERS, CHAIN, SIGNATURE = (
    "manifest.json", "bundle.json", "signers", "chain", ".sig")  # fmt: skip
FOLDER = re.compile(r"(\d{6})-([0-9a-f]{12})")
ARMOR = ("-----BEGIN SSH SIGNATURE-----\n", "-----END SSH SIGNATURE-----\n")
AHEAD = timedelta(minutes=5)
"""How far a clock may be ahead of the one that reads it."""


class Wrong(Exception):  # noqa: N818 - named for what the evidence is
    """Something that does not hold; its text says what."""


def holds(statement: str, truth: object) -> None:
    """Raises: Wrong unless it is true."""
    if not truth:
        raise Wrong(statement)


def digest(text: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text).hexdigest()


def read(path: Path) -> bytes:
    """
    What a file holds.

    Raises: Wrong when it is not there, or a link to elsewhere.
    """
    holds(f"{path} is there, as a file", path.is_file() and not path.is_symlink())
    return path.read_bytes()


def load(name: str, text: bytes) -> Tree:
    """
    A document that has one spelling only.

    Raises: Wrong when it has another one.
    """
    try:
        tree = json.loads(text)
        plain = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
        holds(f"{name} is an object", isinstance(tree, dict))
        holds(f"{name} is in canonical spelling", plain.encode() == text)
    except ValueError as cause:
        raise Wrong(f"{name} is JSON: {cause}") from cause
    holds(f"{name} has format {FORMAT}", tree.get("format") == FORMAT)
    found: Tree = tree
    return found


def check_signature(path: Path, signer: str, signers: Path) -> None:
    """
    Whether a signature beside a file was made by somebody of that name, as ssh-keygen tells.

    Raises: Wrong when not; also for another spelling of a good signature.
    """
    beside = path.with_name(path.name + SIGNATURE)
    armored, begin, end = read(beside), ARMOR[0].encode(), ARMOR[1].encode()
    try:
        raw = base64.b64decode(armored.removeprefix(begin).removesuffix(end))
    except ValueError as cause:
        raise Wrong(f"{beside} is a signature: {cause}") from cause
    body = base64.b64encode(raw)
    lines = b"".join(body[at : at + 70] + b"\n" for at in range(0, len(body), 70))
    holds(f"{beside} is as ssh-keygen writes it", armored == begin + lines + end)
    argv = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", signer, "-n", NAMESPACE]
    done = subprocess.run(
        [*argv, "-s", str(beside)], input=read(path), capture_output=True, check=False
    )
    said = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
    why = f" ({said[-1]})" if said else ""
    holds(f"{path} is signed by a key that {signers} has for {signer}{why}", done.returncode == 0)


def files_of(folder: Path) -> set[str]:
    """Every file below a folder, by its path in it."""
    found = (p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
    return {path.relative_to(folder).as_posix() for path in found}


def check_order(links: list[Path]) -> None:
    """
    Numbers without a gap, and one manifest to each.

    Raises: Wrong when there is a gap, a fork or a folder that is none of a manifest.
    """
    numbers: dict[int, str] = {}
    for link in links:
        match = FOLDER.fullmatch(link.name)
        if match is None or not link.is_dir():
            raise Wrong(f"{link} is the folder of a manifest")
        number = int(match[1])
        other = numbers.setdefault(number, link.name)
        holds(f"{other} and {link.name} are no fork of the chain", other == link.name)
    missing = sorted(set(range(1, len(numbers) + 1)) - set(numbers))
    holds(f"the chain has no gap, number {missing[:1]} is there", not missing)


def check_chain(folder: Path, signers: Path, now: datetime, *, whole: bool) -> list[Tree]:
    """
    Every manifest of a chain, first to last.

    In: whole, whether each has its documents beside it, as in a chain and not in a bundle.
    Out: manifests, each with its own digest under `sha256`.
    Raises: Wrong with the first thing that does not hold.
    """
    links = sorted(folder.iterdir())
    if whole:  # what begins with a dot is what a killed run left, or git's
        links = [at for at in links if at.name != SIGNERS and not at.name.startswith(".")]
    check_order(links)
    found: list[Tree] = []
    for link in links:
        path = link / MANIFEST
        text = read(path)
        manifest = load(str(path), text)
        holds(f"{link.name} has the name of its digest", digest(text)[:12] == link.name[7:])
        check_signature(path, str(manifest["signer"]), signers)
        check_link(str(path), manifest, found[-1] if found else None, now)
        listed = {MANIFEST, MANIFEST + SIGNATURE} | (set(manifest["documents"]) if whole else set())
        holds(f"{link} has its documents and nothing else", files_of(link) == listed)
        for name, known in manifest["documents"].items() if whole else ():
            holds(f"{link / name} is the one of the manifest", digest(read(link / name)) == known)
        found.append({**manifest, "sha256": digest(text)})
    return found


def check_link(name: str, manifest: Tree, before: Tree | None, now: datetime) -> None:
    """
    Whether a manifest can follow the one before it.

    Raises: Wrong when it cannot.
    """
    made = moment(name, manifest["made"])
    holds(f"{name} was not made in the future ({manifest['made']})", made <= now + AHEAD)
    if before is None:
        holds(f"{name} is the first", manifest["number"] == 1 and manifest["previous"] is None)
        return
    holds(f"{name} follows number {before['number']}", manifest["number"] == before["number"] + 1)
    holds(f"{name} follows {before['sha256']}", manifest["previous"] == before["sha256"])
    holds(f"{name} is not older than the one before", made >= moment(name, before["made"]))
    for word in ("project", "stack"):
        holds(f"{name} is of the same {word} as the one before", manifest[word] == before[word])


def moment(name: str, text: object) -> datetime:
    """
    A time in the one spelling that manifests have.

    Raises: Wrong for any other.
    """
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as cause:
        raise Wrong(f"{name} says when it was made: {text!r}") from cause


def check_bundle(folder: Path, signers: Path | None, now: datetime) -> list[Tree]:
    """
    A bundle: its index, every file, its chain.

    In: signers, an allowed_signers file from elsewhere; None: the one in the bundle.
    Out: the manifests.
    Raises: Wrong with the first thing that does not hold.
    """
    index = load(INDEX, read(folder / INDEX))
    trusted = signers or folder / SIGNERS
    check_signature(folder / INDEX, str(index["signer"]), trusted)
    listed = {*index["files"], INDEX, INDEX + SIGNATURE}
    holds("the bundle has the files of its index and no other", files_of(folder) == listed)
    for name, known in sorted(index["files"].items()):
        holds(f"{name} is the file that was signed", digest(read(folder / name)) == known)
    manifests = check_chain(folder / CHAIN, trusted, now, whole=False)
    holds("the chain has a manifest", manifests)
    head = manifests[-1]
    holds("the head of the index is that of the chain", index["head"] == head["sha256"])
    for name, known in head["documents"].items():
        holds(f"{name} is the one of the last manifest", index["files"].get(name) == known)
    holds(f"{SIGNERS} is the one of the last manifest",
          index["files"].get(SIGNERS) == head["signers_sha256"])  # fmt: skip
    return manifests


def check_heads(manifests: list[Tree], expected: str | None, held: str | None) -> None:
    """
    What somebody knows of the chain from elsewhere.

    Raises: Wrong when the chain is another one.
    """
    heads = [manifest["sha256"] for manifest in manifests]
    if expected is not None:
        holds(f"the head is {expected}; it is {heads[-1]}", heads[-1] == expected.lower())
    if held is not None:
        holds(f"{held} is in the chain", held.lower() in heads)


def say(text: str) -> None:
    """Print without what a terminal would obey: names of files may come from anybody."""
    print("".join(c if c.isprintable() or c == "\n" else "?" for c in text))  # noqa: T201 - its work


def judge(argv: list[str], now: datetime) -> int:
    """Out: the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--signers", type=Path, help="allowed_signers file, from elsewhere")
    parser.add_argument("--expect-head", help="SHA-256 of the last manifest, from elsewhere")
    parser.add_argument("--holds", help="SHA-256 of an earlier head")
    asked = parser.parse_args(argv)
    try:
        if (asked.folder / INDEX).exists():
            manifests = check_bundle(asked.folder, asked.signers, now)
        else:
            signers = asked.signers or asked.folder / SIGNERS
            manifests = check_chain(asked.folder, signers, now, whole=True)
            holds("the chain has a manifest", manifests)
        check_heads(manifests, asked.expect_head, asked.holds)
    except Wrong as wrong:
        say(f"wrong, this does not hold: {wrong}")
        return 1
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as cause:
        say(f"cannot be read as evidence: {cause!r}")
        return 2
    last = manifests[-1]
    say(
        f"{last['project']}::{last['stack']}: {len(manifests)} signed, chained, whole; "
        f"from {manifests[0]['made']} to {last['made']}\n"
        f"head {last['sha256']}"
    )
    if asked.expect_head is None or asked.signers is None:
        say("compare the head, and the keys in `signers`, with what you were told elsewhere")
    return 0


if __name__ == "__main__":
    sys.exit(judge(sys.argv[1:], datetime.now(UTC)))
