"""Former names of resources: what an alias stands for, and what follows for what is inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.engine.urns import make_urn, split_urn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pulumi.runtime.proto import alias_pb2

    from loopback_iac.engine.goal import Goal
    from loopback_iac.engine.run import Run


def list_former_urns(goal: Goal, run: Run, parent_former: Iterable[str]) -> tuple[str, ...]:
    """
    Every URN a resource may have had.

    In: parent_former: what this came to for its parent; a child whose name begins with the
    parent's is taken to have been named after it.
    Sources: pulumi pkg/resource/deploy/step_generator.go (generateAliases, inheritedChildAlias).
    """
    own = [_resolve(alias, goal, run) for alias in goal.aliases]
    inherited = [
        make_urn(run.stack, run.project.name, former, kind, _rename(name, goal.parent, former))
        for former in parent_former
        for kind, name in ((goal.type, goal.name), *map(split_urn, own))
    ]
    return tuple(dict.fromkeys([*own, *inherited]))


def _resolve(alias: alias_pb2.Alias, goal: Goal, run: Run) -> str:
    if alias.urn:
        return alias.urn
    spec = alias.spec
    parent = "" if spec.noParent else spec.parentUrn or goal.parent
    stack, project = spec.stack or run.stack, spec.project or run.project.name
    return make_urn(stack, project, parent, spec.type or goal.type, spec.name or goal.name)


def _rename(name: str, parent: str, former: str) -> str:
    now, before = split_urn(parent)[1], split_urn(former)[1]
    return before + name.removeprefix(now) if name.startswith(now) else name
