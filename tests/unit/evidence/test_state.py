"""What controls see of a state as it was exported."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from loopback_iac.controls import Outcome, evaluate
from loopback_iac.evidence import parse_state
from loopback_iac.evidence.inventory import zone_digests
from loopback_iac.model import InputRejected
from tests.unit.controls.passing import CANARY, TODAY, WISH
from tests.unit.evidence.states import state, urn

RELEASED = Path(__file__).parents[2] / "engine/released/0.1.0/state.json"
SEALED = {"CMD-01"}
"""Controls about what a state keeps encrypted: a plan shows it to them, a state does not."""


def outcomes(text):
    report = evaluate(parse_state(text, "state").controlled(TODAY), TODAY, WISH)
    return {each.control: report.outcome(each.control) for each in report.findings}


def test_the_passing_stack_passes_as_a_state_but_for_what_is_encrypted_there():
    found = outcomes(state())
    assert {name for name, outcome in found.items() if outcome is Outcome.OPEN} == SEALED
    assert not {Outcome.FAIL, Outcome.ERROR} & set(found.values())
    assert found["SEC-01"] is Outcome.PASS  # a state tells which values are secrets


def test_what_is_in_clear_is_found_unless_it_is_a_program_that_the_command_checks():
    text = "the agent"
    named = hashlib.sha256(text.encode()).hexdigest()
    clear = [("apply", "stdin", text)]
    assert outcomes(state(*clear))["SEC-01"] is Outcome.FAIL
    named_openly = [*clear, ("apply", "create", f"loopback-agent enroll digest={named}")]
    assert outcomes(state(*named_openly))["SEC-01"] is Outcome.PASS
    assert outcomes(state(("h1", "userData", CANARY)))["SEC-01"] is Outcome.FAIL


def test_triggers_are_open_in_a_state_because_it_does_not_say_which_delete_comes_first():
    assert outcomes(state(("apply", "triggers", ["1"])))["CMD-02"] is Outcome.OPEN


def test_what_is_somebody_elses_or_only_waits_to_be_deleted_is_not_the_stacks():
    tree = json.loads(state())
    rows = tree["deployment"]["resources"]
    rows[-1] |= {"external": True}
    rows[-2] |= {"delete": True}
    snapshot = parse_state(json.dumps(tree), "state")
    assert len(snapshot.own) == len(rows) - 2
    assert snapshot.digest != parse_state(state(), "state").digest


def test_a_released_state_of_the_engine_is_read():
    snapshot = parse_state(RELEASED.read_text(), "state")
    assert (snapshot.project, snapshot.stack) == ("loopback-edge", "prod")
    assert set(snapshot.places.fleets) == {"edge"}


def test_zones_filled_by_api_have_a_digest_of_their_records():
    kind, records = "hcloud:index/zone:Zone", "hcloud:index/zoneRrset:ZoneRrset"

    def digest(value: str) -> dict[str, str]:
        rows = [
            {"urn": urn(kind, "z"), "type": kind, "id": "17", "inputs": {"name": "Example.org."}},
            *(
                {"urn": urn(records, name), "type": records,
                 "inputs": {"zone": "17", "name": name, "type": "A", "records": [value]}}
                for name in sorted(["www", "api"], reverse=value == "192.0.2.2")
            ),
        ]  # fmt: skip
        text = json.dumps({"version": 3, "deployment": {"resources": rows}})
        return zone_digests(parse_state(text, "state"))

    assert digest("192.0.2.1").keys() == {"example.org"}
    assert digest("192.0.2.1") == digest("192.0.2.1") != digest("192.0.2.2")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{", "state-format"),
        ('{"deployment": {"resources": [{"urn": 1}]}}', "state-format"),
        ('{"deployment": {"resources": [{"urn": "a", "type": "b"}]}}', "state-of-one-stack"),
        (state()[:-3] + ', {"urn": "urn:pulumi:x::y::t::n", "type": "t"}]}}', "state-of-one-stack"),
    ],
    ids=["no json", "no type", "no urn", "two stacks"],
)
def test_what_is_no_state_of_one_stack_is_refused(text, rule):
    with pytest.raises(InputRejected) as refused:
        parse_state(text, "state")
    assert [problem.rule for problem in refused.value.problems] == [rule]
