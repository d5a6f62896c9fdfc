"""Any valid fleet renders to files that every daemon accepts."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings

from loopback_iac.model import parse_fleet, parse_host
from loopback_iac.render import render_pop, render_worker
from tests.accept import parsers
from tests.golden.fleets import fleets

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"


# one image serves all examples: each host's files are staged anew
@settings(
    max_examples=1000 if SOAK else 12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(fleets())
def test_every_daemon_accepts_any_fleet(image, drawn):
    fleet = parse_fleet("edge", drawn.tree)
    hosts = {name: parse_host(name, tree) for name, tree in drawn.hosts.items()}
    for name in list(fleet.pops)[:2]:
        assert parsers.complaints(image, render_pop(fleet, name, hosts, drawn.keys)) == []
    for name in list(fleet.workers)[:1]:
        assert parsers.complaints(image, render_worker(fleet, name, hosts, drawn.keys)) == []
