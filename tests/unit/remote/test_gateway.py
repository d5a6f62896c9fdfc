"""Handing over by SSH: what the nodes' answers come to."""

import json

import pytest

from loopback_iac.remote.gateway import HandOverError, hand_over, judge_answers
from loopback_iac.remote.ssh import Answer, Expected, Identity

DONE = Answer(stdout=json.dumps({"format": 1, "group": "partners", "holder": "w2", "took_s": 0.4}))
NO = Answer(stderr="w1 holds partners, not this node\n", exit_status=1)


def test_the_one_that_holds_it_hands_it_over_and_the_others_say_no():
    done = judge_answers("partners", {"w1": DONE, "w2": NO, "w3": Answer(unreachable="silent")})
    assert (done.holder, done.took_s) == ("w2", 0.4)


def test_when_none_does_each_is_told():
    odd = Answer(stdout="usage")
    with pytest.raises(HandOverError) as refused:
        judge_answers("partners", {"w1": Answer(unreachable="silent"), "w2": NO, "w3": odd})
    assert str(refused.value) == (
        "w1: silent\nw2: w1 holds partners, not this node\n"
        "w3 answered something else than an agent does"
    )


def test_a_stack_without_gateways_is_refused():
    pop = Expected("fra1", "pop", "192.0.2.1", "k", "d")
    with pytest.raises(HandOverError, match="no host of this stack is an egress gateway"):
        hand_over([pop], "partners", "w2", Identity(None), 1)
