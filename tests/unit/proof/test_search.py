"""The search against two others: every set tried one by one, and z3."""

from __future__ import annotations

from itertools import combinations, product

import z3
from hypothesis import given, settings

from loopback_iac.proof import parse_demands_tree, prove_redundancy
from loopback_iac.proof.search import find_path
from loopback_iac.proof.wording import group_cuts
from tests.unit.proof.fleets import stacks


def under(model, node):
    if node in model.causes:
        return {node}
    return set().union(*(under(model, member) for member in model.gates[node].of))


def hard_under(model, node):
    return sorted(under(model, node) & model.hard())


@settings(max_examples=30)
@given(stacks(widest=3))
def test_cuts_are_those_that_trying_every_set_finds(drawn):
    stack, asked = drawn
    proof = prove_redundancy(stack, parse_demands_tree("t", {"services": asked}))
    gates = proof.model.gates
    for part, found in proof.parts.items():
        hard = hard_under(proof.model, part)
        for size in range(found.survives + 1):
            for lost in combinations(hard, size):
                assert find_path(gates, part, frozenset(lost)) is not None
        if found.exact:
            tried = combinations(hard, found.survives + 1)
            down = {lost for lost in tried if find_path(gates, part, frozenset(lost)) is None}
            assert down == set(found.cuts)


def encoded(model, part):
    """The part as a formula over what is lost, written from the gates alone."""
    lost = {key: z3.Bool(key) for key in hard_under(model, part)}

    def up(node):
        if node in model.causes:
            return z3.Not(lost[node]) if node in lost else z3.BoolVal(val=True)
        gate = model.gates[node]
        members = [up(member) for member in gate.of]
        if gate.need > len(members):
            return z3.BoolVal(val=False)
        return z3.PbGe([(m, 1) for m in members], gate.need) if members else z3.BoolVal(val=True)

    return up(part), lost


@settings(max_examples=200)
@given(stacks(widest=3))
def test_z3_finds_the_same_bound_and_the_same_cuts(drawn):
    stack, asked = drawn
    proof = prove_redundancy(stack, parse_demands_tree("t", {"services": asked}))
    for part, found in proof.parts.items():
        formula, lost = encoded(proof.model, part)
        keys = hard_under(proof.model, part)
        solver = z3.Solver()
        solver.add(z3.Not(formula))
        ones = [(lost[key], 1) for key in keys]
        solver.push()
        solver.add(z3.PbLe(ones, found.survives) if found.survives >= 0 else z3.BoolVal(val=False))
        assert solver.check() == z3.unsat
        solver.pop()
        if not found.exact:
            continue
        solver.add(z3.PbEq(ones, found.survives + 1))
        cuts = set()
        while solver.check() == z3.sat:
            model = solver.model()
            cut = tuple(key for key in keys if z3.is_true(model.eval(lost[key])))
            cuts.add(cut)
            solver.add(z3.Or([z3.Not(lost[key]) for key in cut]))
        assert cuts == set(found.cuts)


@settings(max_examples=30)
@given(stacks())
def test_lines_of_groups_say_the_same_cuts(drawn):
    stack, asked = drawn
    proof = prove_redundancy(stack, parse_demands_tree("t", {"services": asked}))
    for verdict in proof.verdicts:
        told = [tuple(sorted(c)) for line in group_cuts(verdict.cuts) for c in product(*line)]
        assert sorted(told) == sorted(verdict.cuts)


@settings(max_examples=30)
@given(stacks())
def test_one_more_shared_cause_never_helps(drawn):
    """The rule refuses what is known to fail before everything is known; this is why it may."""
    stack, _ = drawn
    hosts = sorted(stack.places)
    shared = {"shared": [{"name": "row", "hosts": hosts[:2]}]}
    before = prove_redundancy(stack, parse_demands_tree("t", {}))
    after = prove_redundancy(stack, parse_demands_tree("t", shared))
    for old, new in zip(before.verdicts, after.verdicts, strict=True):
        assert new.survives <= old.survives
