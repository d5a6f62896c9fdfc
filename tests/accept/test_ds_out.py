"""What takes a DS out of a real Knot; test_operators_run.py has it within a stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopback_iac.lab.names.machine import DS_SECRET, Machine
from tests.accept.ds_parent import ADDRESS, KEY, parent_in
from tests.accept.network import namespaces, wait_for

LOOPBACK = str(Path(sys.executable).parent / "loopback")
HELD = {"key_name": KEY, "secret": DS_SECRET}


@pytest.fixture(scope="module")
def parent(image, tmp_path_factory):
    ground = tmp_path_factory.mktemp("parent")
    with namespaces("parent") as made, parent_in(made[0], image, ground) as machine:
        yield machine


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """Where this machine keeps what went out."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "loopback/ds-out"


def start(parent: Machine, verb: str, zone: str, **more: object) -> subprocess.Popen[str]:
    """A Command's call, on a host that sees the parent."""
    order = {"zone": zone, "signed": True, "addresses": [ADDRESS], "key_name": "", "secret": ""}
    process = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{parent.space.name}", LOOPBACK, "dns", verb],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({**order, **more}))
    process.stdin.close()
    process.stdin = None
    return process


def call(parent: Machine, verb: str, zone: str, **more: object) -> subprocess.CompletedProcess[str]:
    process = start(parent, verb, zone, **more)
    told = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, *told)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Why it failed, in one line."""
    assert done.returncode == 1, done.stdout
    return " ".join(done.stderr.split())


def set_ds(parent: Machine, zone: str, ttl_s: int) -> None:
    if parent.answer(zone, "DS"):
        return
    for words in (
        ["zone-begin", "example."],
        ["zone-set", "example.", zone, str(ttl_s), "DS", "12345", "13", "2", "AB" * 32],
        ["zone-commit", "example."],
    ):
        done = parent.knotc(*words)
        assert done.returncode == 0, done.stdout + done.stderr


def test_with_its_key_the_ds_is_out_and_caches_are_waited_for(parent, kept):
    done = call(parent, "ds-out", "short.example.", **HELD)
    assert done.returncode == 0, done.stderr
    assert "1 s have passed" in done.stdout
    assert parent.answer("short.example.", "DS") == []
    assert not list(kept.iterdir())
    # what caches keep for hours is not waited for, and said; not to whoever comes first alone
    longer = call(parent, "ds-out", "long.example.", **HELD)
    assert "run it again in 7200 s" in said(longer)
    assert parent.answer("long.example.", "DS") == []
    again = call(parent, "ds-out", "long.example.", **HELD)
    assert "caches may keep it for 7" in said(again)


def test_a_run_that_was_killed_is_waited_for_by_the_next_one(parent, kept):
    set_ds(parent, "held.example.", 3000)
    cut = start(parent, "ds-out", "held.example.", **HELD)
    wait_for(lambda: not parent.answer("held.example.", "DS"))
    cut.kill()
    cut.communicate()
    (left,) = kept.iterdir()
    assert json.loads(left.read_text())["ttl_s"] == 3000
    # as if it had been killed nearly all of that time ago
    left.write_text(json.dumps({"ttl_s": 3000, "gone_at": int(time.time()) - 2999}))
    done = call(parent, "ds-out", "held.example.", **HELD)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3000 s have passed" in done.stdout
    assert not list(kept.iterdir())
    assert "has no DS" in call(parent, "ds-out", "held.example.", **HELD).stdout


def test_what_cannot_be_kept_is_not_begun(parent, kept):
    set_ds(parent, "short.example.", 1)
    kept.parent.write_text("no folder")
    told = said(call(parent, "ds-out", "short.example.", **HELD))
    assert "fix: set XDG_STATE_HOME" in told
    assert parent.answer("short.example.", "DS")


def test_a_key_that_may_not_is_told_what_to_do(parent):
    set_ds(parent, "short.example.", 1)
    other = {"key_name": "other", "secret": DS_SECRET}
    told = said(call(parent, "ds-out", "short.example.", **other))
    assert "fix: " in told
    assert parent.answer("short.example.", "DS")


@pytest.mark.parametrize(
    "zone", ["example.", "child.held.example."], ids=["the zone's own server", "a referral"]
)
@pytest.mark.parametrize("verb", ["ds-out", "ds-look"])
def test_who_is_no_authority_for_the_parent_does_not_say_that_there_is_none(parent, verb, zone):
    told = said(call(parent, verb, zone, signed=verb == "ds-out"))
    assert f"is no authority for the parent of {zone}" in told
    assert "fix: name servers of the parent zone" in told


def test_a_parent_that_does_not_answer_stops_it(parent):
    silent = call(parent, "ds-out", "short.example.", addresses=[ADDRESS, "192.0.2.201"])
    assert "192.0.2.201 does not say" in said(silent)
    assert "fix: name servers of the parent zone" in said(silent)


@pytest.mark.parametrize(
    "more",
    [{"token": "hunter2"}, {"key_name": KEY, "secret": "hunter2!"}],
    ids=["another word", "a secret that is no base64"],
)
def test_what_is_no_order_is_not_shown(parent, more):
    told = call(parent, "ds-out", "short.example.", **more)
    assert told.returncode == 2
    assert "fix: " in told.stderr
    assert "hunter2" not in told.stderr + told.stdout
