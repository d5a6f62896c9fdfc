"""The failover of an egress gateway over whole histories of faults, made up as they go."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loopback_iac.agent.gatewayapi import Named
from tests.unit.agent.gateway_world import LEASE_S, POLICIES, World

LONG_S = 3 * LEASE_S


class Histories(RuleBasedStateMachine):
    """Whatever happens: no name of before comes back, one holder at most is awake; and it heals."""

    count = 3

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.count)
        self.world.run(LEASE_S)

    nodes = st.integers(1, 3).map("w{}".format)

    @rule(ticks=st.integers(1, 30), order=st.permutations(["w1", "w2", "w3"]))
    def pass_time(self, ticks: int, order: list[str]) -> None:
        known = [name for name in order if name in self.world.group.names]
        self.world.run(ticks * 0.25, known)

    @rule(name=nodes, steps=st.integers(1, 6))
    def step_one(self, name: str, steps: int) -> None:
        if name in self.world.keepers:
            for _ in range(steps):
                self.world.step(name)

    @rule(name=nodes, what=st.sampled_from(["frozen", "no_api", "late", "unready", "no_card"]))
    def toggle(self, name: str, what: str) -> None:
        if name in self.world.keepers:
            getattr(self.world, what).symmetric_difference_update({name})

    @rule()
    def toggle_api(self) -> None:
        self.world.objects.up = not self.world.objects.up

    @rule(first=nodes, second=nodes)
    def toggle_cut(self, first: str, second: str) -> None:
        self.world.cuts.symmetric_difference_update({frozenset((first, second))})

    @rule(name=nodes)
    def restart(self, name: str) -> None:
        if name in self.world.keepers:
            self.world.frozen.discard(name)
            self.world.start(name)

    @rule(name=st.sampled_from(["w1", "w2", "w3", None]))
    def ask_for(self, name: str | None) -> None:
        self.world.wish = None
        if name is not None:
            self.world.ask_for(name)

    @precondition(lambda self: self.world.under_way)
    @rule()
    def land(self) -> None:
        self.world.land()

    @rule(policy=st.sampled_from(POLICIES))
    def declare_anew(self, policy: str) -> None:
        """Deleted and made again, it names nobody."""
        objects = self.world.objects
        objects.policies[policy] = Named(objects.next(), None, 0)

    @invariant()
    def one_holder(self) -> None:
        self.world.check_holders()

    def teardown(self) -> None:
        """Everything is mended: one holds it, and the policies name it."""
        world = self.world
        while world.under_way:
            world.land()
        down = (world.frozen, world.no_api, world.late, world.unready, world.no_card)
        for broken in (*down, world.cuts):
            broken.clear()
        world.objects.up, world.wish = True, None
        world.run(3 * LONG_S)
        (holder,) = world.settled()
        assert list(world.on) == [holder]
        assert world.named() == [holder]
        assert world.objects.lease.holder == holder


class PairHistories(Histories):
    """Two nodes: no third one that could tell."""

    count = 2


TestThree = Histories.TestCase
TestTwo = PairHistories.TestCase
