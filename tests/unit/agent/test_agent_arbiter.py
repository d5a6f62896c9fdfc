"""An arbiter whose provider says nothing of a move that it took: it goes on all the same."""

from __future__ import annotations

import json
import time

import pytest

from loopback_iac.agent import arbiter
from loopback_iac.agent.api import ApiError
from loopback_iac.agent.arbiter import Keeper
from loopback_iac.agent.arbiterfile import parse_arbiter
from loopback_iac.agent.providers import PROVIDERS
from tests.unit.agent.test_agent_failover import FILE


class Mute:
    """Takes every move, and knows of none afterwards."""

    def read_holder(self, _ident):
        raise ApiError("GET: 404 no such request", status=404)

    is_done = read_holder

    def assign(self, _ident, _server):
        return "gone"


@pytest.mark.parametrize(("waited_s", "target"), [(0.0, "m2"), (1e5, "")])
def test_a_move_that_nobody_tells_of_ends_in_its_time(monkeypatch, waited_s, target):
    monkeypatch.setattr(arbiter, "read_ruling", lambda: None)
    keeper = Keeper(parse_arbiter(json.dumps(FILE).encode()), PROVIDERS["hetzner"], Mute())
    ((text, address),) = keeper.addresses.items()
    address.target, address.asked_at_s = "m2", time.monotonic() - waited_s
    keeper._follow(text, address)  # one step, alone
    assert address.target == target
