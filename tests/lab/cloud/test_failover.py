"""A floating IP between two servers: it moves when its holder dies, and at no other time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loopback_iac.lab.cloud.book import Shelf
from loopback_iac.lab.cloud.hetzner.api import ASSIGN, ENDPOINT, LOST, MOVE
from loopback_iac.lab.cloud.switches import Fault
from loopback_iac.lab.paths import write_private
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


class Floating(Stack):
    """Members at Hetzner."""

    cloud, endpoint, program = "hcloud", ENDPOINT, "failover"

    def holder(self) -> str:
        book = Shelf(self.lab.paths).read(self.cloud)
        (ip,) = book.of("floating_ip").values()
        return str(book.of("server")[str(ip["assigneeId"])]["host"])


@pytest.fixture(scope="module")
def vip(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    yield from stands(Floating, lab, tmp_path_factory.mktemp("failover"))


def test_the_token_lies_where_root_of_the_arbiter_reads_it_and_nowhere_else(vip):
    check_token_hidden(vip)


def test_it_moves_when_its_holder_dies_and_stays_when_that_one_returns(vip, capsys):
    gone_s = check_power_loss(vip)
    with capsys.disabled():
        print(f"\nthe address moved within {gone_s:.1f} s of the power loss")  # noqa: T201


def test_an_api_that_refuses_is_busy_and_lies_is_asked_until_it_has_moved(vip):
    right, since, held = vip.token.read_text(), vip.now(), vip.holder()
    try:
        write_private(vip.token, "0" * 64)
        vip.says("m2", "systemctl", "stop", "app")
        vip.await_logged("refuses the token: GET /floating_ips/", since)
        assert vip.told()["api"].endswith("401 unable to authenticate (unauthorized)")
        assert vip.holder() == held
    finally:
        write_private(vip.token, right)
    vip.switch(
        Fault("hcloud", "update", ASSIGN, "unavailable"),
        Fault("hcloud", "update", ASSIGN, "rate_limit_exceeded"),
        Fault("hcloud", "update", MOVE, LOST),
    )
    # one that starts anew asks at once, and knows who is lost
    vip.says("arb", "systemctl", "restart", "loopback-arbiter")
    vip.await_served("m1")
    log = vip.log()
    assert "503 service temporarily unavailable (unavailable); asked again in 1 s" in log
    assert "429 limit of 3600 requests per hour reached" in log
    assert "the API took the move to m1 and did not do it" in log
    assert vip.holder() != held
    vip.serve("m2")
    vip.await_up(m1=True, m2=True)


def test_who_is_asked_for_gets_it(vip):
    vip.says("arb", AGENT, "hand-over", "m2")
    vip.await_served("m2")
    unknown = vip.lab.exec("arb", [AGENT, "hand-over", "m3"])
    assert unknown.returncode == 1
    assert "there is no member 'm3'; there are m1, m2" in unknown.stderr


def test_a_wrong_token_in_the_program_is_refused_and_the_arbiter_keeps_the_right_one(vip):
    vip.write(token="1" * 64)
    code, said, _ = vip.loopback("up", "--yes")
    assert code == 1
    assert "the provider's API refuses the token: " in said
    assert "1" * 64 not in said
    vip.write()
    vip.wait(lambda: vip.told()["api"] == "takes the token", "the token from before")
    vip.await_up(m1=True, m2=True)
    vip.wait(lambda: set(vip.told()["holders"].values()) == {"m2"}, "who holds it")
    code, said, _ = vip.loopback("drift")
    assert code == 0, said
