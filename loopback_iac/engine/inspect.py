"""Reading and mending the stored state without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopback_iac.engine.api import Options, find_store
from loopback_iac.engine.errors import UsageError
from loopback_iac.engine.passphrase import open_crypter
from loopback_iac.engine.stackconfig import read_passphrase
from loopback_iac.engine.state import Codec, decode_outputs, list_resources
from loopback_iac.engine.undone import parse_undone

if TYPE_CHECKING:
    from loopback_iac.engine.results import Result
    from loopback_iac.engine.values import Values


def read_outputs(options: Options) -> Values:
    """
    The outputs of the stack as last applied.

    Out: secrets as `Secret`, or as `Sealed` when no passphrase is at hand.
    """
    checkpoint, _ = find_store(options).look()
    passphrase = read_passphrase() if options.passphrase is None else options.passphrase
    return decode_outputs(checkpoint.rows, open_crypter(checkpoint.salt, passphrase))


def read_resources(options: Options) -> tuple[dict[str, Any], ...]:
    """
    What the stack has as last applied, parents before children.

    Out: `urn`, `type`, `name`, `parent` and `inputs` of each, secrets redacted; not what belongs to
    somebody else, nor what only waits to be deleted.
    """
    codec = Codec(None)
    checkpoint, _ = find_store(options).look()
    return list_resources([codec.decode(row) for row in checkpoint.rows])


def read_undone(options: Options) -> tuple[str, Result] | None:
    """
    What the last run that came to an end left undone, and when that was; None when nothing.

    Out: the result as far as it is kept: what was undone, its errors, and what the stack has.
    """
    told = find_store(options).load_undone()
    if told is None:
        return None
    return told["at"], parse_undone(told, options.stack, read_resources(options))


def export_state(options: Options) -> str:
    """The checkpoint as `pulumi stack import` takes it, secrets encrypted."""
    checkpoint, _ = find_store(options).look()
    return checkpoint.render()


def forget(options: Options, urns: list[str], *, resources: bool = False) -> list[str]:
    """
    Take pending operations out of the state; nothing real is touched.

    In: resources: take resources of these URNs out as well.
    Out: what was taken out, one text each.
    Raises: UsageError, naming each URN the state does not have, that is a resource and not asked
    for as one, or that others rest on; then nothing is taken out.
    """
    store = find_store(options)
    with store.locked("state forget"):
        checkpoint = store.load()
        done: list[str] = []
        problems: list[str] = []
        for urn in dict.fromkeys(urns):
            pending = [row for row in checkpoint.pending if row["resource"]["urn"] == urn]
            rows = [row for row in checkpoint.rows if row["urn"] == urn]
            done += [f"pending operation {row['type']} {urn}" for row in pending]
            if rows and resources:
                others = [row for row in checkpoint.rows if row["urn"] not in urns]
                users = [row["urn"] for row in others if urn in _references(row)]
                done.append(f"resource {urn}")
                if users:
                    problems.append(f"{urn}: others rest on it: {', '.join(users)}")
            elif rows and not pending:
                problems.append(
                    f"{urn}: no operation of it is pending, it is a resource of this stack;"
                    " --resource takes it out as one: what it stands for stays where it is, and"
                    " nobody deletes it any more"
                )
            elif not pending:
                problems.append(f"{urn}: neither a resource nor a pending operation of this stack")
        if problems:
            raise UsageError("\n".join(problems))
        checkpoint.pending = [
            row for row in checkpoint.pending if row["resource"]["urn"] not in urns
        ]
        if resources:
            checkpoint.rows = [row for row in checkpoint.rows if row["urn"] not in urns]
        store.save(checkpoint)
    return done


def _references(row: dict[str, object]) -> set[str]:
    return Codec(None).decode(row).iter_references()
