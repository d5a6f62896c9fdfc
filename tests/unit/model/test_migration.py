"""A move of workers, from the configuration alone: its steps, where it goes on, what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.model import InputRejected
from loopback_iac.model.migration import (
    next_step,
    parse_move,
    serving,
    steps_left,
)
from loopback_iac.model.traffic import LAST_WORKER_ID

W1, W2 = {"node_id": 1}, {"node_id": 2, "weight": 60, "rtt_ms": 3}
CONFIG = {
    "machines": {
        "fra1": {}, "w1": {}, "w2": {"kind": "metal"}, "w3": {},
        "h1": {"kind": "hetzner"}, "i1": {"kind": "ionos"},
    },
    "pops": {"fra1": {"node_id": 1}},
    "workers": {"w1": W1, "w2": W2},
}  # fmt: skip


def move(leaving, coming, workers=None, pools=None):
    return parse_move("web", leaving, coming, CONFIG | {"workers": workers or CONFIG["workers"]},
                      pools)  # fmt: skip


def refused(*asked, **more) -> list[str]:
    with pytest.raises(InputRejected) as caught:
        move(*asked, **more)
    return [f"{p.rule} at {p.path}" for p in caught.value.problems]


def test_newcomers_come_at_weight_0_and_the_old_leave_drained():
    asked = move(["w1", "w2"], ["h1", "i1"])
    add, shift, drain, remove = steps_left(asked, CONFIG["workers"])
    assert [s.name for s in (add, shift, drain, remove)] == ["add", "shift", "drain", "remove"]
    new = {"h1": {"node_id": 3, "weight": 0}, "i1": {"node_id": 4, "weight": 0}}
    assert add.workers == {"w1": W1, "w2": W2, **new}
    heavy = {name: {**worker, "weight": 100} for name, worker in new.items()}
    assert shift.workers == {"w1": W1, "w2": W2, **heavy}
    gone = {"w1": {**W1, "drained": True}, "w2": {**W2, "drained": True}}
    assert drain.workers == {**gone, **heavy}
    assert remove.workers == heavy
    assert [s.after for s in (add, shift, drain, remove)] == [
        "", "h1, i1 UP at every PoP", "h1, i1 UP at every PoP", "no connection to w1, w2",
    ]  # fmt: skip
    assert "h1 at hetzner, i1 at ionos: ordered" in add.what
    assert "deleted" not in remove.what


def test_an_ordered_machine_that_leaves_is_said_to_be_deleted():
    workers = {"h1": {"node_id": 3}}
    *_, remove = steps_left(move(["h1"], ["w1"], workers), workers)
    assert remove.what == "h1 leaves the fleet (h1 at hetzner: deleted with its disk and addresses)"


def test_without_a_newcomer_the_rest_takes_over():
    found = steps_left(move(["w1"], []), CONFIG["workers"])
    assert [s.name for s in found] == ["drain", "remove"]
    assert found[-1].workers == {"w2": W2}


@given(st.integers(0, 4), st.integers(0, 4))
def test_wherever_it_was_interrupted_it_goes_on_to_the_same_end(first, second):
    """Each run makes some of its steps; nothing but the configuration is kept between them."""
    workers = CONFIG["workers"]
    for count in (first, second, 4):
        asked = move(["w1", "w2"], ["h1"], workers)
        for _ in range(count):
            step = next_step(asked, workers)
            if step is None:
                break
            workers = step.workers
            assert serving(workers)
    assert workers == {"h1": {"node_id": 3, "weight": 100}}
    assert next_step(move(["w1", "w2"], ["h1"], workers), workers) is None


def test_what_somebody_prepared_is_taken_as_it_stands():
    workers = {"w1": W1, "h1": {"node_id": 40, "weight": 0, "rtt_ms": 9}}
    shift, _, remove = steps_left(move(["w1"], ["h1"], workers), workers)
    assert shift.name == "shift"
    assert remove.workers == {"h1": {"node_id": 40, "weight": 100, "rtt_ms": 9}}
    serves = {"w1": W1, "h1": {"node_id": 40, "weight": 7}}
    assert [s.name for s in steps_left(move(["w1"], ["h1"], serves), serves)] == ["drain", "remove"]


def test_a_number_comes_back_only_when_all_were_given():
    workers = {"w1": W1, "w2": {"node_id": LAST_WORKER_ID}}
    assert next_step(move(["w1"], ["h1"], workers), workers).workers["h1"]["node_id"] == 2


@pytest.mark.parametrize(
    ("leaving", "coming", "rules"),
    [
        (["w9"], ["h1"], ["worker-unknown at --from.w9"]),
        (["w3"], ["h1"], ["worker-unknown at --from.w3"]),  # a machine, and no worker
        ([], ["h1"], ["migrate-nobody at --from"]),
        (["w1"], ["x1"], ["machine-unknown at --to.x1"]),
        (["w1"], ["w1"], ["migrate-to-itself at --to.w1"]),
        (["w1"], ["fra1"], ["host-name-unique at --to.fra1"]),
        (["w1", "w2"], [], ["pool-all-drained at --to"]),
        (["w9"], ["x1", "fra1"], ["worker-unknown at --from.w9", "machine-unknown at --to.x1",
                                  "host-name-unique at --to.fra1"]),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_all_at_once(leaving, coming, rules):
    assert refused(leaving, coming) == rules


def test_the_last_worker_that_serves_is_not_drained():
    workers = {"w1": W1, "w2": {**W2, "drained": True}, "w3": {"node_id": 3, "weight": 0}}
    assert refused(["w1"], [], workers=workers) == ["pool-all-drained at --to"]


def test_a_drained_newcomer_is_somebodys_intention():
    workers = {"w1": W1, "w2": {**W2, "drained": True}}
    assert refused(["w1"], ["w2"], workers=workers) == ["migrate-to-drained at --to.w2"]


def test_a_pool_is_known_by_what_was_applied_and_keeps_its_hosts():
    pools = {"web": ["w1"], "mail": ["w2"]}
    assert move(["w1"], ["h1"], pools=pools).pool == "web"
    assert refused(["w2"], ["h1"], pools=pools) == ["pool-of-another at --from.w2"]
    assert refused(["w1"], ["w2"], pools=pools) == ["pool-of-another at --to.w2"]
    assert refused(["w1"], ["h1"], pools={"mail": ["w1"]}) == ["pool-unknown at POOL"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"machines": None}, "config.machines"),
        ({"workers": {"w1": 5}}, "config.workers"),
        ({"workers": {"w1": {"node_id": "1"}}}, "config.workers.w1.node_id"),
        ({"workers": {"w1": {"node_id": 1, "weight": True}}}, "config.workers.w1.weight"),
    ],
)
def test_another_layout_of_the_configuration_is_refused(change, path):
    with pytest.raises(InputRejected) as caught:
        parse_move("web", ["w1"], ["h1"], CONFIG | change)
    assert [(p.rule, p.path) for p in caught.value.problems] == [("config-shape", path)]
