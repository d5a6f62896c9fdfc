"""`loopback drift`: what every host serves against what the state says was applied to it."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from loopback_iac.cli.running import (
    HERE,
    STACK,
    ConfigFile,
    Directory,
    Json,
    StackName,
    StateDir,
    guarded,
    make_options,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopback_iac.engine import Options
    from loopback_iac.remote.drift import Difference
    from loopback_iac.remote.ssh import Expected, Identity

DEADLINE_S = 20.0
KEY_NAME = "sshPrivateKey"
KeyFile = Annotated[
    Path | None,
    typer.Option(help=f"Private key; else the secret {KEY_NAME}, else $SSH_AUTH_SOCK."),
]
Deadline = Annotated[
    float, typer.Option(min=1, max=600, help="Seconds in which a host has to answer.")
]
FIELDS = ("role", "address", "ssh_port", "ssh_user", "host_key", "digest")


class DriftUsageError(Exception):
    """What was asked for cannot be compared; the text says what is missing and how to give it."""


def register(app: typer.Typer) -> None:
    """Add `drift` to `app`."""
    app.command("drift")(drift)


def drift(
    *,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    identity: KeyFile = None,
    deadline: Deadline = DEADLINE_S,
    as_json: Json = False,
) -> None:
    """Ask every host what it serves; exit 1 when anything differs from what was applied."""
    options = make_options(cwd, stack, state_dir, config_file=config_file)
    expected, found = guarded(lambda: _compare(options, identity, deadline))
    if as_json:
        tree = {
            "hosts": [host.host for host in expected],
            "differences": [dataclasses.asdict(each) for each in found],
        }
        typer.echo(json.dumps(tree, indent=2))
    else:
        print_differences(expected, found, Console())
    raise typer.Exit(1 if found else 0)


def _compare(
    options: Options, file: Path | None, deadline_s: float
) -> tuple[list[Expected], list[Difference]]:
    from loopback_iac.remote.drift import check_drift  # noqa: PLC0415 - SSH loads slowly
    from loopback_iac.remote.report import probe_reports  # noqa: PLC0415 - as above
    from loopback_iac.remote.ssh import IdentityError  # noqa: PLC0415 - as above

    try:
        expected = read_expected(options)
        reports = probe_reports(expected, read_identity(options, file), deadline_s)
    except (DriftUsageError, IdentityError) as cause:
        refuse(f"drift: {cause}", 2)
    return expected, check_drift(expected, reports)


def read_expected(options: Options) -> list[Expected]:
    """Hosts of a stack, from its output `hosts`.

    Raises: DriftUsageError when the stack was never applied, or exports no hosts.
    """
    from loopback_iac.engine import read_outputs  # noqa: PLC0415 - the engine loads slowly

    hosts = read_outputs(options).get("hosts")
    if not isinstance(hosts, dict) or not hosts:
        raise DriftUsageError(
            f"stack {options.stack!r} has no output `hosts`: it was never applied, or its program"
            ' does not export it\n  fix: pulumi.export("hosts", edge.hosts), then `loopback up`'
        )
    return parse_expected(hosts)


def parse_expected(hosts: Mapping[str, Any]) -> list[Expected]:
    """In: the output `hosts` of AnycastEdge.

    Raises: DriftUsageError naming hosts whose facts are incomplete.
    """
    from loopback_iac.remote.ssh import Expected  # noqa: PLC0415 - as above

    short = [n for n, f in hosts.items() if not isinstance(f, dict) or not set(FIELDS) <= set(f)]
    if short:
        raise DriftUsageError(
            f"output `hosts`: {', '.join(sorted(short))} lacks some of {', '.join(FIELDS)}\n"
            "  fix: `loopback up` with this version of the library"
        )
    return [
        Expected(
            host=name,
            role=str(facts["role"]),
            address=str(facts["address"]),
            host_key=str(facts["host_key"]),
            digest=str(facts["digest"]),
            ssh_port=int(facts["ssh_port"]),
            user=str(facts["ssh_user"]),
        )
        for name, facts in sorted(hosts.items())
    ]


def read_identity(options: Options, file: Path | None) -> Identity:
    """The key that opens the hosts: a file, the stack's secret, or an SSH agent, in this order.

    Raises: DriftUsageError when there is none of them.
    """
    from loopback_iac.remote.ssh import Identity  # noqa: PLC0415 - as above

    if file is not None:
        try:
            return Identity(private_key=file.read_text())
        except OSError as cause:
            raise DriftUsageError(f"--identity {file}: {cause.strerror}") from None
    secret = _stack_secret(options)
    if secret:
        return Identity(private_key=secret)
    agent = os.environ.get("SSH_AUTH_SOCK", "")
    if not agent:
        raise DriftUsageError(
            f"no key to log in with: the stack has no readable secret {KEY_NAME}, and no SSH agent"
            " runs\n  fix: --identity FILE, or PULUMI_CONFIG_PASSPHRASE_FILE, or SSH_AUTH_SOCK"
        )
    return Identity(agent_socket=agent)


def _stack_secret(options: Options) -> str:
    from loopback_iac.engine.passphrase import Crypter  # noqa: PLC0415 - as above
    from loopback_iac.engine.project import parse_project  # noqa: PLC0415 - as above
    from loopback_iac.engine.stackconfig import (  # noqa: PLC0415 - as above
        load_stack_file,
        parse_stack_config,
        read_passphrase,
    )

    project = parse_project(options.directory)
    raw = load_stack_file(project, options.stack, options.config_file)
    salt, passphrase = str(raw.get("encryptionsalt") or ""), read_passphrase()
    crypter = Crypter.open(salt, passphrase) if salt and passphrase is not None else None
    return parse_stack_config(raw, project, crypter).values.get(f"{project.name}:{KEY_NAME}", "")


def print_differences(
    expected: Sequence[Expected], found: Sequence[Difference], console: Console
) -> None:
    """Print a table, or one line when nothing differs."""
    if not found:
        console.print(f"{len(expected)} hosts serve what was applied to them")
        return
    table = Table("host", "rule", "got", "need", "fix", box=None, pad_edge=False)
    for each in found:
        table.add_row(each.host, each.rule, each.got, each.need, each.fix)
    console.print(table)
    drifted = len({each.host for each in found})
    console.print(f"{len(found)} differences on {drifted} of {len(expected)} hosts")
