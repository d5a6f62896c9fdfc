"""Drift on the deployed fleet: each change made behind the program's back is named."""

from __future__ import annotations

import json
import time

import pytest

ALL = ["fra1", "par1", "w1", "w2"]
CHANGED = "/etc/loopback/sysctl.conf"
GONE = "/etc/loopback/watch.json"
STATE = "/var/lib/loopback/state.json"


def drift(fleet, *words: str) -> tuple[int, dict]:
    """Asked from the workstation, as an operator would."""
    done = fleet.loopback("drift", "--json", "--deadline=12", *words)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def await_whole(fleet) -> None:
    """A PoP that comes back from a fault announces only after its return hold."""
    deadline = time.monotonic() + 90
    while (told := drift(fleet)) != (0, {"hosts": ALL, "differences": []}):
        assert time.monotonic() < deadline, told
        time.sleep(1)


@pytest.fixture
def whole(lab, fleet):
    """Everything the test does to a host is taken back, whatever becomes of the test."""
    await_whole(fleet)
    state = lab.exec("par1", ["cat", STATE]).stdout
    yield
    lab.silent("w2", silent=False)
    for host, path in (("fra1", CHANGED), ("w1", GONE)):
        lab.exec(host, ["sh", "-c", f"test ! -e {path}.kept || mv {path}.kept {path}"])
    lab.exec("par1", ["tee", STATE], text=state)
    await_whole(fleet)


def test_each_host_that_differs_is_named_with_what_differs(lab, fleet, whole):
    change = f"cp -p {CHANGED} {CHANGED}.kept && echo '# by hand' >> {CHANGED}"
    assert lab.exec("fra1", ["sh", "-c", change]).returncode == 0
    assert lab.exec("w1", ["mv", GONE, f"{GONE}.kept"]).returncode == 0
    state = json.loads(lab.exec("par1", ["cat", STATE]).stdout)
    other = json.dumps(state | {"active": "0" * 64})
    assert lab.exec("par1", ["tee", STATE], text=other).returncode == 0
    lab.silent("w2", silent=True)
    code, told = drift(fleet)
    assert code == 1
    found = {(d["host"], d["rule"], d["got"]) for d in told["differences"]}
    assert ("fra1", "file-as-applied", f"{CHANGED}: changed by somebody else") in found
    assert ("w1", "file-as-applied", f"{GONE}: missing") in found
    assert ("par1", "digest-as-applied", "000000000000 is active") in found
    # no answer: to us, and to the PoPs through their tunnels
    assert ("w2", "host-answers") in {(host, rule) for host, rule, _ in found}
    assert {h for h, rule, _ in found if rule == "tunnel-carries"} == {"fra1", "par1"}


def test_a_key_that_opens_nothing_is_said_for_every_host(lab, fleet, tmp_path):
    wrong = tmp_path / "key"
    made = lab.exec("ops", ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(wrong)])
    assert made.returncode == 0
    code, told = drift(fleet, "--identity", str(wrong))
    assert code == 1
    assert {(d["host"], d["got"]) for d in told["differences"]} == {
        (host, "it refuses this key for user root") for host in ALL
    }
