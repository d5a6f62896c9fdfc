"""The failover of an egress gateway: what is done, and in which order."""

from __future__ import annotations

import pytest

from loopback_iac.agent.gatewayapi import Named
from loopback_iac.agent.gatewaystatus import status_of
from tests.unit.agent.gateway_world import LEASE_S, POLICIES, World

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
    assert world.named() == ["w1"]
    assert {pin.epoch for pin in world.objects.policies.values()} == {1}


def test_policies_that_come_later_are_named():
    world = World(3)
    world.objects.policies.clear()
    world.run(LONG_S)
    world.objects.policies |= {name: Named("1", None, 0) for name in POLICIES}
    world.run(LEASE_S)
    assert world.named() == ["w1"]


def test_a_policy_that_is_missing_keeps_no_other_from_being_named():
    world = World(2)
    del world.objects.policies[POLICIES[0]]
    world.run(LONG_S)
    assert world.named() == ["w1"]
    assert "no CiliumEgressGatewayPolicy" in world.keepers["w1"].trouble
    assert unnamed(world, "w1") == {POLICIES[0]}
    world.objects.policies[POLICIES[0]] = Named("1", None, 0)
    world.run(LEASE_S)
    assert unnamed(world, "w1") == set()


def test_a_policy_that_cannot_be_named_is_counted_where_the_addresses_are():
    world = World(2)
    world.refused.add(POLICIES[0])
    world.run(LONG_S)
    status = status_of(world.keepers["w1"])
    assert (status.settled, status.unnamed) == (True, 1)
    assert "no keeper wrote" in status.trouble
    world.frozen.add("w2")
    world.no_api.add("w1")
    world.run(LONG_S)
    assert unnamed(world, "w1") == set()


def unnamed(world: World, node: str) -> set[str]:
    """Policies that a node counts as not named."""
    return set(world.keepers[node].names.unnamed)


