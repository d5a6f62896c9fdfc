"""The watch's decisions: what was seen goes in, where the gate stands comes out."""

import pytest

from loopback_iac.agent.decide import UNREACHED_LOOKS, Drain, Memory, Sight, decide
from loopback_iac.agent.gates import CLOSED, DEPREFER, OPEN
from loopback_iac.agent.watchfile import Announcement, Service

WEB = Service((("203.0.113.10", 443), ("2001:db8:100::10", 443)), "web")
API = Service((("203.0.113.10", 8443),), "api")
SERVICES = {"web": WEB, "api": API}
UP = {"web": 2, "api": 1}
HOLD_S = 10.0


def announcement(*services: str, mode: str = "all") -> Announcement:
    return Announcement("v4", 4, "/run/loopback/gate/gate4-v4.conf", {}, services, mode)


class Gate:
    """An announcement and its memory; each `see` is one look a fifth of a second later."""

    def __init__(self, position: str | None = OPEN, *services: str, mode: str = "all") -> None:
        self.what = announcement(*(services or ("web",)), mode=mode)
        self.memory, self.at_s, self.reason = Memory(position), 100.0, ""

    def see(self, after_s: float = 0.2, **seen) -> str:
        """Look once; what is not said is healthy."""
        self.at_s += after_s
        sight = {"haproxy": True, "bird": True, "missing": frozenset(), "workers": UP,
                 "confirmed": True, "drain": None} | seen  # fmt: skip
        done = decide(self.what, SERVICES, self.memory, Sight(self.at_s, **sight), HOLD_S)
        self.memory, self.reason = done.memory, done.reason
        return done.position

    def see_for(self, seconds: float, **seen) -> str:
        """Look many times."""
        position = ""
        for _ in range(round(seconds / 0.2)):
            position = self.see(**seen)
        return position


NO_LISTENER = {"missing": frozenset({WEB.listeners[0]})}
NO_WORKER = {"workers": {"web": 0, "api": 0}}
NO_ANSWER = {"workers": None}


@pytest.mark.parametrize("dead", ["haproxy", "bird"])
@pytest.mark.parametrize("position", [OPEN, DEPREFER])
def test_a_dead_process_closes_at_once(dead, position):
    gate = Gate(position)
    assert gate.see(**{dead: False}) == CLOSED
    assert gate.reason == f"{dead} is not running"


def test_a_return_takes_the_whole_hold():
    gate = Gate(OPEN)
    gate.see(haproxy=False)
    assert gate.see_for(HOLD_S - 0.2) == CLOSED
    assert gate.see_for(0.6) == OPEN


def test_every_relapse_starts_the_hold_anew():
    gate = Gate(CLOSED)
    for _ in range(5):
        assert gate.see_for(HOLD_S - 1) == CLOSED
        gate.see(haproxy=False)
    assert gate.see_for(HOLD_S - 1) == CLOSED
    assert gate.see_for(1.4) == OPEN


def test_a_first_start_needs_one_second_of_health():
    gate = Gate(None)
    assert gate.see_for(1.0) == CLOSED
    assert gate.see_for(0.4) == OPEN


def test_a_first_start_that_was_ever_sick_needs_the_whole_hold():
    gate = Gate(None)
    gate.see(haproxy=False)
    assert gate.see_for(HOLD_S - 1) == CLOSED
    assert gate.see_for(1.4) == OPEN


def test_nothing_opens_on_an_unconfirmed_set():
    gate = Gate(None)
    assert gate.see_for(60, confirmed=False) == CLOSED
    assert gate.reason == "the applied configuration is not confirmed"
    assert gate.see() == OPEN  # health had lasted by then


def test_an_unconfirmed_set_closes_nothing():
    assert Gate(OPEN).see_for(60, confirmed=False) == OPEN


def test_one_look_without_a_listener_may_be_a_reload_two_are_not():
    gate = Gate(OPEN)
    assert gate.see(**NO_LISTENER) == OPEN
    assert gate.see() == OPEN
    assert gate.see(**NO_LISTENER) == OPEN
    assert gate.see(**NO_LISTENER) == CLOSED
    assert "nothing listens on 203.0.113.10 port 443" in gate.reason


