"""What a run that went on over errors says of a zone at several operators."""

from __future__ import annotations

from loopback_iac.cli.degraded import FIX, render_degraded
from loopback_iac.engine.results import Diagnostic, Result, Severity, Undone

ZONE = "urn:pulumi:d::p::loopback-iac:index:DnsZone::web"
SET = "hcloud:index/zoneRrset:ZoneRrset"
FACTS = {"name": "example.net", "mode": "api", "operators": ["cloudflare", "hetzner", "ionos"]}
DOWN = "503 Service Unavailable"
ELSE = "else it is as it was there"


def undone(kind: str, name: str, because: str = "") -> Undone:
    cause = f"{ZONE}${because}" if because else ""
    return Undone(f"{ZONE}${kind}::{name}", kind, name, ZONE, cause)


def made(*missed: Undone, said: str = DOWN, facts: object = FACTS) -> Result:
    component = {"urn": ZONE, "type": "loopback-iac:index:DnsZone", "name": "web", "parent": ""}
    errors = [Diagnostic(Severity.ERROR, said, m.urn) for m in missed if not m.because]
    return Result(
        verb="up",
        stack="d",
        ok=not missed,
        diagnostics=tuple(errors),
        undone=missed,
        resources=({**component, "inputs": {"zone": facts}},),
    )


def test_it_names_who_has_the_change_and_who_has_not():
    failed = undone("hcloud:index/zone:Zone", "web-hetzner")
    skipped = undone(SET, "web-hetzner-www-A", "hcloud:index/zone:Zone::web-hetzner")
    assert render_degraded(made(failed, skipped)) == [
        "degraded: zone example.net",
        f"  hetzner has not taken all of it: 1 failed, 1 skipped (web-hetzner: {DOWN}); {ELSE}",
        "  cloudflare, ionos: all of it was done there",
        FIX,
    ]


def test_nothing_is_said_of_a_run_that_did_all():
    assert render_degraded(made()) == []


def test_what_all_operators_wait_for_is_named_and_nobody_is_praised():
    look = undone("command:local:Command", "web-ds-look")
    waiting = [
        undone("t", f"web-{one}", "command:local:Command::web-ds-look")
        for one in ("cloudflare", "hetzner", "ionos")
    ]
    lines = render_degraded(made(look, *waiting, said="the parent has a DS"))
    assert (
        len([line for line in lines if "1 skipped (web-ds-look: the parent has a DS)" in line]) == 3
    )
    assert "  web-ds-look: 1 failed (web-ds-look: the parent has a DS)" in lines
    assert not [line for line in lines if "all of it was done" in line]


def test_one_operator_whose_name_begins_anothers_component_is_not_taken_for_it():
    facts = {**FACTS, "operators": ["hetzner"]}
    lines = render_degraded(made(undone("t", "web-hetznerish"), facts=facts))
    assert lines[1] == f"  web-hetznerish: 1 failed (web-hetznerish: {DOWN})"


def test_ones_own_servers_are_not_said_to_have_it():
    facts = {**FACTS, "mode": "transfer", "operators": ["ionos", "own-anycast"]}
    lines = render_degraded(made(undone("command:local:Command", "web-ionos"), facts=facts))
    assert "own-anycast: not through this zone's resources" in lines[2]
