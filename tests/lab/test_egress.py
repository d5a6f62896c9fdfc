"""Workers that leave by addresses of the fleet, through its PoPs: deployed, moved, taken back."""

from __future__ import annotations

import json

import pytest
import yaml

ADDRESS, PARTNERS = "203.0.113.64", {"c-fra": "198.51.100.2", "c-par": "198.51.100.66"}
PORT = 7000
SERVE = f"""
import socket
with socket.create_server(("", {PORT})) as listener:
    while True:
        connection, (asker, _) = listener.accept()
        with connection:
            connection.sendall(asker.encode())
"""
LEAVE = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5, (sys.argv[3], 0)) as connection:
    print(connection.recv(100).decode())
"""


@pytest.fixture
def partners(fleet):
    """Servers out there that say who asks."""
    for partner in PARTNERS:
        words = ["systemd-run", "--quiet", "--unit=partner", "python3", "-c", SERVE]
        assert fleet.lab.exec(partner, words).returncode == 0
    yield
    for partner in PARTNERS:
        fleet.lab.exec(partner, ["systemctl", "stop", "partner"])


@pytest.fixture
def leaving(fleet, tmp_path):
    """Deploys with the workers that may have the address; afterwards the fleet is as before."""
    path = tmp_path / "config.yaml"

    def deployed(*workers):
        config = yaml.safe_load(fleet.lab.paths.stack_config.read_text())
        declared = {"partners": {"addresses": [ADDRESS], "workers": [*workers]}}
        config["config"]["loopback-edge:egress"] = declared
        path.write_text(yaml.safe_dump(config))
        done = fleet.loopback("up", "--yes", "--json", f"--config-file={path}")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    yield deployed
    done = fleet.loopback("up", "--yes")
    assert done.returncode == 0, done.stderr
    assert fleet.loopback("drift").returncode == 0
    for pop in ("fra1", "par1"):
        assert fleet.lab.exec(pop, ["sysctl", "-n", "net.ipv4.ip_forward"]).stdout == "0\n"


def asked_by(fleet, worker, partner):
    """Whom a partner takes it for, or why nobody."""
    words = ["python3", "-c", LEAVE, PARTNERS[partner], str(PORT), ADDRESS]
    done = fleet.lab.exec(worker, words)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_g1_egress_leaves_by_the_pops_and_another_worker_takes_over(fleet, partners, leaving):
    result = leaving("w1", "w2")
    assert result["outputs"]["standing"] == {"partners": [ADDRESS]}
    assert {asked_by(fleet, "w1", partner) for partner in PARTNERS} == {ADDRESS}
    assert "Cannot assign requested address" in asked_by(fleet, "w2", "c-fra")
    for pop in ("fra1", "par1"):
        assert fleet.lab.exec(pop, ["sysctl", "-n", "net.ipv4.ip_forward"]).stdout == "1\n"
        told = fleet.lab.exec(pop, ["wg", "show", "lb-w1", "allowed-ips"]).stdout
        assert f"{ADDRESS}/32" in told.split()
    moved = leaving("w2", "w1")
    changed = {c["name"] for c in moved["changes"] if c["op"] != "same"}
    assert not {name for name in changed if name.startswith(("edge-fra1", "edge-par1"))}
    assert {asked_by(fleet, "w2", partner) for partner in PARTNERS} == {ADDRESS}
    assert "Cannot assign requested address" in asked_by(fleet, "w1", "c-fra")