def test_no_worker_depreferences_and_never_withdraws():
    gate = Gate(OPEN)
    for _ in range(UNREACHED_LOOKS - 1):
        assert gate.see(**NO_WORKER) == OPEN
    assert gate.see(**NO_WORKER) == DEPREFER
    assert gate.see_for(600, **NO_WORKER) == DEPREFER
    assert gate.see_for(HOLD_S - 0.4) == DEPREFER
    assert gate.see_for(0.8) == OPEN


def test_without_workers_a_closed_gate_returns_depreferenced():
    gate = Gate(CLOSED)
    assert gate.see_for(HOLD_S + 1, **NO_WORKER) == DEPREFER
    assert gate.see_for(HOLD_S + 1) == OPEN


@pytest.mark.parametrize("position", [OPEN, DEPREFER, CLOSED])
def test_no_answer_changes_nothing_however_long(position):
    gate = Gate(position)
    assert gate.see_for(600, **NO_ANSWER) == position
    assert "nothing is concluded" in gate.reason


def test_a_machine_that_stalls_for_less_than_a_second_moves_nobody():
    gate = Gate(OPEN)
    for _ in range(20):
        for _ in range(UNREACHED_LOOKS - 1):
            assert gate.see(**NO_WORKER) == OPEN
        assert gate.see() == OPEN


def test_a_look_without_an_answer_neither_counts_nor_contradicts():
    gate = Gate(OPEN)
    for _ in range(UNREACHED_LOOKS - 1):
        gate.see(**NO_WORKER)
    assert gate.see(**NO_ANSWER) == OPEN
    assert gate.see(**NO_WORKER) == DEPREFER  # it was never contradicted


def test_any_of_several_services_keeps_the_prefix():
    sick = {"missing": frozenset(API.listeners), "workers": {"web": 2, "api": 0}}
    gate = Gate(OPEN, "web", "api", mode="any")
    assert gate.see_for(5, **sick) == OPEN
    gate = Gate(OPEN, "web", "api", mode="all")
    assert gate.see_for(5, **sick) == CLOSED


def test_all_services_together_take_the_worst():
    gate = Gate(OPEN, "web", "api", mode="all")
    assert gate.see_for(5, workers={"web": 2, "api": 0}) == DEPREFER
    assert gate.reason == "api: no worker is reachable"
    gate = Gate(OPEN, "web", "api", mode="any")
    assert gate.see_for(5, workers={"web": 2, "api": 0}) == OPEN
    assert gate.see_for(5, workers={"web": 0, "api": 0}) == DEPREFER


def test_a_drain_prefers_others_then_withdraws():
    gate = Gate(OPEN)
    assert gate.see(drain=Drain(0.1, 30)) == DEPREFER
    assert gate.see_for(20, drain=Drain(29.9, 30)) == DEPREFER
    assert gate.see(drain=Drain(30, 30)) == CLOSED
    assert gate.see_for(HOLD_S - 0.4) == CLOSED
    assert gate.see_for(0.8) == OPEN


def test_a_drain_never_announces_what_was_withdrawn():
    for position in (CLOSED, None):
        assert Gate(position).see_for(60, drain=Drain(0, 30)) == CLOSED


def test_a_drain_from_before_a_reboot_is_over():
    assert Gate(OPEN).see(drain=Drain(float("inf"), 30)) == CLOSED


def test_a_drained_gate_closes_at_once_when_a_process_dies():
    gate = Gate(OPEN)
    gate.see(drain=Drain(0, 30))
    assert gate.see(drain=Drain(1, 30), haproxy=False) == CLOSED


def test_an_announcement_without_services_asks_bird_only():
    gate = Gate(OPEN)
    gate.what = announcement()
    assert gate.see_for(5, haproxy=False, workers=None) == OPEN
    assert gate.see(bird=False) == CLOSED


def test_an_adopted_gate_is_left_alone_from_the_first_look():
    for position in (OPEN, DEPREFER, CLOSED):
        gate = Gate(position)
        first = gate.see()
        assert first == position
