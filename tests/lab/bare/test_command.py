"""`loopback lab` as a person uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from loopback_iac.lab import InstancePaths, leftovers
from loopback_iac.lab.instance import locked

LOOPBACK = [sys.executable, "-c", "from loopback_iac.cli import main; main()", "lab"]


def loopback(*argv, **kwargs):
    return subprocess.run(
        [*LOOPBACK, *argv], capture_output=True, text=True, timeout=120, check=False, **kwargs
    )


def test_up_on_a_lab_that_stands_does_nothing_and_says_so(lab):
    pids = [h.pid for h in lab.status()]
    config = lab.paths.stack_config.read_bytes()
    said = loopback("up", "--name", lab.paths.name)
    assert (said.returncode, said.stdout) == (0, "")
    assert "nothing to do" in said.stderr
    assert [h.pid for h in lab.status()] == pids
    assert lab.paths.stack_config.read_bytes() == config


def test_status_lists_every_host_for_programs(lab):
    said = json.loads(loopback("status", "--name", lab.paths.name, "--json").stdout)
    hosts = {h["name"]: h for h in said["hosts"]}
    assert set(hosts) == {h.name for h in lab.topology.hosts}
    assert {h["state"] for h in hosts.values()} == {"running"}
    assert hosts["fra1"]["addresses"] == ["198.18.1.11", "2001:db8:1::11"]
    # an idle Debian host: more than nothing, far from 100 MiB
    booted = [hosts[h.name] for h in lab.topology.hosts if h.booted]
    assert all(1 < h["memory_mib"] < 100 for h in booted)
    assert said["bgp"]["core"] == {"t1_4": True, "t1_6": True, "t2_4": True, "t2_6": True}


def test_status_shows_a_person_the_same(lab):
    said = loopback("status", "--name", lab.paths.name).stdout
    assert "198.18.11.21" in said
    assert "BGP at core: t1_4 up" in said


def test_exec_runs_in_the_workstation_with_the_users_files(lab, tmp_path):
    (tmp_path / "mine").write_text("kept")
    said = loopback(
        "exec",
        "--name",
        lab.paths.name,
        "--",
        "sh",
        "-c",
        "cat mine; ip -4 -br a; exit 7",
        cwd=tmp_path,
    )
    assert said.returncode == 7
    assert said.stdout.startswith("kept")
    assert "198.18.251.2/24" in said.stdout


def test_exec_in_the_workstation_knows_no_proxy(lab):
    environment = {**os.environ, "https_proxy": "http://198.51.100.9:1", "HTTP_PROXY": "x"}
    said = loopback("exec", "--name", lab.paths.name, "--", "env", env=environment)
    assert said.returncode == 0
    assert "HOME=" in said.stdout
    assert "_proxy=" not in said.stdout.lower()


def test_exec_in_a_host_is_root_there_and_passes_the_exit_code(lab):
    said = loopback(
        "exec",
        "--name",
        lab.paths.name,
        "--host",
        "par1",
        "--",
        "sh",
        "-c",
        "hostname; id -u; exit 9",
    )
    assert (said.returncode, said.stdout.split()) == (9, ["par1", "0"])


def test_exec_reads_stdin(lab):
    said = loopback("exec", "--name", lab.paths.name, "--host", "w1", "cat", input="through")
    assert said.stdout == "through"


def test_logs_print_the_end_of_a_hosts_journal(lab):
    said = loopback("logs", "t1", "--name", lab.paths.name, "--lines", "400").stdout
    assert "bird" in said


def test_an_unknown_host_is_refused_with_the_names_there_are(lab):
    said = loopback("exec", "--name", lab.paths.name, "--host", "fra9", "true")
    assert said.returncode == 2
    assert "fra1" in said.stderr


@pytest.mark.parametrize("name", ["Test", "a-b", "waytoolongname", ""])
def test_a_lab_name_that_would_not_fit_is_refused(name):
    said = loopback("up", "--name", name)
    assert said.returncode == 2
    assert "fix:" in said.stderr


def test_a_lab_that_is_not_there_is_named_with_the_fix():
    said = loopback("exec", "--name", "nowhere", "true")
    assert said.returncode == 2
    assert "loopback lab up --name nowhere" in said.stderr
    assert not leftovers("nowhere")


def test_a_second_process_is_refused_while_one_changes_the_lab(lab):
    with locked(lab.paths):
        said = loopback("up", "--name", lab.paths.name)
    assert said.returncode == 2
    assert f"process {os.getpid()} is changing it" in said.stderr
    assert loopback("up", "--name", lab.paths.name).returncode == 0


def test_down_without_a_lab_says_so():
    said = loopback("down", "--name", "nowhere")
    assert said.returncode == 0
    assert "nothing to do" in said.stderr
    assert not InstancePaths("nowhere").lock.exists()
