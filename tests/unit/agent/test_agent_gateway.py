"""The failover of an egress gateway: what is done in which order, and over whole histories."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loopback_iac.agent.gatewayapi import KINDS, NODE, TWIN
from tests.unit.agent.gateway_world import LEASE_S, World

LONG_S = 3 * LEASE_S


def settled_world(count: int = 3) -> World:
    world = World(count)
    world.run(LONG_S)
    assert world.settled() == ["w1"]
    world.objects.log.clear()
    return world


def written(world: World, *, lease: bool = False) -> list[tuple[str, ...]]:
    """What changed anything, in order: renewals and repeated words are left out."""
    found: list[tuple[str, ...]] = []
    for entry in world.objects.log:
        if (lease or entry[0] != "lease") and entry not in found:
            found.append(entry)
    return found


def test_the_preferred_node_takes_what_nobody_holds():
    world = settled_world()
    assert list(world.on) == ["w1"]
    assert world.labelled(NODE) == world.labelled(TWIN) == ["w1"]
    assert world.objects.policies == {"partners-v4": "w1-1"}


def test_a_dead_nodes_label_goes_before_anything_of_the_next_comes():
    world = settled_world()
    world.frozen.add("w1")
    world.run(LONG_S)
    assert world.settled() == ["w1", "w2"]  # the frozen one knows nothing of it
    assert written(world) == [
        ("mark", NODE, "w3", "None"),
        ("mark", TWIN, "w3", "None"),
        ("touch", "partners-v4", "w2-2-before"),
        ("mark", NODE, "w1", "None"),
        ("mark", TWIN, "w1", "None"),
        ("on", "w2"),
        ("announce", "w2"),
        ("mark", TWIN, "w2", "partners"),
        ("mark", NODE, "w2", "partners"),
        ("touch", "partners-v4", "w2-2"),
    ]
    assert list(world.on) == ["w2"]


def test_whoever_wakes_up_after_it_was_taken_for_dead_does_nothing():
    world = settled_world()
    world.frozen.add("w1")
    world.run(LONG_S)
    world.frozen.clear()
    world.run(LONG_S)
    assert world.settled() == ["w2"]
    assert list(world.on) == ["w2"]


def test_it_never_moves_back_by_itself():
    world = settled_world()
    world.frozen.add("w1")
    world.run(LONG_S)
    world.frozen.clear()
    world.run(10 * LEASE_S)
    assert world.objects.lease.holder == "w2"


def test_handed_over_the_addresses_are_there_before_the_label():
    world = settled_world()
    world.ask_for("w3")
    world.run(LONG_S)
    assert world.settled() == ["w3"]
    assert written(world) == [
        ("on", "w3"),
        ("mark", NODE, "w2", "None"),
        ("mark", TWIN, "w2", "None"),
        ("announce", "w3"),
        ("touch", "partners-v4", "w3-2-before"),
        ("mark", NODE, "w1", "None"),
        ("mark", TWIN, "w1", "None"),
        ("mark", TWIN, "w3", "partners"),
        ("mark", NODE, "w3", "partners"),
        ("touch", "partners-v4", "w3-2"),
        ("off", "w1"),
    ]


def test_a_short_silence_does_not_begin_a_handing_over_anew():
    world = settled_world()
    world.ask_for("w3")
    world.run(1)
    world.cuts.add(frozenset(("w1", "w3")))
    world.run(0.8 * LEASE_S)
    world.cuts.clear()
    world.run(1)
    assert world.objects.lease.holder == "w3"
    assert ("off", "w3") not in world.objects.log


def test_whoever_offered_is_gone_for_good_and_the_next_node_takes_over():
    world = settled_world(2)
    world.ask_for("w2")
    world.run(1)
    world.frozen.add("w1")
    world.run(LONG_S)
    assert world.objects.lease.holder == "w2"
    assert list(world.on) == ["w2"]


def test_a_lease_that_is_handed_over_is_renewed_before_the_last_label_goes():
    """So that no renewal falls between the two labels."""
    world = settled_world()
    world.ask_for("w3")
    world.run(LONG_S)
    taken, before = ("lease", "w3", "2"), ("touch", "partners-v4", "w3-2-before")
    log = world.objects.log
    assert log[log.index(before) - 1] == taken
    assert log.count(taken) >= 2


def test_a_wish_is_heeded_once():
    world = settled_world()
    world.ask_for("w3")
    world.run(LONG_S)
    world.frozen.add("w3")
    world.run(LONG_S)
    assert world.objects.lease.holder == "w1"
    world.frozen.clear()
    world.run(LONG_S)
    assert world.settled() == ["w1"]
    world.start("w1")  # a new process remembers nothing, and the wish still lies there
    world.run(LONG_S)
    assert world.settled() == ["w1"]


@pytest.mark.parametrize("broken", ["frozen", "unready", "no_api"])
def test_nothing_is_handed_over_to_a_node_that_cannot_take_it(broken: str):
    world = settled_world()
    getattr(world, broken).add("w2")
    world.run(LEASE_S)
    world.objects.log.clear()
    world.ask_for("w2")
    world.run(LONG_S)
    assert world.settled() == ["w1"]
    assert written(world) == []


def test_without_the_api_it_goes_on_while_nobody_sees_it():
    world = settled_world()
    world.objects.up = False
    world.run(20 * LEASE_S)
    assert list(world.on) == ["w1"]
    world.objects.up = True
    world.run(LONG_S)
    assert written(world) == []


def test_without_the_api_and_a_node_that_might_see_it_the_addresses_go():
    world = settled_world()
    world.objects.up = False
    world.run(LEASE_S)
    world.frozen.add("w3")
    world.run(LEASE_S)
    assert list(world.on) == []
    world.objects.up = True
    world.run(LONG_S)
    (holder,) = world.settled()
    assert list(world.on) == [holder]


def test_alone_without_the_api_it_lets_go_before_another_takes():
    world = settled_world()
    world.no_api.add("w1")
    world.cuts |= {frozenset(("w1", "w2")), frozenset(("w1", "w3"))}
    world.run(LONG_S)
    log = [entry for entry in written(world) if entry[0] in ("on", "off")]
    assert log == [("off", "w1"), ("on", "w2")]
    assert world.labelled(TWIN) == ["w2"]


def test_one_that_says_that_it_let_go_is_not_waited_for():
    world = settled_world()
    world.no_api.add("w1")
    world.run(LEASE_S)
    assert world.settled() == ["w2"]


def test_nobody_takes_what_it_could_not_serve():
    world = settled_world()
    world.unready |= {"w2", "w3"}
    world.frozen.add("w1")
    world.run(LONG_S)
    assert world.labelled(TWIN) == ["w1"]  # its addresses are gone: what is sent there is dropped
    assert world.on == {}
    world.unready.clear()
    world.run(LONG_S)
    assert "w2" in world.settled()


def test_an_agent_that_is_gone_for_long_makes_the_holder_hand_over():
    world = settled_world()
    world.unready.add("w1")
    world.run(20)
    assert world.settled() == ["w1"]
    world.run(20)
    assert world.settled() == ["w2"]


def test_a_new_process_goes_on_where_the_old_one_ended():
    world = settled_world()
    world.start("w1")
    world.run(LONG_S)
    assert world.settled() == ["w1"]
    assert ("off", "w1") not in world.objects.log
    assert world.objects.lease.epoch == 1


def test_a_label_that_came_by_another_hand_is_taken_off_and_ours_put_back():
    world = settled_world()
    for name, value in (("w2", "partners"), ("w1", None)):
        there = world.objects.marks[NODE, name]
        world.objects.marks[NODE, name] = there._replace(value=value, version=world.objects.next())
    world.run(2 * LONG_S)
    assert world.labelled(NODE) == ["w1"]
    assert world.keepers["w1"].strays == 2


def test_an_address_taken_off_by_another_hand_comes_back_and_the_policy_is_touched():
    world = settled_world()
    world.on.clear()
    world.run(LEASE_S)
    assert written(world) == [("on", "w1"), ("touch", "partners-v4", "w1-1")]


def test_a_lease_that_was_deleted_and_made_anew_does_not_end_it():
    world = settled_world()
    world.frozen.add("w1")
    world.run(LONG_S)
    world.frozen.clear()
    world.objects.lease = world.objects.lease._replace(
        holder="", epoch=0, version=world.objects.next()
    )
    world.run(2 * LONG_S)
    assert world.settled() == ["w1"]
    assert world.objects.lease.epoch > 2
    assert world.labelled(TWIN) == ["w1"]


def test_a_late_write_of_a_former_holder_is_refused():
    world = World(2)
    while not world.keepers["w1"].todo or world.keepers["w1"].todo[0].verb != "mark":
        world.now_s += 0.25
        world.step("w1")
    world.no_api.add("w1")
    world.late.add("w1")
    world.step("w1")  # its label is under way now
    world.frozen.add("w1")
    assert len(world.under_way) == 1
    world.run(LONG_S)
    assert world.settled() == ["w2"]
    world.land()
    assert world.objects.log[-1] == ("refused",)
    assert world.labelled(TWIN) == ["w2"]


class Histories(RuleBasedStateMachine):
    """Whatever happens: one label at most, one holder that is awake at most; and it heals."""

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

    @rule(name=nodes, what=st.sampled_from(["frozen", "no_api", "late", "unready"]))
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

    @invariant()
    def one_label(self) -> None:
        self.world.check_labels()
        self.world.check_holders()

    def teardown(self) -> None:
        """Everything is mended: one holds it, bears the label, and the policy was touched since."""
        world = self.world
        while world.under_way:
            world.land()
        for broken in (world.frozen, world.no_api, world.late, world.unready, world.cuts):
            broken.clear()
        world.objects.up, world.wish = True, None
        world.run(2 * LONG_S)
        (holder,) = world.settled()
        assert list(world.on) == [holder]
        assert all(world.labelled(kind) == [holder] for kind in KINDS)
        assert world.objects.lease.holder == holder


class PairHistories(Histories):
    """Two nodes: no third one that could tell."""

    count = 2


TestThree = Histories.TestCase
TestTwo = PairHistories.TestCase
