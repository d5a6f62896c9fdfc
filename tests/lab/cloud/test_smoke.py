"""The smoke test of a real cloud, run against the stand-in: the same program, other plugins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RUN = str(ROOT / "stacks/smoke/run.py")
# by cloud: where its token is looked for, its package, and what of its own is looked at
CLOUDS = {
    "hetzner": ("HCLOUD_TOKEN", "hcloud", "its IPv6 address is set: yes"),
    "ionos": ("IONOS_TOKEN", "ionoscloud", "its address in the private LAN is set: yes"),
}


@pytest.mark.parametrize("cloud", sorted(CLOUDS))
def test_the_smallest_host_is_ordered_looked_at_and_removed(lab, monkeypatch, tmp_path, cloud):
    variable, package, seen = CLOUDS[cloud]
    ops = lab.topology.uplink("ops")
    monkeypatch.setenv(variable, (lab.paths.keys / f"token-{package}").read_text())
    monkeypatch.setenv("SMOKE_ADMIN_SOURCES", f"{ops.v4.ip}/32 {ops.v6.ip}/128")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    argv = [sys.executable, RUN, cloud, "--plugins", str(ROOT / "loopback_iac/lab/plugins")]
    done = lab.exec("ops", argv, timeout_s=240)
    assert done.returncode == 0, done.stderr
    assert "metadata is closed to services: yes" in done.stderr
    assert seen in done.stderr
    assert "all as it should be, and nothing is left" in done.stderr
    assert "loopback-smoke" not in {host.name for host in lab.topology.hosts}
    assert list(tmp_path.iterdir()) == []


def test_without_a_token_nothing_is_ordered(lab, monkeypatch, tmp_path):
    monkeypatch.delenv("HCLOUD_TOKEN", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = lab.exec("ops", [sys.executable, RUN, "hetzner"], timeout_s=60)
    assert done.returncode == 2
    assert "HCLOUD_TOKEN is not set" in done.stderr
    assert list(tmp_path.iterdir()) == []
