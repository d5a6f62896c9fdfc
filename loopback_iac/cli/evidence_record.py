"""From a stack's state to the next manifest of its chain."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from loopback_iac.cli.chain import locked, read_chain, write_folder
from loopback_iac.cli.git import read_commit
from loopback_iac.cli.running import STDERR, guarded, make_options, refuse
from loopback_iac.cli.signing import check_signer, sign_file, signer_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date, datetime
    from pathlib import Path

    from loopback_iac.cli.chain import Chain
    from loopback_iac.evidence import Commit, Link, Snapshot, Update

Read = TypeVar("Read")
DRILLED = ("drill", "at", "held")
DEFAULT = 1
"""Losses that the proof asks of a service where nobody says, as `loopback prove` does."""


@dataclass(frozen=True)
class Wanted:
    """What the command line says."""

    key: Path
    directory: Path
    stack: str
    state_dir: Path | None
    state_file: Path | None
    chain: Path
    signer: str | None
    settings: Path | None
    people: Path | None
    demands: Path | None
    certificate: Path | None
    drills: tuple[Path, ...]
    reason: str
    change: str
    approvers: tuple[str, ...]
    git: bool


def record_update(wanted: Wanted, now: datetime) -> Link:
    """Make, sign and write the next manifest; a refusal leaves the chain as it was."""
    from loopback_iac.evidence import make_link, resources_of  # noqa: PLC0415 - loads slowly
    from loopback_iac.evidence.manifest import STACK, Link  # noqa: PLC0415 - as above
    from loopback_iac.evidence.verify import MANIFEST, SIGNERS  # noqa: PLC0415 - as above

    commit = read_commit(wanted.directory, wanted.chain) if wanted.git else None
    name = signer_name(wanted.signer, commit)
    with locked(wanted.chain):
        chain = read_chain(wanted.chain, now)
        snapshot = _read_state(wanted, chain)
        _check_same_stack(chain, snapshot)
        before: Link | None = None
        known: dict[str, str] = {}
        if chain.manifests:
            last = chain.manifests[-1]
            before = Link(last["number"], last["sha256"], last)
            known = resources_of(json.loads((chain.last_folder / STACK).read_text()))
        with _trusted(wanted, name) as signers:
            update = _observe(wanted, snapshot, commit, name, signers, now)
            link = make_link(update, before, known)

            def finish(folder: Path) -> None:
                sign_file(folder / MANIFEST, wanted.key, name, wanted.chain / SIGNERS)

            at = wanted.chain / link.folder
            write_folder(at, link.documents, finish, inside=wanted.chain)
    return link


def signer_name(given: str | None, commit: Commit | None) -> str:
    """Who signs: as told, else whom git names as the committer."""
    name = given or (commit.committer.email if commit else "")
    if not name:
        refuse("--signer: nobody is named\n  fix: --signer edge@example.org", 2)
    check_signer(name)
    return name


def read_file(option: str, path: Path, parse: Callable[[str, str], Read]) -> Read:
    """What a file holds; refuses what cannot be read or is refused by `parse`."""
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - as above

    try:
        return parse(str(path), path.read_text(encoding="utf-8"))
    except InputRejected as cause:
        refuse(f"{option}: {cause}", 2)
    except (OSError, ValueError) as cause:
        refuse(f"{option} {path}: {cause}\n  fix: name a file that can be read", 2)


def _read_state(wanted: Wanted, chain: Chain) -> Snapshot:
    """What is there now; after a `destroy`, nothing of the stack that the chain is of."""
    from loopback_iac.evidence import parse_state  # noqa: PLC0415 - as above

    last = chain.manifests[-1] if chain.manifests else {}
    same = last.get("stack") == wanted.stack
    known = (str(last["project"]), str(last["stack"])) if same else None

    def parse(place: str, text: str) -> Snapshot:
        return parse_state(text, place, known)

    if wanted.state_file is not None:
        return read_file("--state-file", wanted.state_file, parse)
    from loopback_iac.engine import export_state  # noqa: PLC0415 - the engine loads slowly
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - as above

    options = make_options(wanted.directory, wanted.stack, wanted.state_dir)
    text = guarded(lambda: export_state(options))
    try:
        return parse(f"stack {wanted.stack}", text)
    except InputRejected as cause:
        refuse(str(cause), 2)


def _check_same_stack(chain: Chain, snapshot: Snapshot) -> None:
    if not chain.manifests:
        return
    last = chain.manifests[-1]
    if (last["project"], last["stack"]) != (snapshot.project, snapshot.stack):
        refuse(
            f"--chain {chain.folder}: it is of {last['project']}::{last['stack']}, the state is of "
            f"{snapshot.project}::{snapshot.stack}\n  fix: give each stack a chain of its own",
            2,
        )


@contextmanager
def _trusted(wanted: Wanted, name: str) -> Iterator[bytes]:
    """The file `signers`; the first record makes it, for the key it is signed with."""
    from loopback_iac.evidence.verify import SIGNERS  # noqa: PLC0415 - as above

    path = wanted.chain / SIGNERS
    new = not path.exists()
    try:
        if new:
            path.write_text(signer_line(name, wanted.key))
        yield path.read_bytes()
    except BaseException:
        if new:
            path.unlink(missing_ok=True)
        raise
    if new:
        STDERR.print(f"written: {path}, who is believed; read it", markup=False, soft_wrap=True)


def _observe(  # noqa: PLR0917  # each is a part of the update, asked for once
    wanted: Wanted,
    snapshot: Snapshot,
    commit: Commit | None,
    name: str,
    signers: bytes,
    now: datetime,
) -> Update:
    from loopback_iac.controls import Wish, evaluate  # noqa: PLC0415 - as above
    from loopback_iac.evidence import (  # noqa: PLC0415 - as above
        Told,
        Update,
        pack_identity,
        parse_people,
        parse_settings,
        render_results,
        render_stack,
        render_suppliers,
    )
    from loopback_iac.evidence.software import installed_software  # noqa: PLC0415 - as above

    option = "--policy-pack-config"
    wish = read_file(option, wanted.settings, parse_settings) if wanted.settings else Wish()
    if wanted.people is not None:
        wish = read_file("--people", wanted.people, lambda at, text: parse_people(at, text, wish))
    stack = snapshot.controlled(now.date())
    report = evaluate(stack, now.date(), wish)
    return Update(
        snapshot=snapshot,
        made=now,
        signer=name,
        signers=signers,
        commit=commit,
        results=render_results(report, wish, pack_identity()),
        stack=render_stack(snapshot, installed_software()),
        suppliers=render_suppliers(stack, wish),
        told=Told(wanted.reason, wanted.change, wanted.approvers),
        certificate=_certificate(wanted, snapshot, now.date()),
        drills=[read_file("--drill", path, _parse_drill) for path in wanted.drills],
    )


def _certificate(wanted: Wanted, snapshot: Snapshot, today: date) -> dict[str, Any] | None:
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - as above
    from loopback_iac.proof import Demands, parse_demands, prove_redundancy  # noqa: PLC0415 - as above
    from loopback_iac.proof.certificate import render_certificate  # noqa: PLC0415 - as above

    if wanted.certificate is not None:
        return read_file("--certificate", wanted.certificate, _parse_certificate)
    demands = Demands()
    if wanted.demands is not None:
        demands = read_file("--demands", wanted.demands, parse_demands)
    if not snapshot.places.fleets:
        return None
    try:
        proof = prove_redundancy(snapshot.places, demands, DEFAULT, today=today)
    except InputRejected as cause:
        refuse(str(cause), 2)
    return render_certificate(proof, snapshot.stack)


def _parse_certificate(place: str, text: str) -> dict[str, Any]:
    from loopback_iac.proof.verify import Wrong, check_certificate  # noqa: PLC0415 - as above

    found: dict[str, Any] = json.loads(text)
    try:
        check_certificate(found)
    except Wrong as wrong:
        refuse(f"--certificate {place}: this does not hold: {wrong}\n  fix: make it anew", 2)
    except (LookupError, TypeError, AttributeError) as cause:
        raise ValueError(f"it is no certificate: {cause!r}") from cause
    return found


def _parse_drill(_: str, text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict) or any(key not in found for key in DRILLED):
        raise ValueError(f"it is no record of a drill: it lacks one of {', '.join(DRILLED)}")
    return found
