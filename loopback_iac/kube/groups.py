"""What a gateway's nodes have to hold: one value for policies, addresses and who moves them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from loopback_iac.kube.policy import Egress
from loopback_iac.model.fields import Address
from loopback_iac.model.problem import Problem


class GatewayGroup(NamedTuple):
    """A gateway as its nodes see it."""

    addresses: tuple[Address, ...]
    """What it holds; by family and number."""
    nodes: tuple[str, ...]
    """Who may be in charge, the preferred first; one: for good."""
    policies: tuple[str, ...]
    """Names of the CiliumEgressGatewayPolicies that name it."""

    @property
    def moves(self) -> bool:
        """Whether a failover controller has it."""
        return len(self.nodes) > 1


def gateway_groups(egress: Egress) -> dict[str, GatewayGroup]:
    """Every gateway that a policy leaves by.

    In: an Egress that parsed with backend cilium.
    """
    return {
        name: _group(egress, name)
        for name in egress.gateways
        if any(name in policy.gateways for policy in egress.policies.values())
    }


def _group(egress: Egress, name: str) -> GatewayGroup:
    gateway = egress.gateways[name]
    users = {n: policy for n, policy in egress.policies.items() if name in policy.gateways}
    held = {address for policy in users.values() for address in policy.gateways[name]}
    made = [f"{n}-v{family}" for n, policy in users.items() for family in policy.families]
    return GatewayGroup(
        tuple(sorted(held, key=lambda address: (address.version, int(address)))),
        tuple(gateway.candidates) or egress.nodes_of(name),
        tuple(made),
    )


def check_standing(egress: Egress, told: object) -> Iterator[Problem]:
    """Whether every address that a policy leaves by stands where its gateway is.

    In: `told`: by gateway its addresses, from whoever put them there.
    """
    held = told if isinstance(told, Mapping) else {}
    for name, group in gateway_groups(egress).items():
        there = {str(address) for address in held.get(name) or ()}
        for address in group.addresses:
            if str(address) not in there:
                got = (
                    f"{address} does not stand there: {', '.join(sorted(there)) or 'nothing does'}"
                )
                fix = f"let who puts addresses on {' or '.join(group.nodes)} have it as well"
                need = "an address that is there before the policy"
                yield Problem(f"standing.{name}", got, need, fix, "address-not-standing")


def standing_text(told: Mapping[str, Iterable[str]]) -> str:
    """One text for the same addresses in any order."""
    return ";".join(f"{name}={','.join(sorted(held))}" for name, held in sorted(told.items()))
