"""Components of a component host: another process declares them, over the program's own monitor."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pulumi.runtime.proto import provider_pb2

from loopback_iac.engine.errors import StepError, StoppedError
from loopback_iac.engine.provider import Provider
from loopback_iac.engine.urns import package_of
from loopback_iac.engine.values import Values, parse_struct

if TYPE_CHECKING:
    from loopback_iac.engine.goal import Goal
    from loopback_iac.engine.run import Run
    from loopback_iac.engine.steps import Registrar

_OPTIONS = provider_pb2.ConstructRequest


@dataclass(frozen=True, slots=True)
class Constructed:
    """What the host answered: the component's outputs, and what each of them rests on."""

    urn: str
    outputs: Values
    dependencies: dict[str, list[str]] = field(default_factory=dict)


def construct(goal: Goal, registrar: Registrar) -> Constructed:
    """
    Have a component declared by its host, which registers it and all it holds with the monitor.

    Without the host (a plan) the component is planned from its inputs, and its outputs are unknown.
    Raises: EngineError when the host fails; what it registered before stays.
    """
    run = registrar.run
    reference = goal.providers.get(package_of(goal.type)) or registrar.resolve_provider(goal)
    provider = registrar.providers.get(reference)
    if not isinstance(provider, Provider) or not provider.configured:
        return Constructed(registrar.register(replace(goal, remote=False)).urn, {})
    request = _render_request(goal, run, registrar.providers.engine_address)
    try:
        answer = provider.construct(request)
    except StepError as error:
        run.check_running()
        if run.failed:  # in a plan: what failed inside has been told
            raise StoppedError("the run is ending") from error
        raise StepError(f"{goal.type} {goal.name!r}: {error}") from error
    dependencies = {key: list(found.urns) for key, found in answer.stateDependencies.items()}
    return Constructed(answer.urn, parse_struct(answer.state), dependencies)


def _render_request(goal: Goal, run: Run, address: str) -> provider_pb2.ConstructRequest:
    rests_on = {
        key: _OPTIONS.PropertyDependencies(urns=urns)
        for key, urns in goal.property_dependencies.items()
    }
    timeouts = {key: f"{seconds}s" for key, seconds in goal.timeouts_s.items()}
    return provider_pb2.ConstructRequest(
        **run.describe(),
        monitorEndpoint=address,
        type=goal.type,
        name=goal.name,
        parent=goal.parent,
        inputs=goal.given,
        inputDependencies=rests_on,
        dependencies=goal.dependencies,
        providers=goal.providers,
        aliases=goal.aliases,
        protect=goal.protect,
        retainOnDelete=goal.retain_on_delete,
        deletedWith=goal.deleted_with,
        deleteBeforeReplace=goal.delete_before_replace,
        ignoreChanges=goal.ignore_changes,
        replaceOnChanges=goal.replace_on_changes,
        additionalSecretOutputs=goal.additional_secret_outputs,
        customTimeouts=_OPTIONS.CustomTimeouts(**timeouts) if timeouts else None,
    )
