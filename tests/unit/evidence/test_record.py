"""`loopback evidence record|bundle` and `loopback audit log`, on states as they are exported."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from loopback_iac.controls.tree import MARK, SECRET
from loopback_iac.evidence.canonical import canonical, sha256
from tests.unit.controls.passing import CANARY, WISH
from tests.unit.evidence.states import NOW, run, state, urn
from tests.unit.proof.fleets import PLACES, two

PAGE = Path(__file__).parents[3] / "docs/evidence.md"
WHO = {"GIT_AUTHOR_NAME": "A. Author", "GIT_AUTHOR_EMAIL": "author@example.org",
       "GIT_COMMITTER_NAME": "C. Committer", "GIT_COMMITTER_EMAIL": "edge@example.org"}  # fmt: skip


def manifests(desk):
    return [json.loads((link / "manifest.json").read_text()) for link in desk.links()]


def test_each_record_names_the_one_before_and_what_changed_since(made):
    first, second, third = manifests(made)
    assert [m["number"] for m in (first, second, third)] == [1, 2, 3]
    assert [m["previous"] for m in (first, second, third)] == [
        None,
        sha256(canonical(first)),
        sha256(canonical(second)),
    ]
    zone = urn("hcloud:index/zone:Zone", "second")
    assert len(first["changes"]["created"]) == first["state"]["resources"]
    assert second["changes"] == {"created": [zone], "changed": [], "deleted": []}
    assert third["changes"] == {"created": [], "changed": [zone], "deleted": []}
    assert third["zones"].keys() == {"example.net"}
    assert third["drills"] == [
        {"drill": "silent-pop", "at": "2026-11-20T09:00:00+00:00", "held": True}
    ]
    assert third["told"]["approvers"] == ["B. Boss"]


def test_the_digest_of_a_state_is_one_that_anybody_computes(desk):
    assert desk.record().exit_code == 0
    deployment = json.loads(state())["deployment"]
    plain = {"pending_operations": [], "resources": deployment["resources"]}
    assert manifests(desk)[0]["state"]["sha256"] == sha256(canonical(plain))
    touched = json.loads(state())
    for row in touched["deployment"]["resources"]:
        row["modified"] = "2026-11-21T11:00:00Z"
    assert desk.record(text=json.dumps(touched)).exit_code == 0
    assert manifests(desk)[1]["changes"] == {"created": [], "changed": [], "deleted": []}


def test_the_same_chain_gives_the_same_bundle_byte_by_byte(made, tmp_path):
    done = made.bundle(tmp_path / "again")
    assert done.exit_code == 0, done.output
    names = {p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*")}
    assert names == {p.relative_to(made.folder / "bundle") for p in
                     (made.folder / "bundle").rglob("*")}  # fmt: skip
    for name in names:
        one, other = tmp_path / "again" / name, made.folder / "bundle" / name
        assert one.is_dir() or one.read_bytes() == other.read_bytes(), name
    verifier = sha256((tmp_path / "again/verify.py").read_bytes())
    assert f"verify.py {verifier}" in done.output


def test_no_secret_of_the_state_is_in_a_bundle_or_a_chain(made):
    """The state has the word in marked fields (there as ciphertext) and in fields nobody marked."""
    assert CANARY in state()
    for folder in (made.folder / "bundle", made.chain):
        for path in folder.rglob("*"):
            text = b"" if path.is_dir() else path.read_bytes()
            assert CANARY.encode() not in text, path
            assert b"c2VhbGVk" not in text, path  # nor the ciphertext


def test_a_state_that_shows_secrets_is_refused_and_nothing_of_it_is_repeated(desk):
    shown = json.loads(state())
    shown["deployment"]["resources"][0]["inputs"] = {
        "password": {MARK: SECRET, "plaintext": json.dumps(CANARY)}
    }
    done = desk.record(text=json.dumps(shown))
    assert (done.exit_code, "in clear" in done.output) == (2, True)
    assert CANARY not in done.output
    assert not desk.links()


def test_thresholds_register_and_exceptions_are_those_of_the_pack(desk):
    names = {"RED-04": "redundancy-proved", "SUP-01": "suppliers-are-registered",
             "JUR-02": "third-country-control-is-allowed-by-name"}  # fmt: skip
    config = {names[key]: dict(said) for key, said in WISH.params.items()}
    dates = {"created": "2026-11-01", "expires": "2026-12-01", "last_review": "2026-11-20"}
    config["pops-in-several-countries"] = {"enforcementLevel": "mandatory", "exceptions": [{
        "id": "EXC-1", "rule": "RED-03", "urn": urn("loopback-iac:index:AnycastEdge", "edge"),
        "reason": "the second country begins in January", "risk": "R-1", "owner": "edge",
        "compensating_control": "a drill", "author": "A", "approver": "B", "ticket": "T", **dates,
    }]}  # fmt: skip
    file = desk.folder / "policy.json"
    file.write_text(json.dumps(config))
    edits = state(("par1", "host|country", "DE"))
    done = desk.record("--policy-pack-config", str(file), text=edits)
    assert done.exit_code == 0, done.output
    (link,) = desk.links()
    results = json.loads((link / "results.json").read_text())
    outcomes = {each["id"]: each["outcome"] for each in results["controls"]}
    assert (outcomes["RED-03"], outcomes["SUP-01"], outcomes["DNS-01"]) == (
        "excepted", "pass", "pass")  # fmt: skip
    todo = {each["control"]: each["exception"] for each in results["plan_of_action"]}
    assert todo == {"RED-03": "EXC-1", "RED-04": ""}  # one country is a cut as well
    suppliers = json.loads((link / "suppliers.json").read_text())["suppliers"]
    entries = {each["supplier"]: each for each in suppliers}
    assert entries["hetzner"]["entry"]["legal_name"] == "Example GmbH"
    assert (entries["hetzner"]["used"], entries["elsewhere"]["used"]) == (True, False)
    file.write_text('{"no-such-control": {}, "redundancy-proved": {"survive": 1}}')
    refused = desk.record("--policy-pack-config", str(file))
    assert refused.exit_code == 2
    assert "there is no such control" in refused.output
    assert "survive: it is no parameter" in refused.output


def test_who_changed_what_when_comes_from_git_and_the_chain(desk, monkeypatch):
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)
    program = desk.folder / "program"
    program.mkdir()
    (program / "Pulumi.yaml").write_text("name: edge\n")
    desk.chain = program / "evidence"  # kept beside the program, and no change of it
    for argv in (["init", "-q"], ["add", "Pulumi.yaml"], ["commit", "-qm", "Add the edge"]):
        subprocess.run(["git", "-C", str(program), *argv], check=True, timeout=30)
    assert (
        desk.record("-C", str(program), git=True, text=state(("second", "", None))).exit_code == 0
    )
    (program / "Pulumi.yaml").write_text("name: edge\nruntime: python\n")
    asked = ("-C", str(program), "--reason", "it burned", "--change", "MR 7", "--approved-by", "B")
    assert desk.record(*asked, git=True).exit_code == 0
    told = run("audit", "log", "--chain", str(desk.chain), "--json")
    assert told.exit_code == 0, told.output
    first, second = json.loads(told.stdout)
    assert (first["author"], first["committer"]) == (
        "A. Author <author@example.org>", "C. Committer <edge@example.org>")  # fmt: skip
    head = subprocess.run(["git", "-C", str(program), "rev-parse", "HEAD"],
                          capture_output=True, text=True, check=True, timeout=30)  # fmt: skip
    assert first["commit"] == head.stdout.strip()
    assert (first["dirty_paths"], second["dirty_paths"]) == (0, 1)
    assert (first["signer"], second["approvers"]) == ("edge@example.org", ["B"])
    shown = run("audit", "log", "--chain", str(desk.chain)).stdout
    for words in ("A. Author", "1 created: Zone second", "it burned; MR 7; Add the edge",
                  "2026-11-21 12:02:00", "+ 1 uncommitted", "approved by B"):  # fmt: skip
        assert words in shown
    only = run("audit", "log", "--chain", str(desk.chain), "--of", "::second", "--json")
    assert [row["number"] for row in json.loads(only.stdout)] == [2]


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


def test_who_answers_for_what_no_program_checks_is_in_the_record(desk):
    people = desk.folder / "people.yaml"
    people.write_text("SUP-02: {owner: build team, reviewed: 2026-07-01}")
    assert desk.record("--people", str(people)).exit_code == 0
    results = json.loads((desk.links()[0] / "results.json").read_text())
    (found,) = next(c["findings"] for c in results["controls"] if c["id"] == "SUP-02")
    assert (found["outcome"], found["owner"], found["due"]) == (
        "manual",
        "build team",
        "2026-09-29",
    )
    assert desk.bundle(desk.folder / "out").exit_code == 0
    summary = (desk.folder / "out/management-summary.md").read_text()
    assert "| build team | 2026-09-29 (past) |" in summary
    assert "| nobody named | never looked |" in summary
    people.write_text("SUP-99: {owner: x}\nSUP-02: {reviewed: soon}")
    done = desk.record("--people", str(people))
    assert done.exit_code == 2
    for words in ("there is no such control", "SUP-02.owner", "SUP-02.reviewed"):
        assert words in done.output


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


def check_page(home, program, patch):
    """Every command that docs/evidence.md prints, as it is printed, but without a passphrase."""
    (home / ".ssh").mkdir()
    patch.setenv("HOME", str(home))
    patch.setattr("loopback_iac.cli.chain.now_utc", lambda: datetime.now(UTC))
    patch.setenv("LOOPBACK_STACK", "dev")
    patch.chdir(program)
    for argv in (["init", "-q"], ["add", "Pulumi.yaml"], ["commit", "-qm", "Add the edge"]):
        subprocess.run(["git", *argv], check=True, timeout=30)
    (block,) = re.findall(r"^```\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    for line in block.splitlines():
        words = [word.replace("~", str(home)) for word in shlex.split(line)]
        if words[0] == "loopback":
            done = run(*words[1:])
            assert done.exit_code == 0, (line, done.output)
        else:
            more = ["-q", "-N", ""] if words[0] == "ssh-keygen" else []
            subprocess.run([*words, *more], check=True, timeout=60)


PROGRAM = f"""
import pulumi

