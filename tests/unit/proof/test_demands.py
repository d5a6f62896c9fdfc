"""Files of demands: what they may say, and how everything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.model import InputRejected
from loopback_iac.proof import Demands, parse_demands, parse_demands_tree

ROOT = Path(__file__).parents[3]


def rules(text):
    with pytest.raises(InputRejected) as caught:
        parse_demands("demands.yaml", text)
    return [f"{p.rule} at {p.path}" for p in caught.value.problems]


def test_an_empty_file_demands_the_default():
    assert parse_demands("demands.yaml", "") == Demands()
    assert parse_demands("demands.yaml", "").survives_of("https", 1) == 1


def test_a_service_asks_for_more_than_the_rest():
    found = parse_demands("t", "{survives: 1, services: {https: {survives: 2.0}}}")
    assert (found.survives_of("https", 0), found.survives_of("dns", 0)) == (2, 1)


def test_the_example_of_the_documents_is_read():
    text = (ROOT / "docs/proof-example.yaml").read_text()
    assert parse_demands("proof-example.yaml", text).accepted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1", ["demands-syntax at demands.yaml"]),
        ("- 1", ["field-type at "]),
        ("survive: 1", ["field-unknown at survive"]),
        ("survives: 4", ["field-range at survives"]),
        ("survives: yes", ["field-type at survives"]),
        ("services: {a: {workers: 0}}", ["field-range at services.a.workers"]),
        ("shared: [{name: x, hosts: []}]", ["field-type at shared[0].hosts"]),
        ("accepted: [{cause: x}]", ["field-missing at accepted[0].because",
                                    "field-missing at accepted[0].owner"]),
        ("accepted: [{cause: x, because: '', owner: y}]", ["text-one-line at accepted[0].because"]),
        ("names: {n: {services: [a]}}", ["field-missing at names.n.operators"]),
        ("shared: [{name: x, hosts: [a]}, {name: x, hosts: [b]}]", ["demands-twice at shared[1]"]),
    ],
)  # fmt: skip
def test_refused(text, told):
    assert rules(text) == told


def problems(parse):
    """Whatever comes is read or refused; anything else is raised and fails the test."""
    try:
        parse()
    except InputRejected as refused:
        return refused.problems
    return ()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(
        ["survives", "services", "accepted", "shared", "names"]), inner),
    max_leaves=8,
)  # fmt: skip


@given(JSON)
def test_any_tree_is_read_or_refused_by_name(tree):
    assert all(problem.fix for problem in problems(lambda: parse_demands_tree("t", tree)))


@given(st.text())
def test_any_text_is_read_or_refused_by_name(text):
    assert all(problem.fix for problem in problems(lambda: parse_demands("t", text)))
