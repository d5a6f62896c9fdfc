"""Controls as policies, asked over the SDK's own servicer as an engine asks them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pulumi_policy import policy as sdk

from loopback_iac.controls import CHECKS, Check, load_controls, mappings_of
from loopback_iac.policies import memo, policies
from loopback_iac.policies.projection import RuleBrokenError
from tests.policies.asked import not_applicable, one, review, servicer, whole
from tests.unit.controls.cases import FAILING, OPEN
from tests.unit.controls.passing import CANARY, UNKNOWN, WISH, build_stack

ROOT = Path(__file__).parents[2]
CONTROLS = load_controls()
SET = {CONTROLS[control].name: dict(params) for control, params in WISH.params.items()}
TOLD = "controls-told"
EXCEPTION = {
    "id": "EXC-1",
    "rule": "RED-02",
    "urn": "urn:edge",
    "reason": "the second contract begins in January",
    "risk": "R-12",
    "compensating_control": "drill of 3 November",
    "owner": "edge",
    "author": "A. Author",
    "approver": "B. Boss",
    "ticket": "T-99",
    "created": "2026-11-01",
    "expires": "2026-12-01",
    "last_review": "2026-11-20",
}
ONE_PROVIDER = FAILING["RED-02"][0]


def configured(**more):
    found = {name: dict(config) for name, config in SET.items()}
    for name, config in more.items():
        found.setdefault(name.replace("_", "-"), {}).update(config)
    return found


@pytest.fixture
def remembering(monkeypatch):
    for name in memo.NAMES:
        monkeypatch.setattr(sdk, name, getattr(sdk, name))
    for method in ("Analyze", "AnalyzeStack"):
        servicer_class = sdk._PolicyAnalyzerServicer
        monkeypatch.setattr(servicer_class, method, getattr(servicer_class, method))
    return memo.remember


def test_every_control_with_a_check_is_a_policy_with_what_its_record_says():
    made = {policy.name: policy for policy in policies()}
    assert set(made) == {CONTROLS[c].name for c in CHECKS.checks} | {TOLD}
    assert list(made)[-1] == TOLD  # the SDK asks in this order
    for control in CHECKS.checks:
        record = CONTROLS[control]
        policy = made[record.name]
        assert policy.severity.name.lower() == record.severity
        assert policy.remediation_steps == record.remediation
        assert policy.framework.reference in [
            p.point for law, p in mappings_of(control) if law.id == "cir"
        ]
        assert policy.enforcement_level.value == ("mandatory" if record.mandatory else "advisory")
        assert (control in policy.description, bool(policy.url)) == (True, True)
        assert ("exceptions" in policy.config_schema.properties) == record.exceptable
        # what changes no resource can strip no secret of its mark
        assert not getattr(policy, "has_remediation", bool)()


def test_the_passing_stack_is_told_nothing_but_what_is_left_to_nobody():
    # as an engine that does not tell what is secret: then that is for people
    found = review(servicer(configured()), build_stack().resources)
    assert found == [] or {name for name, *_ in found} == {TOLD}
    assert all("SEC-01" in message for _, _, message, _ in found)


def test_with_the_memo_the_pack_sees_which_values_are_secrets(remembering):
    assert remembering()
    assert remembering()  # twice is once
    found = review(servicer(configured()), build_stack().resources)
    assert found == []
    stack = build_stack(("apply", "stdin", CANARY))
    ((name, level, message, urn),) = review(servicer(configured()), stack.resources)
    assert (name, level, urn) == ("secrets-are-marked", "ADVISORY", "urn:apply")
    assert "stdin is no Pulumi secret" in message
    # one mark elsewhere shows that the engine tells them, so none at all here is a finding
    clear = {"host": "a", "hostKey": "k", "privateKey": CANARY}
    bare = build_stack(("apply", "stdin", CANARY), ("apply", "connection", clear))
    found = review(servicer(configured()), bare.resources)
    assert {name for name, *_ in found} == {"secrets-are-marked"}
    assert CANARY not in message


@pytest.mark.parametrize("control", sorted(FAILING))
def test_what_fails_is_reported_at_its_level_and_without_a_value(control, remembering):
    assert remembering()
    stack = build_stack(*FAILING[control][0])
    found = review(servicer(configured()), stack.resources)
    record = CONTROLS[control]
    mine = [(level, message) for name, level, message, _ in found if name == record.name]
    assert mine
    assert {level for level, _ in mine} == {"MANDATORY" if record.mandatory else "ADVISORY"}
    assert CANARY not in "".join(message for _, _, message, _ in found)


@pytest.mark.parametrize("control", ["CMD-01", "DNS-04", "BGP-04", "RED-02"])
def test_what_is_open_neither_blocks_nor_passes_and_is_told(control):
    stack = build_stack(OPEN[control])
    found = review(servicer(configured()), stack.resources)
    assert {level for _, level, _, _ in found} == {"ADVISORY"}
    told = "".join(message for name, _, message, _ in found if name == TOLD)
    assert f"open until more is known: {control}" in told or f", {control} (" in told
    record = CONTROLS[control]
    if record.severity == "critical" and CHECKS.checks[control].of_stack:
        assert any(name == record.name for name, *_ in found)
    else:
        reasons = not_applicable(servicer(configured()), stack.resources)
        assert reasons[record.name].startswith("open: not known here")


def test_in_ci_an_open_critical_control_blocks():
    config = json.loads((ROOT / "docs/controls-ci.json").read_text())
    # a register and demands are an operator's own: those of the passing stack
    for name, own in SET.items():
        config.setdefault(name, {}).update(own)
    assert not [f for f in review(servicer(config), build_stack().resources) if f[0] != TOLD]
    for control in ("CMD-01", "DNS-04", "BGP-04"):
        config = json.loads((ROOT / "docs/controls-ci.json").read_text())
        found = review(servicer(config), build_stack(OPEN[control]).resources)
        mine = [level for name, level, _, _ in found if name == CONTROLS[control].name]
        assert mine
        assert "MANDATORY" in mine


def test_the_configuration_for_ci_is_made_from_the_catalogue():
    config = json.loads((ROOT / "docs/controls-ci.json").read_text())
    blocking = {n for n, c in config.items() if c.get("when_open") == "block"}
    assert blocking == {
        c.name for c in CONTROLS.values() if c.severity == "critical" and c.id in CHECKS.checks
    }
    mandatory = {n for n, c in config.items() if c.get("enforcementLevel") == "mandatory"}
    assert mandatory == {
        c.name
        for c in CONTROLS.values()
        if c.severity in ("critical", "high") and c.id in CHECKS.checks
    }


def test_a_rule_that_breaks_ends_the_run_by_its_name(monkeypatch):
    def breaks(resource, settings):
        raise ValueError(resource.facts["create"])

    check = CHECKS.checks["CMD-03"]
    monkeypatch.setitem(CHECKS.checks, "CMD-03", Check("CMD-03", check.kinds, of_resource=breaks))
    stack = build_stack(("apply", "create", CANARY))
    with pytest.raises(RuleBrokenError) as raised:
        review(servicer(configured()), stack.resources)
    assert re.search(r"CMD-03 itself broke: ValueError at .*urn:apply", str(raised.value))
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("name", ["redundancy-proved", "administration-is-not-open"])
def test_a_misspelt_parameter_ends_the_run_by_its_name(name):
    """Engines take any word; what was meant by it would silently not be asked for."""
    made = servicer({name: {"survive": 1.0}})
    with pytest.raises(RuleBrokenError, match=f"{name} has survive; it takes .*when_open"):
        review(made, build_stack().resources)


def test_an_exception_silences_the_refusal_and_stays_in_the_report():
    made = servicer(configured(pops_of_several_providers={"exceptions": [EXCEPTION]}))
    found = review(made, build_stack(*ONE_PROVIDER).resources)
    assert "pops-of-several-providers" not in {name for name, *_ in found}
    told = [message for name, _, message, _ in found if name == TOLD]
    assert any("RED-02 excepted by EXC-1" in t and "taken by edge until" in t for t in told)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"expires": "2026-11-20"}, "it ended on 2026-11-20"),
        ({"approver": "a. author "}, "the author approves"),
        ({"urn": "*"}, "a pattern covers"),
        ({"ticket": None}, "ticket"),
    ],
)
def test_an_exception_that_is_not_in_order_covers_nothing_and_is_told(change, words):
    given = {k: v for k, v in (EXCEPTION | change).items() if v is not None}
    made = servicer(configured(pops_of_several_providers={"exceptions": [given]}))
    found = review(made, build_stack(*ONE_PROVIDER).resources)
    assert "pops-of-several-providers" in {name for name, *_ in found}
    told = "".join(message for name, _, message, _ in found if name == TOLD)
    assert "exception EXC-1 is not active" in told
    assert words in told


def test_unused_and_overlapping_exceptions_are_told():
    twice = [EXCEPTION, EXCEPTION | {"id": "EXC-2"}]
    made = servicer(configured(pops_of_several_providers={"exceptions": twice}))
    told = "".join(m for n, _, m, _ in review(made, build_stack().resources) if n == TOLD)
    assert "exception EXC-1 covers nothing" in told
    assert "EXC-1 and EXC-2 are about the same" in told
    # told once: the next run begins anew
    again = made.AnalyzeStack(whole(()), None).diagnostics
    assert "EXC-1 covers nothing" in "".join(d.message for d in again)


def test_the_memo_changes_no_answer(remembering):
    stack = build_stack(*FAILING["CMD-01"][0], *FAILING["ING-01"][0], OPEN["ACC-02"])
    before = review(servicer(configured()), stack.resources)
    assert remembering()
    after = review(servicer(configured()), stack.resources)

    def but_secrets(found):
        return [f for f in found if "SEC-01" not in f[2]]

    assert but_secrets(before) == but_secrets(after)
    assert UNKNOWN not in "".join(message for _, _, message, _ in after)


def test_what_goes_in_is_remembered_where_a_plan_knows_no_outputs():
    stack = build_stack()
    made = servicer(configured())
    for resource in stack.resources:
        made.Analyze(one(resource), None)
    bare = build_stack(("h1", "firewallIds", UNKNOWN), ("h2", "labels", UNKNOWN))
    found = made.AnalyzeStack(whole(bare.resources), None)
    names = {d.policyName for d in found.diagnostics} - {TOLD}
    assert names == set()
    told = "".join(d.message for d in found.diagnostics)
    assert "ACC-02" not in told
