"""What a fleet costs, to the cent, and which price files are refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.golden import bills
from tests.golden import case as golden


@pytest.mark.parametrize("name", bills.names(rejected=True))
def test_rejected(name):
    case = bills.load(name)
    golden.refused(case.folder, case.means, case.table)


@pytest.mark.parametrize("name", bills.names(rejected=False))
def test_billed(name):
    case = bills.load(name)
    diff = golden.compare(case.folder, bills.texts(case))
    assert not diff, f"\n{diff}"


def test_the_lines_add_up_to_the_total():
    bill, _ = bills.load("three-kinds").asked()
    assert bill.total == sum(line.amount for line in bill.lines if line.amount is not None)
    assert all(line.amount == round(line.amount, 2) for line in bill.lines if line.amount)


def test_every_line_has_a_price_with_a_source_or_says_what_is_missing():
    for name in bills.names(rejected=False):
        bill, _ = bills.load(name).asked()
        for line in bill.lines:
            assert (line.amount is None) == bool(line.missing)
            assert (line.amount is None) != bool(line.source)


def test_a_machine_without_a_contract_is_unknown_and_adds_nothing():
    bill, margins = bills.load("bare-metal-alone").asked()
    assert bill.total == Decimal(0)
    assert {line.missing for line in bill.unknown} == {
        *(f"machines: {name}" for name in ("fra1", "par1", "w1", "w2")),
        *(f"upstreams: {pop}/{up}" for pop in ("fra1", "par1") for up in ("t1", "t2")),
    }
    assert [margin.amount for margin in margins if margin.what in ("PoP", "worker")] == [None, None]
