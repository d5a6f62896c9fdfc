"""No fleet that the model accepts is refused by what refuses at once, and no rule breaks on one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from loopback_iac.controls import Outcome, Resource, Stack, evaluate, load_controls
from loopback_iac.controls.checks.bgp import BIRD
from loopback_iac.model import fleet_facts, parse_fleet, parse_hosts, parse_primary
from loopback_iac.proof import EDGE
from loopback_iac.render import render_pop
from tests.golden import case as golden
from tests.golden import primaries
from tests.golden.fleets import fleets
from tests.unit.controls.passing import TODAY

OWN = "loopback-iac:index:"
REFUSING = [name for name, control in load_controls().items() if control.mandatory]


def files_of(rendered):
    return {path: file.text for path, file in rendered.files.items()}


def judged(resources):
    """Out: the report; facts as they travel: every number a double."""
    told = [
        Resource(kind, name, json.loads(json.dumps(facts), parse_int=float), f"urn:{name}")
        for kind, name, facts in resources
    ]
    report = evaluate(Stack(tuple(told), TODAY), TODAY)
    broken = [f.text for f in report.findings if f.outcome is Outcome.ERROR]
    assert broken == []
    return report


@pytest.mark.parametrize("name", golden.names(rejected=False))
def test_a_fleet(name):
    base = golden.load(name)
    fleet = parse_fleet(golden.NAME, base.fleet, golden.TODAY)
    rendered = golden.render(base)
    report = judged(
        [
            *((f"{OWN}BareMetalHost", host, {"host": told}) for host, told in base.hosts.items()),
            (EDGE, golden.NAME, {"fleet": fleet_facts(fleet)}),
            *((f"{OWN}EdgePop", pop, {"files": files_of(rendered[pop])}) for pop in fleet.pops),
        ]
    )
    failing = {c: [f.text for f in report.of(c)] for c in REFUSING}
    failing = {c: texts for c, texts in failing.items() if report.outcome(c) is Outcome.FAIL}
    assert failing == {}


@settings(max_examples=20)
@given(fleets())
def test_any_fleet(drawn):
    fleet = parse_fleet(golden.NAME, drawn.tree, golden.TODAY)
    hosts = parse_hosts(golden.NAME, drawn.hosts)
    report = judged(
        [
            *((f"{OWN}BareMetalHost", name, {"host": told}) for name, told in drawn.hosts.items()),
            (EDGE, golden.NAME, {"fleet": fleet_facts(fleet)}),
            *(
                (
                    f"{OWN}EdgePop",
                    pop,
                    {"files": files_of(render_pop(fleet, pop, hosts, drawn.keys))},
                )
                for pop in fleet.pops
            ),
        ]
    )
    # all workers of a pool may be of weight 0: then RED-04 says that nothing serves
    failing = {c: [f.text for f in report.of(c)] for c in REFUSING if c != "RED-04"}
    failing = {c: texts for c, texts in failing.items() if report.outcome(c) is Outcome.FAIL}
    assert failing == {}


@pytest.mark.parametrize("name", primaries.names(rejected=False))
def test_a_primary(name):
    base = primaries.load(name)
    rendered = primaries.render(base)
    primary = parse_primary("dns", base.primary)
    zones = {zone.removesuffix("."): {"signed": True} for zone in primary.zones}
    facts = {"zones": zones, "transfers": {"tsig": "hmac-sha256"}}
    report = judged(
        [
            (f"{OWN}HiddenPrimary", "dns", {"name_service": facts}),
            (f"{OWN}PrimaryHost", "dns-primary", {"files": files_of(rendered["primary"])}),
        ]
    )
    assert report.outcome("DNS-07") is Outcome.PASS
    assert report.outcome("DNS-05") is Outcome.PASS
    assert {f.subject.removesuffix(".") for f in report.of("DNS-03")} == {
        f"zone {zone}" for zone in zones
    }


def test_a_default_route_is_for_own_hosts_alone():
    """What a worker gets by its tunnel, an upstream must not: BGP-07 tells them apart."""
    base = golden.load("egress-through-pops")
    fleet = parse_fleet(golden.NAME, base.fleet, golden.TODAY)
    files = files_of(golden.render(base)["fra1"])
    own, upstream = "export filter to_exit;", "export filter to_up_t1_4;"
    assert own in files[BIRD]
    for text, outcome in (
        (files[BIRD], Outcome.PASS),
        (files[BIRD].replace(upstream, own), Outcome.FAIL),
    ):
        pop = (f"{OWN}EdgePop", "fra1", {"files": files | {BIRD: text}})
        report = judged([(EDGE, golden.NAME, {"fleet": fleet_facts(fleet)}), pop])
        assert report.outcome("BGP-07") is outcome
