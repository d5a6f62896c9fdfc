"""The production program, planned from its example without account, token, plugin or CLI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from loopback_iac.engine import Options, plan
from tests.engine.edge import EDGE, EXAMPLE, make_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from loopback_iac.engine import Result

SECRETS = make_secrets()
ORDERED = {"hcloud:index/server:Server": "hel", "ionoscloud:compute/server:Server": "txl"}


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Plan the production project as the example has it; `machines` says what differs."""
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "HCLOUD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))

    def run(secrets: dict[str, Any], **machines: dict[str, Any]) -> Result:
        config = {**EXAMPLE, **secrets}
        known = config["loopback-edge:machines"]
        config["loopback-edge:machines"] = {n: known[n] | machines.get(n, {}) for n in known}
        given = tmp_path / "Pulumi.example.yaml"
        given.write_text(yaml.safe_dump({"config": config}))
        return plan(
            Options(
                directory=EDGE, stack="example", config_file=given, state_dir=tmp_path / "state"
            )
        )

    return run


def names(result: Result, kind: str) -> set[str]:
    return {change.name for change in result.changes if change.type == kind}


def test_the_example_names_every_secret_and_holds_none():
    text = (EDGE / "Pulumi.example.yaml").read_text()
    for key in SECRETS:
        assert f"\n  #   {key.removeprefix('loopback-edge:')} " in text.replace("1\n", "1 \n")
        assert key not in EXAMPLE
    assert "secure" not in EXAMPLE


def test_the_example_plans_as_it_stands(planned):
    result = planned({})
    assert result.ok, result.diagnostics
    asked = {key for key in SECRETS if key.startswith("loopback-edge:")}
    assert set(result.deferred_config) == asked
    assert names(result, "loopback-iac:index:EdgePop") == {"edge-fra1", "edge-par1"}


def test_an_encrypted_token_is_no_obstacle_to_a_plan_without_passphrase(planned):
    held = {key: {"secure": "v1:AAAAAAAAAAAAAAAA:AAAA"} for key in SECRETS}
    result = planned(held)
    assert result.ok, result.diagnostics
    assert set(result.deferred_config) == {*SECRETS} - {"ionoscloud:token"}  # nobody looks at it


def test_a_fleet_of_three_kinds_plans_with_secrets_that_open_nothing(planned):
    result = planned(SECRETS)
    assert result.ok, result.diagnostics
    assert result.counts.keys() == {"create"}
    for kind, name in ORDERED.items():
        assert names(result, kind) == {f"{name}-server"}
    assert names(result, "loopback-iac:index:BareMetalHost") == {"fra1", "par1", "rack"}
    assert names(result, "loopback-iac:index:Worker") == {"edge-hel", "edge-txl", "edge-rack"}
    assert result.plain_outputs["vips"] == {"www": ["203.0.113.10", "2001:db8:100::10"]}
    said = " ".join(str(item.message) for item in result.diagnostics)
    for package in ("command", "hcloud", "ionoscloud"):
        assert f"no resource plugin '{package}-v" in said
    shown = repr(result.render_json())
    assert not [key for key, secret in SECRETS.items() if secret in shown]


WRONG = {
    "location": (
        {"hel": {"location": "hel2"}},
        ("hel.location: 'hel2' is no location", "expected fsn1, nbg1", "did you mean 'hel1'?"),
    ),
    "size": (
        {"hel": {"server_type": "cx34"}},
        ("hel.server_type: 'cx34' is not listed", "expected a size of 2026", "did you mean"),
    ),
    "jurisdiction": (
        {"hel": {"location": "ash"}},
        (
            "hel.location: ash (Ashburn) stands in US",
            "expected a country of allowed_countries (DE, FI, FR)",
            "fix: choose fsn1, nbg1, hel1",
        ),
    ),
    "ionos-location": (
        {"txl": {"location": "de/muc"}},
        ("txl.location: 'de/muc' is no location", "expected de/fra, de/fra/2", "did you mean"),
    ),
    "ionos-size": (
        {"txl": {"ram_mb": 8000}},
        ("txl.ram_mb: 8000 is no multiple of 256", "steps of 256 MB", "fix: write 7936 or 8192"),
    ),
    "ionos-jurisdiction": (
        {"txl": {"location": "us/las"}},
        (
            "txl.location: us/las (Las Vegas) stands in US",
            "expected a country of allowed_countries (DE, FI, FR)",
            "fix: choose de/fra, de/fra/2, de/txl, fr/par",
        ),
    ),
    "host-key": ({"rack": {"host_key": "ssh-rsa"}}, ("rack.host_key", "ssh-rsa", "fix: ")),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_machine_is_refused_in_the_plan(planned, case):
    machines, told = WRONG[case]
    result = planned(SECRETS, **machines)
    assert not result.ok
    said = "\n".join(str(item.message) for item in result.diagnostics)
    for words in told:
        assert words in said
    assert "Traceback" not in said


def test_a_token_of_another_length_is_refused_without_being_shown(planned):
    result = planned({**SECRETS, "hcloud:token": "short-and-secret"})
    assert not result.ok
    said = "\n".join(str(item.message) for item in result.diagnostics)
    assert "hcloud:token: has 16 characters" in said
    assert "short-and-secret" not in said
