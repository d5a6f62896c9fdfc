"""Whatever single fact is not known, nothing is refused for it; whatever is odd, no rule breaks."""

from __future__ import annotations

import pytest

from loopback_iac.controls import BLOCKING, Outcome, Resource, Stack, check_control, evaluate
from loopback_iac.controls.record import load_controls
from loopback_iac.controls.stack import EDGE_POP
from loopback_iac.controls.tree import ABSENT, MARK, SECRET, UNKNOWN, Counted, at, is_marked
from tests.unit.controls import passing
from tests.unit.controls.passing import TODAY, WISH, build_stack

NAMES = [resource.name for resource in build_stack().resources]
FOREIGN = [r.name for r in build_stack().resources if not r.kind.startswith("loopback-iac:")]
SENTINEL = passing.UNKNOWN


def paths(tree, path=()):
    """Every place in a tree, but inside what is marked as a secret."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield (*path, key)
        if isinstance(value, dict | list) and MARK not in value:
            yield from paths(value, (*path, key))


def facts(stack, name):
    return next(resource.facts for resource in stack.resources if resource.name == name)


def reports(name, value):
    """One report per place of a resource with that place replaced."""
    for path in list(paths(facts(build_stack(), name))):
        stack = build_stack()
        tree = facts(stack, name)
        for step in path[:-1]:
            tree = tree[step]
        tree[path[-1]] = value
        yield path, evaluate(stack, TODAY, WISH)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_refused_for_what_is_not_known(name):
    wrong = [
        (finding.control, path, finding.text)
        for path, report in reports(name, SENTINEL)
        for finding in report.findings
        if finding.outcome in BLOCKING
    ]
    assert wrong == []


@pytest.mark.parametrize("name", FOREIGN)
def test_no_rule_breaks_on_what_a_provider_would_refuse(name):
    for value in (None, "odd", 7.0):
        for path, report in reports(name, value):
            broken = [f.text for f in report.findings if f.outcome is Outcome.ERROR]
            assert broken == [], (path, value)


def test_a_value_is_known_not_known_or_not_there():
    tree = {"a": [{"b": 1.0}, SENTINEL], "c": None, "d": SENTINEL, "e": "[secret]"}
    assert at(tree, "a", 0, "b") == 1.0
    assert [at(tree, *path) for path in (("a", 1), ("a", 1, "b"), ("d", "x"), ("e", "x"))] == [
        UNKNOWN
    ] * 4
    assert [at(tree, *path) for path in (("c",), ("c", "x"), ("a", 2), ("a", "b"), ("z",))] == [
        ABSENT
    ] * 5
    assert at(None) is ABSENT


def test_a_secret_is_its_value_where_that_is_told_and_not_known_where_not():
    told = {"k": {MARK: SECRET, "value": {"p": "x"}}, "clear": "y"}
    assert at(told, "k", "p") == "x"
    assert (is_marked(told, "k", "p"), is_marked(told, "clear")) == (True, False)
    sealed = {"k": {MARK: SECRET, "ciphertext": "AAAA"}}
    assert at(sealed, "k", "p") is UNKNOWN
    assert is_marked(sealed, "k")


def test_what_is_redacted_in_an_exported_state_is_open_and_not_refused():
    command = Resource("command:remote:Command", "c", {"connection": "[secret]"}, "urn:c")
    (finding,) = check_control(load_controls()["CMD-01"], Stack((command,)), {})
    assert finding.outcome is Outcome.OPEN


@pytest.mark.parametrize("late", [UNKNOWN, {"w1": UNKNOWN}, {"w1": ["10.88.8.2", UNKNOWN]}, {}])
def test_whom_a_controller_believes_may_be_told_late_and_pops_are_judged_all_the_same(late):
    facts = {"ingress": {"tls_least": "1.2"}, "trusted": late}
    controller = Resource("loopback-iac:index:IngressController", "ingress", facts, "urn:i")
    files = {"/etc/haproxy/haproxy.cfg": "  server w1 10.88.8.3:80 check\n"}
    pop = Resource(EDGE_POP, "fra1", {"files": files}, "urn:p")
    found = check_control(load_controls()["ING-02"], Stack((controller, pop)), {})
    assert [each.outcome for each in found] == [Outcome.FAIL, Outcome.OPEN]


def test_late_values_decide_only_where_they_can():
    two = Counted(frozenset({"a", "b"}))
    one_late = Counted(frozenset({"a"}), ("b's",))
    assert [two.reaches(n) for n in (1, 2, 3)] == [True, True, False]
    assert [one_late.reaches(n) for n in (1, 2, 3)] == [True, None, False]
