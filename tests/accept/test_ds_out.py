"""What takes a DS out of a real Knot; test_operators_run.py has it within a stack."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loopback_iac.lab.names.machine import DS_SECRET, Machine
from tests.accept.ds_parent import ADDRESS, KEY, parent_in
from tests.accept.network import namespaces

LOOPBACK = str(Path(sys.executable).parent / "loopback")


@pytest.fixture(scope="module")
def parent(image, tmp_path_factory):
    ground = tmp_path_factory.mktemp("parent")
    with namespaces("parent") as made, parent_in(made[0], image, ground) as machine:
        yield machine


def call(parent: Machine, verb: str, zone: str, **more: object) -> subprocess.CompletedProcess[str]:
    """A Command's call, on a host that sees the parent."""
    order = {"zone": zone, "signed": True, "addresses": [ADDRESS], "key_name": "", "secret": ""}
    return subprocess.run(
        ["nsenter", f"--net=/run/netns/{parent.space.name}", LOOPBACK, "dns", verb],
        input=json.dumps({**order, **more}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_with_its_key_the_ds_is_out_and_caches_are_waited_for(parent):
    key = {"key_name": KEY, "secret": DS_SECRET}
    done = call(parent, "ds-out", "short.example.", **key)
    assert done.returncode == 0, done.stderr
    assert "1 s have passed" in done.stdout
    assert parent.answer("short.example.", "DS") == []
    # what caches keep for hours is not waited for, and said
    longer = call(parent, "ds-out", "long.example.", **key)
    assert longer.returncode == 1
    assert "run it again in 7200 s" in " ".join(longer.stderr.split())
    assert parent.answer("long.example.", "DS") == []


def test_a_parent_that_does_not_answer_stops_it(parent):
    silent = call(parent, "ds-out", "short.example.", addresses=[ADDRESS, "192.0.2.201"])
    assert silent.returncode == 1
    assert "192.0.2.201 does not say" in " ".join(silent.stderr.split())


def test_what_is_no_order_is_not_shown(parent):
    told = call(parent, "ds-out", "short.example.", token="hunter2")
    assert told.returncode == 2
    assert "hunter2" not in told.stderr + told.stdout
