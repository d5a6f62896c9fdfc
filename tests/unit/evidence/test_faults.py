"""What cannot be recorded is refused, and nothing is ever left half."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from datetime import timedelta

import pytest

from tests.unit.evidence.states import NOW, manifests, run, state


def test_a_first_record_that_is_refused_leaves_nobody_believed(desk):
    drill = desk.folder / "drill.json"
    drill.write_text("[]")
    assert desk.record("--drill", str(drill)).exit_code == 2
    assert not list(desk.chain.iterdir())


def refusals(desk):
    folder, chain = desk.folder, str(desk.chain)
    nowhere = folder / "nowhere"
    (folder / "no.json").write_text('{"drill": "x"}')
    yield ("--state-file", str(nowhere)), "can be read"
    yield ("--drill", str(folder / "no.json")), "no record of a drill"
    yield ("--certificate", str(folder / "no.json")), "no certificate"
    yield ("--signer", "a b"), "--signer: got 'a b'"
    yield ("--key", str(nowhere)), "ssh-keygen could not use it"
    yield ("--git", "-C", str(folder)), "git has no commit"
    yield ("--chain", f"{folder}/no.json/x"), "--chain"
    yield ("--demands", str(folder / "key")), "--demands"
    assert chain


def test_what_cannot_be_recorded_is_refused_and_leaves_the_chain_as_it_was(desk, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", "/")
    assert desk.record().exit_code == 0
    before = sorted(desk.chain.rglob("*"))
    for argv, said in refusals(desk):
        done = desk.record(*argv)
        assert (done.exit_code, said in done.output) == (2, True), (argv, done.output)
        assert sorted(desk.chain.rglob("*")) == before, argv
    for text, said in (
        ("[]", "no deployment"),
        ('{"version": 3, "deployment": {"resources": []}}', "no resource"),
        (state(stack="test"), "give each stack a chain of its own"),
    ):
        done = desk.record(text=text)
        assert (done.exit_code, said in done.output) == (2, True), done.output
        assert sorted(desk.chain.rglob("*")) == before
    assert desk.record().exit_code == 0


def test_a_key_that_nobody_believes_is_refused_with_the_line_that_would_be(desk):
    assert desk.record().exit_code == 0
    other = desk.folder / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)],
                   check=True, timeout=30)  # fmt: skip
    done = desk.record("--key", str(other), "--signer", "new@example.org")
    assert done.exit_code == 2
    line = next(at.strip() for at in done.output.splitlines() if "new@example.org names" in at)
    (desk.chain / "signers").write_text((desk.chain / "signers").read_text() + line + "\n")
    refused = desk.bundle(desk.folder / "out")
    assert (refused.exit_code, "`loopback evidence record` once more" in refused.output) == (
        1,
        True,
    )
    assert desk.record("--key", str(other), "--signer", "new@example.org").exit_code == 0
    desk.key = other
    assert desk.bundle(desk.folder / "out").exit_code == 0
    assert run("evidence", "verify", str(desk.folder / "out")).exit_code == 0


def test_a_chain_that_does_not_hold_is_not_continued_bundled_or_told(desk):
    for _ in range(2):
        assert desk.record().exit_code == 0
    path = desk.links()[0] / "results.json"
    path.write_bytes(path.read_bytes().replace(b"pass", b"past", 1))
    for done in (desk.record(), desk.bundle(desk.folder / "out"),
                 run("audit", "log", "--chain", str(desk.chain))):  # fmt: skip
        assert done.exit_code == 1
        assert "results.json is the one of the manifest" in done.output
    assert not (desk.folder / "out").exists()


def test_a_destroyed_stack_is_recorded_as_gone(desk):
    empty = '{"version": 3, "deployment": {"manifest": {}}}'
    asked = ("--stack", "prod")
    assert desk.record(*asked, text=empty).exit_code == 2
    assert desk.record(*asked).exit_code == 0
    other = desk.record("--stack", "test", text=empty)
    assert (other.exit_code, "no resource" in other.output) == (2, True)
    assert desk.record(*asked, text=empty).exit_code == 0
    before, after = manifests(desk)
    assert after["changes"]["deleted"] == before["changes"]["created"]
    assert (after["state"]["resources"], after["redundancy"]) == (0, None)
    assert desk.bundle(desk.folder / "out").exit_code == 0
    assert run("evidence", "verify", str(desk.folder / "out")).exit_code == 0


def test_two_records_at_once_are_one_after_the_other(desk):
    assert desk.record().exit_code == 0
    other = os.open(desk.chain, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = desk.record()
    finally:
        os.close(other)
    assert (done.exit_code, "another run writes it" in done.output) == (1, True)
    assert desk.record().exit_code == 0
    assert [m["number"] for m in manifests(desk)] == [1, 2]


def test_operations_that_were_interrupted_are_told(desk):
    tree = json.loads(state())
    row = tree["deployment"]["resources"][-1]
    tree["deployment"]["pending_operations"] = [{"resource": row, "type": "creating"}]
    assert desk.record(text=json.dumps(tree)).exit_code == 0
    assert desk.bundle(desk.folder / "out").exit_code == 0
    summary = (desk.folder / "out/management-summary.md").read_text()
    assert "1 operations were interrupted" in summary


def test_a_clock_that_went_back_is_told_and_records_nothing(desk):
    assert desk.record().exit_code == 0
    desk.now = NOW - timedelta(days=1)
    done = desk.record()
    assert (done.exit_code, "not made in the future" in done.output) == (1, True)
    assert len(desk.links()) == 1


@pytest.mark.parametrize("verb", ["record", "bundle"])
def test_what_is_interrupted_leaves_nothing_half(desk, monkeypatch, verb):
    assert desk.record().exit_code == 0
    before = sorted(desk.folder.rglob("*"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed)
        done = desk.record() if verb == "record" else desk.bundle(desk.folder / "out")
    assert done.exit_code != 0
    assert sorted(desk.folder.rglob("*")) == before
    (desk.chain / ".partial-left").mkdir()  # of a run that had no time to clear up
    assert desk.record().exit_code == 0
    assert not list(desk.chain.glob(".partial-*"))
    (desk.folder / "out").mkdir()
    assert desk.bundle(desk.folder / "out").exit_code == 2


def test_what_a_killed_bundle_left_goes_with_the_next_and_one_that_is_written_stays(desk):
    assert desk.record().exit_code == 0
    killed, written = (desk.folder / f".partial-out-{name}" for name in ("killed", "written"))
    for left in (killed, written):
        left.mkdir()
        (left / "bundle.json").write_text("half")
    other = os.open(written, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert desk.bundle(desk.folder / "out").exit_code == 0
    finally:
        os.close(other)
    assert (killed.exists(), written.exists()) == (False, True)


def test_a_key_that_only_an_agent_has_signs(desk, monkeypatch):
    socket, public = desk.folder / "agent", desk.folder / "key.pub"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert agent.poll() is None
            time.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", str(desk.key)], check=True, timeout=30)
        desk.key.unlink()
        desk.key = public
        assert desk.record().exit_code == 0
    finally:
        agent.terminate()
        agent.wait(30)
    done = desk.record()
    assert (done.exit_code, "ssh-keygen could not use it" in done.output) == (2, True)
    assert len(desk.links()) == 1
