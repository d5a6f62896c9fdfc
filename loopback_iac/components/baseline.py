"""HostBaseline: declared once, kept by every host that is given it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pulumi

from loopback_iac.components.baseline_args import HostBaselineArgs
from loopback_iac.components.boundary import Sealed, refuse_as_pulumi
from loopback_iac.components.hosts import public_half, without_secrets
from loopback_iac.model import Baseline, baseline_facts, parse_baseline
from loopback_iac.model.baseline import SECRETS
from loopback_iac.render import (
    HostFiles,
    baseline_secrets,
    join_baseline,
    packages_of,
    render_backup_line,
    render_baseline,
)


class HostBaseline(pulumi.ComponentResource):
    """What every host keeps beside its work: logs elsewhere, the time, updates, backups."""

    baseline: pulumi.Output[HostBaselineArgs]
    """What hosts keep; AnycastEdge, HiddenPrimary and ProviderFailoverVip take it."""
    backup_line: pulumi.Output[str]
    """For authorized_keys of the backup targets: lets the primary add backups, and nothing else."""

    def __init__(
        self, name: str, args: HostBaselineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare it; nothing is created or touched."""
        base = refuse_as_pulumi(lambda: parse_baseline(name, args))
        facts = {"declared": baseline_facts(base)}
        super().__init__("loopback-iac:index:HostBaseline", name, facts, opts)
        self.baseline = pulumi.Output.from_input(_sealed(args))
        key = args["backups"]["ssh_private_key"] if base.backups else ""
        self.backup_line = pulumi.Output.unsecret(pulumi.Output.from_input(key).apply(_backup_line))
        outputs: dict[str, Any] = {"baseline": self.baseline, "backup_line": self.backup_line}
        self.register_outputs(facts | outputs)


class Kept(NamedTuple):
    """A host's baseline, once what it is declared with is known."""

    files: pulumi.Output[HostFiles]
    """The host's own, and those of the baseline."""
    values: pulumi.Output[Sealed[dict[str, str]]]
    facts: pulumi.Output[dict[str, Any]]


def keep_baseline(
    given: pulumi.Input[HostBaselineArgs], own: pulumi.Output[HostFiles], role: str, host: str
) -> Kept:
    """What a host of a role is brought where a baseline is declared."""
    whole = pulumi.Output.from_input(given)
    base = without_secrets(given, _hidden).apply(lambda tree: Sealed(_parse(tree)))
    return Kept(
        files=pulumi.Output.all(own=own, base=base).apply(
            lambda got: join_baseline(got["own"], render_baseline(got["base"].value, role, host))
        ),
        values=pulumi.Output.secret(
            whole.apply(lambda tree: Sealed(baseline_secrets(_parse(_hidden(tree)), tree, role)))
        ),
        facts=base.apply(lambda sealed: baseline_facts(sealed.value)),
    )


def packages_kept(
    given: pulumi.Input[HostBaselineArgs] | None, *roles: str
) -> pulumi.Output[list[str]]:
    """Debian packages of a host with these roles, and of its baseline where it has one."""
    if given is None:
        return pulumi.Output.from_input(list(packages_of(*roles)))

    def packages(tree: Mapping[str, Any]) -> list[str]:
        more = () if tree.get("updates_waived_because") else ("updates",)
        return list(packages_of(*roles, "baseline", *more))

    return without_secrets(given, _hidden).apply(packages)


def _parse(tree: Mapping[str, Any]) -> Baseline:
    return refuse_as_pulumi(lambda: parse_baseline("baseline", tree))


def _hidden(tree: Any) -> Any:  # noqa: ANN401  # any part of the args
    """The tree with `true` for every secret that is there."""
    if not isinstance(tree, Mapping):
        return tree
    return {
        key: value is not None if key in SECRETS else _hidden(value) for key, value in tree.items()
    }


def _sealed(tree: Any) -> Any:  # noqa: ANN401  # as above
    if not isinstance(tree, Mapping):
        return tree
    return {
        key: pulumi.Output.secret(value) if key in SECRETS and value is not None else _sealed(value)
        for key, value in tree.items()
    }


def _backup_line(private: str) -> str:
    return render_backup_line(public_half(private)) if private else ""
