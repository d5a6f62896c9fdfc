"""Hosts that cannot be what the program says: each is named, and nothing else is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def mistaken(fleet, tmp_path):
    """The stack's configuration with two mistakes in `machines`: w1 by port, w2 by host key."""
    config = yaml.safe_load(fleet.lab.paths.stack_config.read_text())
    machines = config["config"]["loopback-edge:machines"]
    machines["w1"]["ssh_port"] = 2222
    machines["w2"]["host_key"] = machines["w1"]["host_key"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return [f"--config-file={path}", f"--state-dir={tmp_path / 'state'}"]


def test_a_closed_port_and_a_changed_host_key_are_told_apart(fleet, mistaken):
    done = fleet.loopback("up", "--yes", "--json", *mistaken)
    assert done.returncode == 1
    told = {
        d.get("urn", "").rpartition("::")[2]: d["message"]
        for d in json.loads(done.stdout)["diagnostics"]
        if d["severity"] == "error"
    }
    # the words of pulumi-command, which its users search for
    assert told["edge-w1-enroll"].startswith("after 10 failed attempts: dial tcp 198.18.11.21:2222")
    assert told["edge-w1-enroll"].endswith("connection refused")
    assert told["edge-w2-enroll"].endswith("ssh: host key mismatch")
    # nothing that rests on the unknown keys was begun, and the fleet serves on
    made = {c["name"] for c in json.loads(done.stdout)["changes"]}
    assert not {name for name in made if name.endswith(("-apply", "-confirm"))}
    assert fleet.ask("c-fra", "203.0.113.10")["client"] == "198.51.100.2"
    fleet.await_whole()


@pytest.fixture
def epoch(fleet):
    """The one whose keys stand: a rotation may have been before."""
    config = yaml.safe_load(fleet.lab.paths.stack_config.read_text())["config"]
    (stands,) = config.get("loopback-edge:tunnels", {"key_epochs": [1]})["key_epochs"]
    return stands


@pytest.fixture
def jumping(fleet, tmp_path, epoch):
    """The stack's configuration with other keys at once; afterwards the fleet is as deployed."""
    config = yaml.safe_load(fleet.lab.paths.stack_config.read_text())
    config["config"]["loopback-edge:tunnels"] = {"key_epochs": [epoch + 1]}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    yield f"--config-file={path}"
    done = fleet.loopback("up", "--yes")
    assert done.returncode == 0, done.stderr
    fleet.await_whole()
    for host in ("fra1", "w1"):  # the key that was born for it went again
        listed = fleet.lab.exec(host, ["ls", "/etc/loopback/keys"])
        assert listed.stdout.split() == [f"wireguard-{epoch}.key"]


def test_other_keys_at_once_are_refused_by_the_workers_and_nothing_changes(fleet, jumping, epoch):
    done = fleet.loopback("up", "--yes", "--json", jumping)
    assert done.returncode == 1
    told = {
        d.get("urn", "").rpartition("::")[2]: d["message"]
        for d in json.loads(done.stdout)["diagnostics"]
        if d["severity"] == "error"
    }
    steps = f"then [{epoch + 1}, {epoch}], then [{epoch + 1}], with an `up` after each"
    assert steps in told["edge-w1-apply"]
    assert "host: unchanged" in told["edge-w1-apply"]
    assert not {name for name in told if name.startswith(("edge-fra1", "edge-par1"))}
    assert fleet.ask("c-fra", "203.0.113.10")["client"] == "198.51.100.2"
    fleet.await_whole()


def test_bad_args_are_refused_at_plan_with_every_problem(fleet, mistaken):
    """Through the whole way: program, component, engine, command line."""
    path = mistaken[0].removeprefix("--config-file=")
    config = yaml.safe_load(Path(path).read_text())
    config["config"]["loopback-edge:adminSources"] = []
    config["config"]["loopback-edge:links"]["fra1"]["t1"]["asn"] = 0
    Path(path).write_text(yaml.safe_dump(config))
    done = fleet.loopback("plan", *mistaken)
    assert done.returncode == 1
    assert "edge: 2 problems" in done.stderr
    assert "admin_sources" in done.stderr
    assert "pops.fra1.upstreams.t1.asn" in done.stderr
    assert "Traceback" not in done.stderr
