"""What HostBaseline refuses and declares, and what of it hosts are brought."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from loopback_iac.agent.allowed import ROLES, parse_place
from loopback_iac.agent.packages import DATA_PLANE_PACKAGES
from loopback_iac.components import HiddenPrimary, HostBaseline
from loopback_iac.components.boundary import RejectedInputs
from loopback_iac.model import InputRejected, parse_baseline
from loopback_iac.render import HELD, render_baseline
from tests.unit.components.recording import Cloud
from tests.unit.components.test_primary import KEYS, answer, args

DOOR = Path(__file__).parents[3] / "components"
CERTIFICATE = (DOOR / "HostBaseline/python/ca.pem").read_text()
PRIVATE = "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n"


def sink(number: int, provider: str, **more: Any) -> dict[str, Any]:
    return {
        "address": f"192.0.2.{number}",
        "port": 6514.0,  # as a hosted component receives it
        "provider": provider,
        "ca_certificate": CERTIFICATE,
        "kept_days": 180,
        **more,
    }


def tree(**more: Any) -> dict[str, Any]:
    client = {"client_certificate": CERTIFICATE, "client_key": PRIVATE, "protocol": "relp"}
    servers = {f"t{n}": {"address": f"t{n}.example.net", "operator": f"o{n % 2}"} for n in range(4)}
    target = {"address": "192.0.2.63", "host_key": KEYS["fra1"], "provider": "ionos"}
    backups = {
        "certificate": CERTIFICATE,
        "ssh_private_key": PRIVATE,
        "kept_days": 90,
        "targets": {"far": target},
    }
    sinks = {"near": sink(61, "hetzner", **client), "far": sink(62, "ionos")}
    logs = {"sinks": sinks, "units": ["traefik"]}
    return {"logs": logs, "time": {"servers": servers}, "backups": backups, **more}


def edited(path: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(tree())
    *above, last = path.split(".")
    here: Any = made
    for step in above:
        here = here[step]
    if value is None:
        del here[last]
    else:
        here[last] = value
    return made


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("logs.sinks.far", None, "log-sinks"),
        ("logs.sinks.far.provider", "hetzner", "log-sinks"),
        ("logs.sinks.far.address", "192.0.2.61", "log-sinks"),
        ("logs.sinks.far.client_key", PRIVATE, "client-certificate"),
        ("logs.sinks.near.client_key", None, "client-certificate"),
        ("logs.sinks.far.ca_certificate", CERTIFICATE + PRIVATE, "certificate-pem"),
        ("logs.sinks.far.ca_certificate", "/etc/ssl/ca.pem", "certificate-pem"),
        ("logs.sinks.far.ca_certificate", CERTIFICATE.replace("MII", "MIIA"), "certificate-pem"),
        ("logs.sinks.far.protocol", "udp", "field-choice"),
        ("logs.sinks.far.address", 'a" type="omprog', "server-name"),
        ("logs.sinks.far.kept_days", 0, "field-range"),
        ("logs.sinks.far.keptdays", 1, "field-unknown"),
        ("logs.sinks.Far", sink(64, "ionos"), "name-dns-label"),
        ("logs.units", ['x") then stop'], "unit-name"),
        ("logs.files", ["events.log"], "log-file"),
        ("logs.files", ["/var/../etc/shadow"], "log-file"),
        ("logs.files", ["/var/log/*.log"], "log-file"),
        ("logs.files", ['/a" ruleset="x'], "log-file"),
        ("logs.files", ["/var/log/"], "log-file"),
        ("time.servers.t0.address", "t1.example.net", "time-server-twice"),
        ("time.servers", {"t0": {"address": "t0.example.net", "operator": "o0"}}, "time-operators"),
        ("backups.targets", {}, "backup-target"),
        ("backups.targets.far.host_key", "ssh-ed25519 nonsense", "host-key-syntax"),
        ("backups.targets.far.user", "root;id", "ssh-user-syntax"),
        ("backups.restored_on", "2026-02-30", "day-syntax"),
        ("backups.restored_on", "last week", "day-syntax"),
        ("backups.certificate", PRIVATE, "certificate-pem"),
    ],
)
def test_what_would_not_hold_is_refused_and_no_secret_is_shown(path, value, rule):
    with pytest.raises(InputRejected) as refused:
        parse_baseline("base", edited(path, value))
    assert rule in {problem.rule for problem in refused.value.problems}
    assert all(problem.fix for problem in refused.value.problems)
    assert "CANARY" not in str(refused.value)


def test_everything_is_refused_at_once():
    with pytest.raises(RejectedInputs) as refused:
        HostBaseline("base", {"logs": {"sinks": {"near": sink(61, "a", port=0)}}})
    assert "2 problems" in str(refused.value)
    assert "base.logs.sinks.near.port" in str(refused.value)
    assert "base.time" in str(refused.value)


@pytest.mark.parametrize("role", ROLES)
def test_the_agent_takes_every_file_as_it_is_rendered(role):
    files = render_baseline(parse_baseline("base", tree()), role, "h1").files
    for path, file in files.items():
        place = parse_place(path, role)
        assert (f"{place.mode:04o}", place.owner, place.group) == (
            file.mode,
            file.owner,
            file.group,
        )
    assert ("/etc/loopback/backup.json" in files) == (role == "primary")
    assert "traefik" in files["/etc/loopback/logs.conf"].text


def test_a_server_without_nts_says_why_in_its_file():
    waived = edited("time.servers.t1.nts_waived_because", "it has none")
    text = (
        render_baseline(parse_baseline("base", waived), "pop", "h1")
        .files["/etc/chrony/conf.d/loopback-time.conf"]
        .text
    )
    assert "server t0.example.net iburst nts\n" in text
    assert "# t1, of o1; no NTS: it has none\nserver t1.example.net iburst\n" in text


def test_what_is_held_is_what_the_agent_holds():
    assert HELD == DATA_PLANE_PACKAGES


@pytest.fixture(scope="module")
def cloud(declare, hosts, deploy_key):
    def program():
        declared = tree()
        declared["backups"]["ssh_private_key"] = (
            deploy_key  # in clear, as a careless program has it
        )
        base = HostBaseline("base", declared)
        HiddenPrimary("dns", args(baseline=base.baseline))
        base.backup_line.apply(lambda line: hosts.update(line=line))

    return declare(Cloud(answer), program)


def test_every_host_of_a_component_is_brought_its_baseline(cloud):
    for host in KEYS:
        enrolled = json.loads(cloud.made[f"dns-{host}-enroll"].inputs["stdin"])
        assert {"rsyslog", "rsyslog-relp", "chrony", "unattended-upgrades"} <= set(
            enrolled["packages"]
        )
        bundle = json.loads(cloud.made[f"dns-{host}-apply"].inputs["stdin"]["value"])
        assert "CANARY" in bundle["secrets"]["log-key-near"]
        assert (
            bundle["files"]["/etc/loopback/logs/near-key.pem"]["text"] == "@{secret:log-key-near}"
        )
        assert ("backup-key" in bundle["secrets"]) == (host == "primary")


def test_who_brings_updates_otherwise_gets_no_package_for_them(declare):
    def program():
        HiddenPrimary("waived", args(baseline=tree(updates_waived_because="landscape does")))

    made = declare(Cloud(answer), program).made
    enrolled = json.loads(made["waived-primary-enroll"].inputs["stdin"])
    assert "unattended-upgrades" not in enrolled["packages"]
    bundle = json.loads(made["waived-primary-apply"].inputs["stdin"]["value"])
    assert "/etc/apt/apt.conf.d/52loopback" not in bundle["files"]


def test_the_line_for_targets_has_the_public_half_and_one_command(cloud, hosts, deploy_key):
    assert hosts["line"].startswith('restrict,command="set -eu; ')
    assert hosts["line"].count('"') == 2
    assert " ssh-ed25519 AAAA" in hosts["line"]
    assert "PRIVATE" not in hosts["line"]


def test_secrets_given_in_clear_are_secrets_in_the_state(cloud):
    said = json.dumps(cloud.made["base"].inputs)
    assert "CANARY" not in said
    assert "declared" in cloud.made["base"].inputs
    assert not isinstance(cloud.made["base"].inputs["declared"], pulumi.Output)
