"""An address that a tenant has is not dropped unasked: a plan is refused, and so is an up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from loopback_iac.engine import Result, up

if TYPE_CHECKING:
    from tests.engine.conftest import Stack

POOL = {
    "kind": "own-prefix",
    "addresses": ["203.0.113.16/28"],
    "evidence": "RIPE",
    "seen_on": "2026-11-20",
    "allocations": {"shop": ["203.0.113.20"], "bank": ["203.0.113.21"]},
}


def declared(stack: Stack, **changes: Any) -> None:
    stack.use_program("pool")
    stack.write([], pool=json.dumps({**POOL, **changes}))


def rows(stack: Stack) -> set[str]:
    return {name for name in stack.rows() if name.startswith("partners-")}


DROPPED = "partners-bank-203.0.113.21"
LESS = {"shop": ["203.0.113.20"]}
MOVED = {"shop": ["203.0.113.20", "203.0.113.21"]}


def refused(result: Result) -> bool:
    told = any(DROPPED in s.message and "it is protected" in s.message for s in result.diagnostics)
    return told and not result.ok


def test_a_row_is_kept_until_it_is_given_back(stack: Stack) -> None:
    declared(stack)
    stack.up()
    whole = rows(stack)
    assert whole == {"partners-shop-203.0.113.20", DROPPED}
    declared(stack, allocations=MOVED)
    assert refused(stack.plan())
    stack.write([])
    assert refused(stack.plan())
    declared(stack, allocations=LESS)
    assert refused(stack.run(up))
    assert rows(stack) == whole
    declared(stack, giving_back=["203.0.113.21"])
    stack.up()
    declared(stack, allocations=LESS)
    stack.up()
    assert rows(stack) == {"partners-shop-203.0.113.20"}
