"""EgressIpPool: addresses that are ours, ordered or held, who has which, and that they are kept.

An address that a partner lets in is worth more than its price. So every order and every row of the
table is protected: a plan that would drop one is refused until it is named in `giving_back`.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network

import pulumi

from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.egress_args import EgressIpPoolArgs
from loopback_iac.components.egress_order import order_block, order_floating
from loopback_iac.kube import allocation_rows, free_text
from loopback_iac.kube.facts import pool_facts
from loopback_iac.kube.pool_order import FLOATING, KeptPool, check_ordered, parse_pool
from loopback_iac.model import InputRejected


class EgressAllocation(pulumi.ComponentResource):
    """A row of the table: an address that a tenant has."""

    def __init__(
        self, name: str, facts: Mapping[str, str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare it; nothing is made, and it cannot go unasked."""
        super().__init__("loopback-iac:index:EgressAllocation", name, dict(facts), opts)
        self.register_outputs({})


class EgressIpPool(pulumi.ComponentResource):
    """A pool of egress addresses."""

    ordered: pulumi.Output[Mapping[str, Sequence[str]]]
    """By order: the addresses that the provider gave."""
    allocations: pulumi.Output[Sequence[Mapping[str, str]]]
    """Who has which address: pool, address, tenant, kind; by address."""
    free: pulumi.Output[str]
    """The next free addresses, in words."""

    def __init__(
        self, name: str, args: EgressIpPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Check the table, order what is to be ordered, and keep every row."""
        pool = refuse_as_pulumi(lambda: parse_pool(name, args))
        facts = {"pool": pool_facts(pool)}
        super().__init__("loopback-iac:index:EgressIpPool", name, facts, opts)
        self.ordered = self._order(name, pool, args)
        rows = allocation_rows({name: pool})
        for row in rows:
            title = f"{name}-{row['tenant']}-{row['address']}"
            EgressAllocation(title, row, self._kept(pool, row["address"]))
        self.allocations = pulumi.Output.from_input(rows)
        self.free = pulumi.Output.from_input(free_text(pool))
        outputs = ("ordered", "allocations", "free")
        self.register_outputs(facts | {output: getattr(self, output) for output in outputs})

    def _order(
        self, name: str, pool: KeptPool, args: EgressIpPoolArgs
    ) -> pulumi.Output[Mapping[str, Sequence[str]]]:
        """What is ordered, held to what is written once the provider has said it."""
        made = {
            title: order_floating(
                f"{name}-{title}", pool, order, args["orders"][title], self._kept(pool, title)
            )
            if pool.kind == FLOATING
            else order_block(f"{name}-{title}", order, self._kept(pool, title))
            for title, order in pool.orders.items()
        }

        def checked(told: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
            def check() -> Mapping[str, Sequence[str]]:
                given = [ip_network(each) for several in told.values() for each in several]
                if problems := tuple(check_ordered(name, pool, given)):
                    raise InputRejected(name, problems)
                return told

            return refuse_as_pulumi(check)

        return pulumi.Output.all(**made).apply(checked) if made else pulumi.Output.from_input({})

    def _kept(self, pool: KeptPool, title: str) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=pool.is_kept(title))
