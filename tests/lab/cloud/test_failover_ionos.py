"""An address of a failover group: members take it by gratuitous ARP when the arbiter tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loopback_iac.lab.cloud.book import Shelf
from loopback_iac.lab.cloud.ionos.api import CHANGE, ENDPOINT, FAILED, LATE, PROVISION
from loopback_iac.lab.cloud.switches import Fault
from tests.lab.cloud.failover_stack import (
    AGENT,
    Stack,
    check_power_loss,
    check_token_hidden,
    stands,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_iac.lab import Lab


class Group(Stack):
    """Members at IONOS."""

    cloud, endpoint, program = "ionoscloud", ENDPOINT, "failover_ionos"

    def holder(self) -> str:
        book = Shelf(self.lab.paths).read(self.cloud)
        ((entry,),) = [lan["failovers"] for lan in book.of("lan").values() if lan["failovers"]]
        server = book.of("nic")[entry["nicUuid"]]["serverId"]
        return str(book.of("server")[server]["host"])

    def carries(self, member: str) -> bool:
        """Whether the address is on a member's card just now."""
        shown = self.says(member, "ip", "-4", "address", "show", "dev", "eth0")
        return f" {self.outputs['address']}/32 " in shown


@pytest.fixture(scope="module")
def vip(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    yield from stands(Group, lab, tmp_path_factory.mktemp("failover-ionos"))


def test_the_token_lies_where_root_of_the_arbiter_reads_it_and_nowhere_else(vip):
    check_token_hidden(vip)
    for member in ("m1", "m2"):
        assert vip.says(member, "stat", "-c", "%a %U", "/etc/loopback/hold-key") == "600 root"


def test_it_moves_when_its_holder_dies_and_stays_when_that_one_returns(vip, capsys):
    vip.wait(lambda: vip.carries("m1"), "the address on the first card")
    assert not vip.carries("m2")
    gone_s = check_power_loss(vip)
    with capsys.disabled():
        print(f"\nthe group's address moved within {gone_s:.1f} s of the power loss")  # noqa: T201
    assert not vip.carries("m1")


def test_an_api_that_is_busy_and_answers_too_late_is_asked_until_it_has_moved(vip):
    since = vip.now()
    vip.switch(
        Fault("ionoscloud", "update", CHANGE, "503"),
        Fault("ionoscloud", "update", CHANGE, "429"),
        Fault("ionoscloud", "update", f"{CHANGE}-answer", LATE),
    )
    vip.says("m2", "systemctl", "stop", "app")
    vip.await_served("m1")
    vip.wait(lambda: vip.holder() == "m1", "the group's card")
    vip.wait(lambda: vip.carries("m1") and not vip.carries("m2"), "one card with the address")
    for told in ("503 Service unavailable (503)", "429 Too many requests (429)", "TimeoutError"):
        vip.await_logged(told, since)


def test_who_is_asked_for_gets_it_though_a_request_fails_first(vip):
    since = vip.now()
    vip.serve("m2")
    vip.await_up(m1=True, m2=True)
    vip.switch(Fault("ionoscloud", "update", PROVISION, FAILED))
    vip.says("arb", AGENT, "hand-over", "m2")
    vip.await_served("m2")
    vip.await_logged("m2 does not get it: request ", since)
    assert vip.holder() == "m2"
