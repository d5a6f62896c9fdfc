"""An egress address on a card of its own, which Cilium's `devices` does not name.

Cilium translates on the card with the default route all the same, and no agent loads its datapath
anew when the address comes or goes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from loopback_iac.lab.cluster.cilium import Ground, ground
from loopback_iac.lab.cluster.pods import Pod, add_pod, sending, serve
from loopback_iac.lab.namespaces import run
from tests.cluster.gateway_agents import ADDRESS, NODES, QUIET_S, keeping, loads, settled
from tests.cluster.keepers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.keepers import Keepers

CARD = "egress0"
LEASE_MS = 4000
PATIENCE_S = 120


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground("kgd", ("c1", *NODES), tmp_path_factory.mktemp("exports")) as made:
        for node in NODES:
            inside = ["ip", "-netns", made.paths.namespace(node), "link"]
            run([*inside, "add", "link", "eth0", "name", CARD, "type", "macvlan", "mode", "bridge"])
            run([*inside, "set", CARD, "up"])
        yield made


@pytest.fixture(scope="module")
def web(agents: Ground) -> Pod:
    return add_pod(agents, "c1", "web", "billing", {"app": "web"})


@pytest.fixture(scope="module")
def keepers(agents: Ground, web: Pod, tmp_path_factory) -> Iterator[Keepers]:
    """The pod leaves by the address, and is answered."""
    with keeping(agents, tmp_path_factory.mktemp("keepers"), LEASE_MS, CARD) as made:
        with serve(agents):
            until(lambda: web.sees() == ADDRESS, "the pod leaves by the address", PATIENCE_S)
        yield made


def test_a_move_loads_no_datapath_anew(agents: Ground, web: Pod, keepers: Keepers):
    before = settled(agents)
    for _ in range(4):
        holder = keepers.await_holder(*NODES)
        (taker,) = set(NODES) - {holder}
        until(lambda: bool(keepers.status(taker).get("ready")), "ready")  # noqa: B023
        with serve(agents) as server:
            with sending(web):
                until(lambda: len(server.packets) > 100, "packets before", PATIENCE_S)
                keepers.wish(holder, taker)
                keepers.await_holder(taker)
                done = len(server.packets)
                until(lambda: len(server.packets) > done + 100, "packets after", PATIENCE_S)  # noqa: B023
            assert server.addresses() == {ADDRESS}
            until(lambda: web.sees() == ADDRESS, "it is answered", PATIENCE_S)
        assert keepers.on(taker) == {ADDRESS}
    time.sleep(QUIET_S)
    assert loads(agents) == before


def test_on_the_card_that_cilium_has_it_does(agents: Ground, keepers: Keepers):
    """So the test above can fail."""
    before = settled(agents)
    holder = keepers.await_holder(*NODES)
    agents.agents[holder].carry("192.0.2.77")
    until(lambda: loads(agents)[holder] > before[holder], "another datapath", PATIENCE_S)
