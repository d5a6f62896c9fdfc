"""The smoke test of a real cloud, run against the stand-in: the same program, other plugins."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
RUN = str(ROOT / "stacks/smoke/run.py")


def test_the_smallest_host_is_ordered_looked_at_and_removed(lab, monkeypatch, tmp_path):
    ops = lab.topology.uplink("ops")
    monkeypatch.setenv("HCLOUD_TOKEN", (lab.paths.keys / "token-hcloud").read_text())
    monkeypatch.setenv("SMOKE_ADMIN_SOURCES", f"{ops.v4.ip}/32 {ops.v6.ip}/128")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    argv = [sys.executable, RUN, "hetzner", "--plugins", str(ROOT / "loopback_iac/lab/plugins")]
    done = lab.exec("ops", argv, timeout_s=240)
    assert done.returncode == 0, done.stderr
    assert "metadata is closed to services: yes" in done.stderr
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
