"""Every control passes, fails, waits and keeps silent where it should, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopback_iac.controls import (
    CHECKS,
    Check,
    Outcome,
    Resource,
    Stack,
    check_control,
    evaluate,
    load_controls,
)
from tests.unit.controls.cases import ALSO, FAILING, NOT_APPLICABLE, OPEN
from tests.unit.controls.passing import CANARY, TODAY, UNKNOWN, WISH, build_stack

CONTROLS = load_controls()
CHECKED = sorted(CHECKS.checks)
FAILS = [
    pytest.param(control, edits, id=f"{control}-{number}")
    for control, several in FAILING.items()
    for number, edits in enumerate(several)
]


def outcomes(*edits):
    report = evaluate(build_stack(*edits), TODAY, WISH)
    return report, {name: report.outcome(name) for name in CONTROLS}


def test_the_passing_stack_passes_every_control_that_has_a_check():
    _, found = outcomes()
    assert {name for name, outcome in found.items() if outcome is Outcome.PASS} == set(CHECKED)


@pytest.mark.parametrize(("control", "edits"), FAILS)
def test_one_property_fires_exactly_what_it_is_about(control, edits):
    report, found = outcomes(*edits)
    failing = {name for name, outcome in found.items() if outcome is Outcome.FAIL}
    assert control in failing
    assert failing - {control} <= ALSO.get(control, set())
    assert set(found.values()).isdisjoint({Outcome.ERROR})
    said = "".join(finding.text for finding in report.findings)
    assert CANARY not in said
    assert all(finding.text for finding in report.of(control) if finding.outcome is Outcome.FAIL)


@pytest.mark.parametrize("control", CHECKED)
def test_what_is_not_known_yet_is_open_and_refuses_nothing(control):
    report, found = outcomes(OPEN[control])
    assert found[control] is Outcome.OPEN, [f.text for f in report.of(control)]
    assert set(found.values()).isdisjoint({Outcome.FAIL, Outcome.ERROR}), found
    assert UNKNOWN not in "".join(finding.text for finding in report.findings)


def test_an_empty_stack_has_nothing_to_control_and_says_so():
    report = evaluate(Stack(()), TODAY)
    for name in CHECKED:
        (finding,) = report.of(name)
        # who keeps no register in the configuration keeps it elsewhere, stack or no stack
        wanted = Outcome.MANUAL if name == "SUP-01" else Outcome.NOT_APPLICABLE
        assert (finding.outcome, bool(finding.text)) == (wanted, True), name


@pytest.mark.parametrize(("control", "edit", "words"), NOT_APPLICABLE)
def test_what_is_none_of_its_business_is_not_applicable_with_the_reason(control, edit, words):
    report, _ = outcomes(edit)
    reasons = [f.text for f in report.of(control) if f.outcome is Outcome.NOT_APPLICABLE]
    assert any(words in reason for reason in reasons), reasons


def test_every_control_has_fixtures_of_every_kind():
    assert set(FAILING) == set(OPEN) == set(CHECKED)
    assert all(several and all(several) for several in FAILING.values())
    assert {name for name, control in CONTROLS.items() if control.manual} == CONTROLS.keys() - set(
        CHECKED
    )


def test_every_control_comes_out_as_something_and_manual_ones_name_who_answers():
    report, found = outcomes()
    assert set(found) == set(CONTROLS)
    for name, control in CONTROLS.items():
        if control.manual:
            (finding,) = report.of(name)
            assert finding.outcome is Outcome.MANUAL
            assert control.manual.owner in finding.text
    wish = replace(WISH, owners={"LOG-03": "ops"}, reviewed={"LOG-03": TODAY})
    (finding,) = evaluate(build_stack(), TODAY, wish).of("LOG-03")
    assert (finding.owner, (finding.due - TODAY).days) == ("ops", 90)


def test_a_rule_that_breaks_is_an_error_that_names_it_and_shows_no_value(monkeypatch):
    def breaks(resource, settings):
        raise KeyError(resource.facts["privateKey"])

    monkeypatch.setitem(
        CHECKS.checks, "CMD-02", Check("CMD-02", frozenset({"k"}), of_resource=breaks)
    )
    stack = Stack((Resource("k", "r", {"privateKey": CANARY}, "urn:r"),))
    (finding,) = check_control(CONTROLS["CMD-02"], stack, {})
    assert finding.outcome is Outcome.ERROR
    assert "CMD-02 itself broke: KeyError at test_controls.py:" in finding.text
    assert CANARY not in finding.text


def test_a_threshold_that_is_set_counts():
    for pops, outcome in ((2.0, Outcome.PASS), (3.0, Outcome.FAIL)):
        wish = replace(WISH, params=WISH.params | {"RED-01": {"pops": pops}})
        assert evaluate(build_stack(), TODAY, wish).outcome("RED-01") is outcome


def test_what_is_known_decides_even_where_something_is_not():
    late = [("fra1", "host|provider", UNKNOWN), ("edge", "fleet|pops|lyo1", {"upstreams": {}})]
    more = [("edge", "fleet|prefixes|v4|origins|own|pops", ["fra1", "par1", "lyo1"])]
    report = evaluate(build_stack(*late, *more, ("w1", "host|provider", "housing")), TODAY, WISH)
    assert report.outcome("RED-02") is Outcome.OPEN
    assert report.outcome("RED-01") is Outcome.PASS


@pytest.mark.parametrize(
    ("standing_in", "outcome"),
    [("a=w1|w2", Outcome.PASS), ("a=w1", Outcome.FAIL), ("", Outcome.FAIL), (7, Outcome.FAIL)],
)
def test_nodes_that_stand_in_for_each_other_are_a_second_gateway(standing_in, outcome):
    """As EgressPolicy writes them."""
    notes = {"annotations": {"loopback-iac/gateway-candidates": standing_in}}
    one = [("out", "spec|egressGateways", [{"egressIP": "9.9.9.40"}]), ("out", "metadata", notes)]
    _, found = outcomes(*one)
    assert found["EGR-03"] is outcome


def test_a_list_without_entries_is_as_good_as_none():
    """The API server makes one of what is not declared, and EgressPolicy says so."""
    spec = {"egressGateways": [], "egressGateway": {"egressIP": "9.9.9.40"}}
    _, found = outcomes(("out", "spec", spec))
    assert (found["EGR-02"], found["EGR-03"]) == (Outcome.PASS, Outcome.FAIL)
    _, found = outcomes(("out", "spec|egressGateways", []), ("out", "spec|egressGateway", {}))
    assert found["EGR-02"] is Outcome.FAIL
