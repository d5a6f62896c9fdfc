"""Updates one by one: the order of hosts, and what an answer means."""

import json

import pytest

from loopback_iac.cli.access import AccessError
from loopback_iac.cli.update import choose_hosts, render_updated
from loopback_iac.remote.ssh import Answer, Expected
from loopback_iac.remote.update import UpdateError, order_hosts, parse_updated


def host(name: str) -> Expected:
    return Expected(name, "worker" if name.startswith("w") else "pop", "192.0.2.1", "k", "d")


FLEET = [host(name) for name in ("fra1", "ams1", "w2", "w1")]
DONE = {
    "format": 1, "host": "fra1", "state": "updated", "drained": True,
    "updated": {"bird2": ["1", "2"], "haproxy": ["3", "4"]},
}  # fmt: skip


def test_workers_come_first_and_then_pops_by_name():
    assert [each.host for each in order_hosts(FLEET)] == ["w1", "w2", "ams1", "fra1"]


def test_hosts_are_chosen_by_name_and_all_without_one():
    assert choose_hosts(FLEET, []) == FLEET
    assert [each.host for each in choose_hosts(FLEET, ["w1"])] == ["w1"]
    with pytest.raises(AccessError, match="no host x1, x2; there are ams1, fra1, w1, w2"):
        choose_hosts(FLEET, ["x1", "fra1", "x2"])


def test_what_was_updated_is_one_sentence():
    done = parse_updated(FLEET[0], Answer(stdout=json.dumps(DONE)))
    told = "fra1: bird2 1 -> 2, haproxy 3 -> 4, out of traffic meanwhile and back (0 s)"
    assert render_updated(done) == told
    cut = parse_updated(FLEET[0], Answer(stdout=json.dumps(DONE | {"updated": {}})))
    assert "finished an update that was cut off" in render_updated(cut)
    idle = parse_updated(FLEET[0], Answer(stdout=json.dumps(DONE | {"state": "current"})))
    assert render_updated(idle) == "fra1 has nothing to update"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(unreachable="no answer within 9 s"), "an update that was begun goes on without us"),
        (Answer(stderr="host: back on bird2 1\n", exit_status=1), r"\(exit 1\): host: back on bir"),
        (Answer(stdout="usage"), "its agent may be older"),
        (Answer(stdout="{}"), "its agent may be older"),
    ],
)
def test_whatever_is_no_good_answer_ends_the_round(answer, said):
    with pytest.raises(UpdateError, match=f"^fra1.*(?s:.*){said}"):
        parse_updated(FLEET[0], answer)
