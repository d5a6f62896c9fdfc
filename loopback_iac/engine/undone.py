"""Going on over errors: what failed, what rests on it and is skipped, and what stays for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from loopback_iac.engine.errors import EngineError, StateError, UndoneError
from loopback_iac.engine.results import Diagnostic, Result, Severity, Undone
from loopback_iac.engine.values import Values, has_unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopback_iac.engine.goal import Goal
    from loopback_iac.engine.run import Old, Run
    from loopback_iac.engine.state import Resource


def skip_if_lost(goal: Goal, urn: str, run: Run) -> None:
    """
    Skip what rests on something that this run did not bring about.

    Nobody is asked about it: its inputs may be unknown. The Pulumi CLI has it checked and compared
    first, and skips it then.
    Raises: UndoneError when it is skipped.
    """
    if not run.undone or run.dry_run:
        return
    below = [goal.parent, goal.provider.rpartition("::")[0], goal.deleted_with]
    below += [reference.rpartition("::")[0] for reference in goal.providers.values()]
    below += goal.dependencies
    below += [urn for urns in goal.property_dependencies.values() for urn in urns]
    cause = next((other for other in below if other in run.undone), "")
    if not cause and has_unknown(goal.inputs):
        # an output that hides where it came from; nothing else is unknown in an up
        cause = next(iter(run.undone))
    if cause:
        _give_up(goal, urn, run, cause)


def go_on(goal: Goal, urn: str, run: Run, error: EngineError) -> None:
    """
    Note a step that failed, where the run goes on over it.

    Raises: UndoneError when it does; otherwise nothing is done, and the error stands. A journal
    that cannot be written ends the run.
    """
    lasting = isinstance(error, StateError)
    if error.in_step and not lasting and run.continues and not run.dry_run and not run.cancelled:
        run.fail(str(error), urn, ends=False)
        _give_up(goal, urn, run)


def _give_up(goal: Goal, urn: str, run: Run, because: str = "") -> NoReturn:
    if urn not in run.news:
        old = run.find_old(urn, goal.former)
        if old is not None:
            old.spared = True
    run.undone[urn] = Undone(urn, goal.type, goal.name, goal.parent, because)
    raise UndoneError(urn, skipped=bool(because))


def note_undone(resource: Resource, run: Run) -> None:
    """Note a removal that failed."""
    made = Undone(resource.urn, resource.type, resource.name, resource.parent)
    run.undone.setdefault(resource.urn, made)


def find_kept(doomed: Iterable[Old], run: Run) -> set[int]:
    """
    Rows that no step of this run may delete: spared ones, and what rests on them.

    The Pulumi CLI deletes what rests on them. Here it waits for the run that heals: what a program
    declares with an output that is unknown, it may not have declared at all.
    Out: indices.
    """
    if not run.undone:
        return set()
    kept = set()
    lost = set(run.undone)
    for old in doomed:  # in the order of the state: what a row rests on stands before it
        if old.spared or old.resource.iter_references() & lost:
            kept.add(old.index)
            lost.add(old.resource.urn)
    return kept


def keep_known(outputs: Values, former: Values) -> Values:
    """Outputs of a component or a stack as far as they are known; others are as they were."""
    return {
        key: former[key] if has_unknown(value) else value
        for key, value in outputs.items()
        if not has_unknown(value) or key in former
    }


def render_undone(result: Result) -> dict[str, Any] | None:
    """What a run left undone, to be kept with the state; None when it left nothing."""
    if not result.undone:
        return None
    errors = [item for item in result.diagnostics if item.severity is Severity.ERROR]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "verb": result.verb,
        "undone": [item.render_json() for item in result.undone],
        "errors": [item.render_json() for item in errors],
    }


def parse_undone(told: dict[str, Any], stack: str, resources: tuple[dict[str, Any], ...]) -> Result:
    """The result that `render_undone` wrote, with what the stack has."""
    return Result(
        verb=told["verb"],
        stack=stack,
        ok=False,
        diagnostics=tuple(
            Diagnostic(Severity.ERROR, item["message"], item.get("urn", ""))
            for item in told["errors"]
        ),
        undone=tuple(
            Undone(item["urn"], item["type"], item["name"], item["parent"], item.get("because", ""))
            for item in told["undone"]
        ),
        resources=resources,
    )
