"""Taking over what an interrupted run created without anybody seeing the outcome."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from loopback_iac.engine.answers import AbsentMethodError
from loopback_iac.engine.api import Options, Session
from loopback_iac.engine.errors import StepError, UsageError
from loopback_iac.engine.run import Run, stamp
from loopback_iac.engine.store import Checkpoint

if TYPE_CHECKING:
    from loopback_iac.engine.journal import Ledger
    from loopback_iac.engine.registry import Providers
    from loopback_iac.engine.state import Resource


def adopt(options: Options, urn: str, ident: str) -> str:
    """
    Make a pending create a resource of the stack: it exists, under the id given.

    Nobody saw how far the create came, so the next `up` updates it whatever Diff says.
    In: ident: the id the provider knows it by.
    Out: what was done, as text.
    Raises: UsageError when no create of this URN is pending or the provider knows no such id.
    """
    session = Session(options, "state adopt")
    with ExitStack() as stack:
        run, ledger, salt = session.open(stack)
        new = _find_pending(run, ledger, urn)
        new.id = ident
        _look_up(session.start_providers(run, stack), new)
        new.init_errors = ["adopted: its create was interrupted"]
        new.created = new.modified = stamp()
        ledger.settle(urn)
        ledger.apply({**_place(run, urn), "r": run.codec.encode(new)})
        session.store.save(Checkpoint(ledger.rows(), ledger.pending(), salt))
    return f"{urn} with id {new.id}; the next up will update it"


def _find_pending(run: Run, ledger: Ledger, urn: str) -> Resource:
    found = [
        row["resource"]
        for row in ledger.pending()
        if row["type"] == "creating" and row["resource"]["urn"] == urn
    ]
    if not found:
        names = [row["resource"]["urn"] for row in ledger.pending() if row["type"] == "creating"]
        listed = ", ".join(names) or "none"
        raise UsageError(f"{urn}: no create of it is pending; pending: {listed}")
    return run.codec.decode(found[-1])


def _look_up(providers: Providers, new: Resource) -> None:
    """Ask the provider for it; one that cannot read is believed to have what was asked for."""
    wanted = new.id
    try:
        new.id, outputs = providers.get_former(new.provider).read(new)
    except AbsentMethodError:
        outputs = dict(new.inputs)
    except StepError as error:
        raise UsageError(f"{new.urn}: cannot look up {wanted!r}: {error}") from error
    if not new.id:
        raise UsageError(f"{new.urn}: its provider knows nothing with the id {wanted!r}")
    new.outputs = outputs
    new.mark_secret_outputs()


def _place(run: Run, urn: str) -> dict[str, Any]:
    """Where it goes: in place of one that was deleted for it, or beside one to be deleted."""
    for old in run.olds:
        if old.resource.urn == urn and not old.resource.delete:
            keep = not old.resource.pending_replacement
            return {"e": "new", "old": old.index, "keep": keep}
    return {"e": "new", "old": None}