def test_a_dead_nodes_policies_name_the_next_once_its_addresses_are_there():
    world = settled_world()
    world.frozen.add("w1")
    world.run(LONG_S)
    assert world.settled() == ["w1", "w2"]  # the frozen one knows nothing of it
    assert written(world) == [
        ("on", "w2"),
        ("announce", "w2"),
        ("name", "partners-v4", "w2"),
        ("name", "partners-v6", "w2"),
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


def test_handed_over_the_addresses_are_there_before_and_told_of_after():
    world = settled_world()
    world.ask_for("w3")
    world.run(LONG_S)
    assert world.settled() == ["w3"]
    assert written(world) == [
        ("on", "w3"),
        ("name", "partners-v4", "w3"),
        ("name", "partners-v6", "w3"),
        ("announce", "w3"),
        ("off", "w1"),
    ]


def test_handed_over_the_addresses_stay_till_the_last_of_many_policies_names_the_next():
    world = World(2, tuple(f"p{number}" for number in range(100)))
    world.run(5 * LONG_S)
    assert world.settled() == ["w1"]
    world.ask_for("w2")
    began_s = world.now_s
    while world.named() != ["w2"]:
        world.run(0.25)
        assert set(world.on) >= {"w1"}
    assert world.now_s - began_s > LEASE_S
    world.run(LEASE_S)
    assert list(world.on) == ["w2"]


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


def test_a_lease_that_is_handed_over_is_renewed_before_any_policy_moves():
    """So that no renewal falls between two policies."""
    world = settled_world()
    world.ask_for("w3")
    world.run(LONG_S)
    taken, before = ("lease", "w3", "2"), ("name", "partners-v4", "w3")
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


@pytest.mark.parametrize("broken", ["frozen", "unready", "no_api", "no_card"])
def test_nothing_is_handed_over_to_a_node_that_cannot_take_it(broken: str):
    world = settled_world()
    getattr(world, broken).add("w2")
    world.run(LEASE_S)
    world.objects.log.clear()
    world.ask_for("w2")
    world.run(LONG_S)
    assert world.settled() == ["w1"]
    assert [entry for entry in written(world) if entry != ("off", "w2")] == []


def test_a_holder_whose_card_is_gone_lets_another_have_them():
    world = settled_world()
    world.no_card.add("w1")
    world.run(LONG_S)
    assert world.settled() == ["w2"]
    assert world.named() == ["w2"]
    assert not world.keepers["w1"].word.ready


def test_a_survivor_without_the_card_lets_the_next_one_take_over():
    world = settled_world()
    world.no_card.add("w2")
    world.frozen.add("w1")
    world.run(2 * LONG_S)
    assert world.objects.lease.holder == "w3"
    assert list(world.on) == ["w3"]


def test_a_card_that_comes_back_is_tried_again_where_nobody_else_can():
    world = settled_world(2)
    world.frozen.add("w2")
    world.no_card.add("w1")
    world.run(LONG_S)
    assert world.on == {}
    world.no_card.clear()
    world.run(2 * LONG_S)
    assert world.settled() == ["w1"]
    assert list(world.on) == ["w1"]


def test_a_card_that_is_gone_for_a_moment_moves_nothing():
    world = settled_world()
    world.no_card.add("w1")
    world.run(LEASE_S / 2)
    world.no_card.clear()
    world.run(LONG_S)
    assert world.settled() == ["w1"]
    assert [entry for entry in world.objects.log if entry[-1] == "w2"] == []


def test_alone_it_lets_go_without_the_api_and_comes_back_with_it():
    world = settled_world(2)
    world.frozen.add("w2")
    world.objects.up = False
    world.run(LONG_S)
    assert world.on == {}
    world.objects.up = True
    world.run(LONG_S)
    assert world.settled() == ["w1"]
    assert list(world.on) == ["w1"]


def test_it_is_told_where_a_group_is_settled():
    world = settled_world()
    assert {status_of(keeper).settled_at for keeper in world.keepers.values()} == {"w1"}
    world.ask_for("w3")
    while world.objects.lease.holder != "w3":
        world.step("w1")
        world.now_s += 0.25
        world.step("w3")
    status = status_of(world.keepers["w1"])
    assert (status.holder, status.settled_at) == ("w3", "")
    world.run(LONG_S)
    assert status_of(world.keepers["w1"]).settled_at == "w3"


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
    assert world.named() == ["w2"]


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
    assert world.named() == ["w1"]  # its addresses are gone: what is sent there is dropped
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


def test_a_policy_that_another_hand_changed_names_the_holder_again():
    world = settled_world()
    there = world.objects.policies
    for name, other in zip(POLICIES, ("w2", None), strict=True):
        there[name] = there[name]._replace(hostname=other, version=world.objects.next())
    world.run(2 * LONG_S)
    assert world.named() == ["w1"]
    assert world.keepers["w1"].strays == 2


def test_an_address_taken_off_by_another_hand_comes_back_and_the_policies_are_written_again():
    world = settled_world()
    world.on.clear()
    world.run(LEASE_S)
    again = [("name", policy, "w1") for policy in POLICIES]
    assert written(world) == [("on", "w1"), *again]


def test_a_holder_that_is_no_node_of_the_group_any_more_is_taken_from_once_it_is_silent():
    world = settled_world()
    lease = world.objects.lease
    world.objects.lease = lease._replace(holder="w9", epoch=7, version=world.objects.next())
    world.run(LONG_S)
    (holder,) = world.settled()
    assert world.named() == [holder]


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
    assert world.named() == ["w1"]


def test_a_late_write_of_a_former_holder_is_refused():
    world = World(2)
    while not world.keepers["w1"].todo or world.keepers["w1"].todo[0].verb != "name":
        world.now_s += 0.25
        world.step("w1")
    world.no_api.add("w1")
    world.late.add("w1")
    world.step("w1")  # its name is under way now
    world.frozen.add("w1")
    assert len(world.under_way) == 1
    world.run(LONG_S)
    assert world.settled() == ["w2"]
    world.land()
    assert world.objects.log[-1] == ("refused",)
    assert world.named() == ["w2"]
