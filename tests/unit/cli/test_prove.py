"""`loopback prove` on a stack of the embedded engine, from its plan and from its state."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from loopback_iac.cli import app
from tests.unit.proof.fleets import PLACES, two

ROOT = Path(__file__).parents[3]
PROGRAM = f"""
import pulumi

for name, place in {PLACES!r}.items():
    pulumi.ComponentResource("loopback-iac:index:BareMetalHost", name, place)
pulumi.ComponentResource("loopback-iac:index:AnycastEdge", "edge", {{"fleet": {two()!r}}})
"""


@pytest.fixture
def stack(tmp_path, monkeypatch):
    (tmp_path / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "t", "runtime": "python"}))
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse battery staple")
    return tmp_path


def run(*argv: str):
    return CliRunner().invoke(app, ["prove", *argv])


def test_plan_and_state_have_the_same_certificate(stack):
    planned = run("-C", str(stack), "--json")
    assert planned.exit_code == 0, planned.output
    assert json.loads(planned.stdout)["systems"]["https at 203.0.113.10"]["survives"] == 1
    empty = run("-C", str(stack), "--state")
    assert (empty.exit_code, "no state" in empty.output) == (2, True)
    assert CliRunner().invoke(app, ["up", "-C", str(stack), "--yes"]).exit_code == 0
    assert run("-C", str(stack), "--json", "--state").stdout == planned.stdout


def test_what_is_written_is_re_checked_without_the_library(stack):
    kept = {what: stack / "out" / what for what in ("c.json", "verify.py", "p.svg")}
    done = run("-C", str(stack), "--out", str(kept["c.json"]), "--verifier",
               str(kept["verify.py"]), "--picture", str(kept["p.svg"]))  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "survives any one loss; demanded: 1" in done.output
    assert kept["p.svg"].read_text().startswith("<svg")
    argv = [sys.executable, "-I", "-S", str(kept["verify.py"]), str(kept["c.json"])]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_less_than_demanded_ends_with_1_the_cut_and_the_fix(stack):
    done = run("-C", str(stack), "--k", "2")
    assert done.exit_code == 1
    assert "https at 203.0.113.10: survives any one loss; demanded: any two losses" in done.output
    assert "fix: add a PoP, against a (PoP), b (PoP)" in done.output


def test_demands_of_a_file_hold_and_a_wrong_one_is_refused_before_anything_runs(stack):
    asked = stack / "demands.yaml"
    asked.write_text("services: {https: {survives: 2}}")
    assert run("-C", str(stack), "--demands", str(asked)).exit_code == 1
    asked.write_text("accepted: [{cause: pop c, because: x, owner: y}]")
    wrong = run("-C", str(stack), "--demands", str(asked))
    assert (wrong.exit_code, "there is no cause 'pop c'" in wrong.output) == (2, True)
    asked.write_text("survive: 1")
    (stack / "__main__.py").write_text("raise SystemExit('it ran')")
    refused = run("-C", str(stack), "--demands", str(asked))
    assert (refused.exit_code, "did you mean 'survives'?" in refused.output) == (2, True)
    assert run("-C", str(stack), "--demands", str(stack / "none")).exit_code == 2
    assert run("-C", str(stack), "--picture", "p.gif").exit_code == 2
    assert run("-C", str(stack), "--k", "4").exit_code == 2


def test_demands_of_what_only_up_knows_are_told_and_refuse_nothing(stack):
    """As a plan writes it: the text stands where the value will."""
    asked = stack / "demands.yaml"
    asked.write_text("{survives: 0, accepted: [{cause: site hel1, because: x, owner: y}]}")
    program = PROGRAM.replace("'s-w1'", "'(known after apply)'")
    (stack / "__main__.py").write_text(program)
    open_yet = run("-C", str(stack), "--demands", str(asked))
    assert (open_yet.exit_code, "no cause 'site hel1' before `up`" in open_yet.output) == (0, True)
    (stack / "__main__.py").write_text(program.replace("64496", "'(known after apply)'"))
    late = run("-C", str(stack))
    assert (late.exit_code, "loopback prove --state" in late.output) == (2, True)


def test_a_stack_without_a_fleet_is_told_so(stack):
    (stack / "__main__.py").write_text("")
    done = run("-C", str(stack))
    assert (done.exit_code, "no AnycastEdge" in done.output) == (2, True)


def test_a_plan_that_proves_less_than_its_policy_demands_is_refused_with_the_cut(tmp_path):
    config = tmp_path / "policy.json"
    config.write_text(json.dumps({"redundancy-proved": {"survives": 2}}))
    done = CliRunner().invoke(app, [
        "plan", "--json", "-C", str(ROOT / "stacks/edge"), "--stack", "example",
        "--state-dir", str(tmp_path), "--policy-pack", str(ROOT / "policies"),
        "--policy-pack-config", str(config),
    ])  # fmt: skip
    assert done.exit_code == 1
    (said,) = [v for v in json.loads(done.stdout)["violations"] if v["level"] == "mandatory"]
    assert said["policy"] == "redundancy-proved"
    assert "AS64496 (upstream)" in said["message"]


def test_the_example_for_production_survives_any_one_loss(tmp_path):
    done = run("-C", str(ROOT / "stacks/edge"), "--stack", "example", "--json",
               "--state-dir", str(tmp_path))  # fmt: skip
    assert done.exit_code == 0, done.output
    systems = json.loads(done.stdout)["systems"]
    assert {told["survives"] for told in systems.values()} == {1}
    cuts = [set(cut) for told in systems.values() for cut in told["smallest_cuts"]]
    assert {"upstream AS64496", "upstream AS64497"} in cuts
