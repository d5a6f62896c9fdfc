"""`loopback evidence record|bundle|verify` and `loopback audit log`: who changed what, provably."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopback_iac.cli import audit
from loopback_iac.cli.running import (
    HERE,
    STACK,
    STDERR,
    Directory,
    Json,
    StackName,
    StateDir,
    refuse,
)

if TYPE_CHECKING:
    from loopback_iac.evidence import Link

CHAIN = Path("evidence")
ChainFolder = Annotated[Path, typer.Option("--chain", help="The folder of the chain.")]
Key = Annotated[
    Path, typer.Option(help="SSH key to sign with; a public one (.pub) if an agent has it.")
]
Signer = Annotated[
    str | None, typer.Option(help="Your name in the file `signers`. Default: git's committer.")
]
StateFile = Annotated[
    Path | None, typer.Option(help="What `pulumi stack export` wrote, instead of our state.")
]
PackConfig = Annotated[
    Path | None, typer.Option(help="The pack's configuration (JSON): docs/controls.md.")
]
People = Annotated[Path | None, typer.Option(help="Who answers for what no program checks (YAML).")]
DemandsFile = Annotated[
    Path | None, typer.Option(help="Demands of the proof (YAML): docs/proof.md.")
]
Certificate = Annotated[
    Path | None, typer.Option(help="A certificate of `loopback prove`, instead of a new one.")
]
Drills = Annotated[list[Path] | None, typer.Option(help="A drill's record.json; repeatable.")]
Reason = Annotated[str, typer.Option(help="Why this was done.")]
Change = Annotated[str, typer.Option(help="Its ticket or merge request.")]
Approvers = Annotated[list[str] | None, typer.Option(help="Who approved it; repeatable.")]
Git = Annotated[
    bool, typer.Option("--git/--no-git", help="Take the commit of the program's folder.")
]


def register(app: typer.Typer) -> None:
    """Add `evidence` and `audit` to `app`."""
    verbs = typer.Typer(help="Signed manifests of updates, and a bundle.", no_args_is_help=True)
    verbs.command("record")(record)
    verbs.command("bundle")(bundle)
    verbs.command("verify")(verify)
    app.add_typer(verbs, name="evidence")
    audit.register(app)


def record(
    key: Key,
    *,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    state_file: StateFile = None,
    chain: ChainFolder = CHAIN,
    signer: Signer = None,
    policy_pack_config: PackConfig = None,
    people: People = None,
    demands: DemandsFile = None,
    certificate: Certificate = None,
    drill: Drills = None,
    reason: Reason = "",
    change: Change = "",
    approved_by: Approvers = None,
    git: Git = True,
    as_json: Json = False,
) -> None:
    """Sign what is so after an update, and add it to the chain."""
    from loopback_iac.cli import chain as chains  # noqa: PLC0415 - loads slowly
    from loopback_iac.cli.evidence_record import Wanted, record_update  # noqa: PLC0415 - as above

    wanted = Wanted(
        key=key,
        directory=cwd,
        stack=stack,
        state_dir=state_dir,
        state_file=state_file,
        chain=chain,
        signer=signer,
        settings=policy_pack_config,
        people=people,
        demands=demands,
        certificate=certificate,
        drills=tuple(drill or ()),
        reason=reason,
        change=change,
        approvers=tuple(approved_by or ()),
        git=git,
    )
    made = record_update(wanted, chains.now_utc())
    _say_recorded(made, chain)
    if as_json:
        from loopback_iac.evidence.verify import MANIFEST  # noqa: PLC0415 - loads slowly

        sys.stdout.write(made.documents[MANIFEST].decode())
    else:
        typer.echo(made.digest)


def _say_recorded(made: Link, chain: Path) -> None:
    from loopback_iac.evidence.anchor import render_anchor  # noqa: PLC0415 - loads slowly

    counts = made.manifest["controls"]
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    for line in (
        f"recorded: {chain / made.folder}",
        f"controls: {told}",
        "tell the head to somebody who keeps it, or publish it where you cannot take it back:",
        f'_evidence IN TXT "{render_anchor(made.digest)}"',
    ):
        STDERR.print(line, markup=False, soft_wrap=True)


def bundle(
    key: Key,
    out: Annotated[Path, typer.Option(help="The folder to write; it must not exist.")],
    *,
    chain: ChainFolder = CHAIN,
    signer: Signer = None,
) -> None:
    """Write what an auditor re-checks without us: a folder, whole or not there."""
    from loopback_iac.cli import chain as chains  # noqa: PLC0415 - loads slowly
    from loopback_iac.cli.evidence_bundle import write_bundle  # noqa: PLC0415 - as above

    head, verifier = write_bundle(chain, out, key, signer, chains.now_utc())
    for line in (
        f"written: {out}",
        f"head {head}",
        f"verify.py {verifier}",
        "give the auditor both numbers, and the file `signers`, by another way than the bundle",
    ):
        typer.echo(line)


def verify(
    folder: Annotated[Path, typer.Argument(help="A chain or a bundle.")] = CHAIN,
    *,
    signers: Annotated[
        Path | None, typer.Option(help="allowed_signers file that you had before.")
    ] = None,
    expect_head: Annotated[
        str | None, typer.Option(help="The head that you were told elsewhere.")
    ] = None,
    holds: Annotated[str | None, typer.Option(help="A head that you were told earlier.")] = None,
    head_at: Annotated[
        str | None, typer.Option(help="The name whose TXT has the head: _evidence.example.net.")
    ] = None,
    server: Annotated[
        list[str] | None,
        typer.Option(help="NAME=ADDRESS[:PORT] of who is asked for it; repeatable."),
    ] = None,
    ds: Annotated[
        list[str] | None,
        typer.Option(help="TAG ALGORITHM TYPE DIGEST of its zone, trusted; repeatable."),
    ] = None,
    timeout_s: Annotated[float, typer.Option(min=0.1, max=60, help="For one answer.")] = 3.0,
) -> None:
    """Check every signature, digest and link; exit 1 names the first thing that is wrong."""
    from loopback_iac.cli import chain as chains  # noqa: PLC0415 - loads slowly
    from loopback_iac.cli.evidence_head import (  # noqa: PLC0415 - as above
        check_published,
        probe_published,
    )
    from loopback_iac.evidence.verify import judge  # noqa: PLC0415 - as above

    if not folder.is_dir():
        refuse(f"{folder}: there is no such folder\n  fix: name a chain or a bundle", 2)
    argv = [str(folder)]
    for option, value in (
        ("--signers", signers),
        ("--expect-head", expect_head),
        ("--holds", holds),
    ):
        argv += [option, str(value)] if value is not None else []
    told = probe_published(head_at, server or (), ds or (), timeout_s)
    code = judge(argv, chains.now_utc())
    if code == 0 and head_at is not None and not check_published(head_at, told, folder):
        code = 1
    raise typer.Exit(code)
