"""`loopback drain|undrain` on the deployed fleet: with the state, and with nothing but SSH."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from loopback_iac.lab.topology import OPS

if TYPE_CHECKING:
    import subprocess

STATE = (
    *("LOOPBACK_STACK", "LOOPBACK_STATE_DIR", "LOOPBACK_CONFIG_FILE", "SSH_AUTH_SOCK"),
    "PULUMI_CONFIG_PASSPHRASE_FILE",
)


def told(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def by_ssh_alone(fleet, *words: str, host: str = "fra1") -> subprocess.CompletedProcess[str]:
    """From a directory without a program, with nothing set that names a stack."""
    paths = fleet.lab.paths
    address = str(fleet.lab.topology.uplink(host).v4.ip)
    plain = [word for name in STATE for word in ("-u", name)]
    argv = ["env", "-C", str(paths.keys), *plain, "loopback", words[0], f"--address={address}"]
    argv += ["--identity=operator", "--known-hosts=known_hosts", *words[1:]]
    return fleet.lab.exec(OPS, argv, timeout_s=120)


@pytest.fixture
def whole(fleet):
    """Both PoPs announce before; afterwards nothing is drained any more."""
    fleet.await_whole()
    yield
    for pop in ("fra1", "par1"):
        assert fleet.loopback("undrain", pop).returncode == 0


def test_out_and_back_and_never_the_last_one_unasked(fleet, whole):
    out = told(fleet.loopback("drain", "fra1", "--seconds=1", "--json"))
    assert (out["pop"], out["drained"], out["announces"]) == ("fra1", True, False)
    assert "drained by operator" in out["standing"]
    assert fleet.ask("c-fra", "203.0.113.10")["client"]
    refused = fleet.loopback("drain", "par1")
    assert refused.returncode == 1
    assert "no other PoP is known to announce (fra1 is drained by operator)" in refused.stderr
    again = told(by_ssh_alone(fleet, "drain", "fra1", "--seconds=0", "--json"))
    assert (again["drained"], again["announces"]) == (True, False)
    back = told(by_ssh_alone(fleet, "undrain", "fra1", "--json"))
    assert (back["drained"], back["announces"]) == (False, True)


def test_a_host_that_is_somebody_else_is_left_alone(lab, fleet):
    for host, said in (("par1", "pop 'par1', not PoP 'fra1'"), ("w1", "worker 'w1'")):
        refused = by_ssh_alone(fleet, "drain", "fra1", host=host)
        assert refused.returncode == 1
        assert said in refused.stderr
    report = json.loads(lab.exec("par1", ["/usr/local/sbin/loopback-agent", "report"]).stdout)
    assert report["drain"] == []


def test_a_host_whose_key_is_not_pinned_is_not_talked_to(lab, fleet):
    done = by_ssh_alone(fleet, "drain", "fra1", "--known-hosts=/dev/null")
    assert done.returncode == 2
    assert "holds no key of" in done.stderr
    another = lab.exec(OPS, ["ssh-keygen", "-y", "-f", str(lab.paths.operator_key)]).stdout
    done = by_ssh_alone(fleet, "drain", "fra1", f"--host-key={another.strip()}")
    assert done.returncode == 1
    assert "another host key" in done.stderr


def test_a_name_that_is_no_pop_is_refused_with_the_names_there_are(fleet):
    refused = fleet.loopback("drain", "w1")
    assert refused.returncode == 2
    assert "no PoP 'w1'; there are fra1, par1" in refused.stderr
