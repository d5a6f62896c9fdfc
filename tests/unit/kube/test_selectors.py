"""Selectors: whether two can mean one pod is told as trying every pod tells it."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.kube.selectors import (
    OPERATORS,
    Requirement,
    in_identity,
    key_fault,
    matches,
    may_meet,
    value_fault,
)

KEYS, VALUES = ("a", "b"), ("x", "y")
PODS = [
    {key: value for key, value in zip(KEYS, held, strict=True) if value is not None}
    for held in product((None, *VALUES, "z"), repeat=len(KEYS))
]
requirements = st.builds(
    lambda key, operator, values: Requirement(
        key, operator, tuple(sorted(values)) if operator in ("In", "NotIn") else ()
    ),
    st.sampled_from(KEYS),
    st.sampled_from(OPERATORS),
    st.sets(st.sampled_from(VALUES), min_size=1),
)
audiences = st.lists(requirements, max_size=3).map(tuple)


@given(audiences, audiences)
def test_two_may_meet_exactly_when_some_pod_is_meant_by_both(one, other):
    both = any(matches(one, pod) and matches(other, pod) for pod in PODS)
    assert may_meet(one, other) is both


@given(audiences)
def test_an_audience_that_nobody_is_in_is_told(audience):
    assert may_meet(audience, ()) is any(matches(audience, pod) for pod in PODS)


@pytest.mark.parametrize("key", ["app", "example.net/app", "a_b.c", "A"])
def test_good_keys(key):
    assert key_fault(key) == ""


@pytest.mark.parametrize("key", ["", "/app", "Example.net/app", "-a", "a b", "a/b/c", "x" * 64])
def test_bad_keys(key):
    assert key_fault(key)


@pytest.mark.parametrize(("value", "good"), [("", 1), ("v1.2", 1), ("-v", 0), ("x" * 64, 0)])
def test_values(value, good):
    assert (value_fault(value) == "") is bool(good)


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("app", True),
        ("app.kubernetes.io/name", True),
        ("io.kubernetes.pod.namespace", True),
        ("pod-template-hash", False),
        ("topology.kubernetes.io/zone", False),
        ("statefulset.kubernetes.io/pod-name", False),
        ("example.net/kubernetes.io", True),
    ],
)
def test_labels_that_are_part_of_an_identity(key, kept):
    assert in_identity(key) is kept
