"""DnsZone: one zone at several operators, transferred to them or filled over their APIs.

Operators do not depend on each other. With mode transfer a change of records asks none of their
APIs; with mode api, `pulumi up --continue-on-error` brings it to those whose API answers.
"""

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, cast

import pulumi
from pulumi_command import local

from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.calling import own_program
from loopback_iac.components.dns_zone_args import DnsZoneArgs, TransferRef
from loopback_iac.components.zone_order import Held, Keeper, Order
from loopback_iac.dns import parse_published_zone, unknown_facts
from loopback_iac.model import DnsZone as Declared
from loopback_iac.model import InputRejected, Problem, parse_dns_zone
from loopback_iac.model.dns_zone import API, CLOUDFLARE, HETZNER, IONOS

# the SDK of a cloud loads only where one of its zones is declared
_KEEPERS = {
    CLOUDFLARE: "zone_cloudflare",
    HETZNER: "zone_hetzner",
    IONOS: "zone_ionos",
}


class DnsZone(pulumi.ComponentResource):
    """One zone at several operators, signed by a hidden primary or not at all."""

    name_servers: pulumi.Output[Mapping[str, Any]]
    """By operator: names of the servers that hold the zone there."""

    def __init__(
        self, name: str, args: DnsZoneArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the zone at each operator, and what looks at the parent before it goes."""
        declared = refuse_as_pulumi(lambda: parse_dns_zone(name, args))
        zone = refuse_as_pulumi(lambda: parse_published_zone(name, declared))
        facts = {"zone": _facts(declared)}
        super().__init__("loopback-iac:index:DnsZone", name, facts, opts)
        late = pulumi.Output.from_input(args.get("transfers") or {})
        transfers: pulumi.Output[Mapping[str, TransferRef]] = pulumi.Output.secret(late)
        looked = self._look_at_parent(name, declared, args)
        held = {
            one: _hold(self, Order(name, one, declared, zone, args, looked, transfers))
            for one in declared.others
        }
        # the zones alone: one operator's failure must not keep what another is to lose
        zones = [resources[0] for _, resources in held.values()]
        self._part_from_parent(name, declared, args, zones)
        told: dict[str, pulumi.Input[Any]] = {n: servers for n, (servers, _) in held.items()}
        self.name_servers = pulumi.Output.all(**told) if told else pulumi.Output.from_input({})
        self.register_outputs(facts | {"name_servers": self.name_servers})

    def _look_at_parent(
        self, name: str, declared: Declared, args: DnsZoneArgs
    ) -> Sequence[pulumi.Resource]:
        """An unsigned zone is only declared while its parent has no DS."""
        if declared.mode != API or declared.parent is None:
            return []
        look = local.Command(
            f"{name}-ds-look",
            create=own_program("dns ds-look"),
            stdin=_asked(declared, args),
            logging=local.Logging.NONE,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return [look]

    def _part_from_parent(
        self, name: str, declared: Declared, args: DnsZoneArgs, held: Sequence[pulumi.Resource]
    ) -> None:
        """What depends on all goes first: the DS is out before an operator loses the zone.

        Without `parent` it stands there and does nothing. Left out, it would be deleted as if the
        zone went: its DS would be taken out of the parent that was named before.
        """
        asked = declared.parent is not None
        local.Command(
            f"{name}-ds-out",
            delete=own_program("dns ds-out") if asked else None,
            stdin=_asked(declared, args) if asked else None,
            logging=local.Logging.NONE,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(held) if asked else []),
        )


def _hold(parent: DnsZone, order: Order) -> Held:
    """Declare the zone at one operator.

    Raises: RejectedInputs when the SDK of its API is not installed.
    """
    keeper = refuse_as_pulumi(lambda: _load(order))
    return (
        keeper.fill(parent, order) if order.declared.mode == API else keeper.follow(parent, order)
    )


def _load(order: Order) -> Keeper:
    try:
        module = import_module(f"loopback_iac.components.{_KEEPERS[order.operator]}")
    except ModuleNotFoundError as absent:
        if not str(absent.name).startswith("pulumi_"):
            raise
        got, need = f"the Python package {absent.name} is not installed", "its SDK"
        fix = f"pip install 'loopback-iac[{order.operator}]'"
        problem = Problem(f"operators.{order.operator}", got, need, fix, "sdk-missing")
        raise InputRejected(order.name, (problem,)) from None
    return cast("Keeper", module)


def _asked(declared: Declared, args: DnsZoneArgs) -> pulumi.Output[str]:
    """Whom to ask for the DS, as `loopback dns ds-look` and `ds-out` want it told."""
    parent = declared.parent
    assert parent is not None  # noqa: S101  # callers have looked
    plain = {
        "zone": declared.zone,
        "signed": declared.mode != API,
        "addresses": [str(address) for address in parent.addresses],
        "key_name": parent.key_name,
    }
    secret = pulumi.Output.from_input(args["parent"].get("secret") or "")
    return pulumi.Output.secret(
        secret.apply(lambda text: json.dumps({**plain, "secret": text}, sort_keys=True))
    )


def _facts(declared: Declared) -> dict[str, Any]:
    """What policies and the state see; all of it is known in a plan, none of it is a secret."""
    return {
        "name": declared.zone.removesuffix("."),
        "mode": declared.mode,
        "signed": declared.mode != API,
        "operators": list(declared.operators),
        "unknown": unknown_facts(declared),
        "parent_asked": declared.parent is not None,
    }