for name, place in {PLACES!r}.items():
    pulumi.ComponentResource("loopback-iac:index:BareMetalHost", name, place)
pulumi.ComponentResource("loopback-iac:index:AnycastEdge", "edge", {{"fleet": {two()!r}}})
pulumi.export("word", pulumi.Output.secret("{CANARY}"))
"""


def test_the_state_of_the_embedded_engine_and_the_commands_of_the_page(desk, monkeypatch):
    """The same certificate as `loopback prove --state`, the state's secret nowhere."""
    program = desk.folder / "program"
    program.mkdir()
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)
    (program / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "t", "runtime": "python"}))
    (program / "Pulumi.dev.yaml").write_text("config: {}\n")
    (program / "__main__.py").write_text(PROGRAM)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse battery staple")
    asked = ("evidence", "record", "-C", str(program), "--chain", str(desk.chain), "--no-git",
             "--key", str(desk.key), "--signer", "edge@example.org")  # fmt: skip
    nothing = run(*asked)
    assert (nothing.exit_code, "no resource" in nothing.output) == (2, True)
    assert run("up", "-C", str(program), "--yes").exit_code == 0
    done = run(*asked, "--json")
    assert done.exit_code == 0, done.output
    (link,) = desk.links()
    assert json.loads(done.stdout)["redundancy"]["met"] is True
    proved = run("prove", "-C", str(program), "--state", "--json")
    assert json.loads((link / "certificate.json").read_text()) == json.loads(proved.stdout)
    assert all(CANARY not in path.read_text() for path in link.iterdir())
    with monkeypatch.context() as patch:
        check_page(desk.folder, program, patch)
    given = desk.folder / "given.json"
    given.write_text(proved.stdout)
    assert run(*asked, "--certificate", str(given)).exit_code == 0
    given.write_text(proved.stdout.replace('"survives": 1', '"survives": 2'))
    wrong = run(*asked, "--certificate", str(given))
    assert (wrong.exit_code, "does not hold" in wrong.output) == (2, True)
