"""From a program in git and its state to `loopback audit log`, by the commands of the page."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import yaml

from tests.unit.controls.passing import CANARY
from tests.unit.evidence.states import run, state
from tests.unit.proof.fleets import PLACES, two

PAGE = Path(__file__).parents[3] / "docs/evidence.md"
WHO = {"GIT_AUTHOR_NAME": "A. Author", "GIT_AUTHOR_EMAIL": "author@example.org",
       "GIT_COMMITTER_NAME": "C. Committer", "GIT_COMMITTER_EMAIL": "edge@example.org"}  # fmt: skip


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
