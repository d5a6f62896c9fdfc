"""Templates of CI: their shell runs, every verb and flag of ours exists, no secret in commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from loopback_iac.cli import app

HERE = Path(__file__).parents[2] / "docs/ci"
STEPS = {
    "check": ["setup", "plan", "certificate"],
    "apply": ["setup", "up", "record", "probe"],
    "watch": ["setup", "probe"],
}
RECORDER = """#!{python}
import json, os, sys
with open(os.environ["RECORD"], "a") as record:
    print(json.dumps(sys.argv), file=record)
sys.exit(int(os.environ.get("ENDS_WITH", 0)))
"""


def jobs(forge):
    tree = yaml.safe_load((HERE / f"{forge}.yaml").read_text())
    return tree["jobs"] if "jobs" in tree else {name: tree[name] for name in tree["stages"]}


def lines(job):
    return [step["run"] for step in job["steps"]] if "steps" in job else job["script"]


@pytest.mark.parametrize("forge", ["github", "gitlab", "forgejo"])
def test_every_forge_does_the_same_steps(forge):
    found = {
        name: [
            word for line in lines(job) for word in re.findall(r"^bash ci/fleet.sh (\w+)$", line)
        ]
        for name, job in jobs(forge).items()
    }
    assert found == STEPS
    for line in (line for job in jobs(forge).values() for line in lines(job)):
        subprocess.run(["bash", "-n", "-c", line], check=True)
        assert not re.search(r"secrets\.|PASSPHRASE|github\.token", line)


@pytest.mark.parametrize("forge", ["github", "forgejo"])
def test_secrets_are_given_to_the_steps_that_need_them_and_nobody_elses_code_runs(forge):
    for name, job in jobs(forge).items():
        assert "env" not in job
        for step in job["steps"]:
            assert "uses" not in step
            needs = step["run"].split()[-1] in ("up", "probe")
            assert ("secrets." in json.dumps(step.get("env", {}))) == needs, (name, step)


@pytest.fixture
def recorded(tmp_path):
    """The script beside a fleet's files, with programs that write down how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("loopback", "python3"):
        (folder / name).write_text(RECORDER.format(python=sys.executable))
        (folder / name).chmod(0o755)
    zones = tmp_path / "fleet/zones"
    zones.mkdir(parents=True)
    for name in ("example.net", "example.org"):
        (zones / f"{name}.zone").write_text("")
    (tmp_path / "fleet/servers").write_text(
        "# both\nns1.example.net/fra1=192.0.2.53\nns2=[2001:db8::53]:53\n"
    )
    # the virtual environment that setup makes comes first; here it holds what writes down
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/bin").symlink_to(folder)

    def call(step, **env):
        record = tmp_path / "record"
        record.unlink(missing_ok=True)
        kept = {
            "PATH": os.environ["PATH"], "RECORD": str(record), "LOOPBACK_STATE_DIR": "/s",
            "EVIDENCE_CHAIN": "/c", "EVIDENCE_KEY": "/k.pub", "CHANGE": "",
        } | env  # fmt: skip
        done = subprocess.run(
            ["bash", str(HERE / "fleet.sh"), step],
            cwd=tmp_path, env=kept, capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines = record.read_text().splitlines() if record.exists() else []
        return done, [[Path(word[0]).name, *word[1:]] for word in map(json.loads, lines)]

    return call


def named(words):
    """The command that words begin with, and what is left of them."""
    command, path, rest = typer.main.get_command(app), [], list(words)
    while hasattr(command, "commands"):
        path.append(rest.pop(0))
        command = command.commands[path[-1]]
    return command, path, rest


def understood(words):
    """The verb of a command line; its own parser refuses a flag that it does not have."""
    command, path, rest = named(words)
    command.make_context(command.name, rest)
    return " ".join(path)


def test_the_commands_exist_with_those_flags(recorded):
    wanted = {
        "plan": ["plan"],
        "certificate": ["prove"],
        "up": ["plan", "up"],
        "probe": ["drift", "dns check", "dns check"],
        "record": ["evidence record", "evidence bundle"],
    }
    for step, verbs in wanted.items():
        done, calls = recorded(step)
        assert done.returncode == 0, done.stderr
        assert [understood(argv[1:]) for argv in calls if argv[0] == "loopback"] == verbs
    _, (*_, check) = recorded("probe")
    assert [word for word in check if word.startswith("--server=")] == [
        "--server=ns1.example.net/fra1=192.0.2.53", "--server=ns2=[2001:db8::53]:53",
    ]  # fmt: skip


def test_what_fails_ends_the_step(recorded):
    for step in ("plan", "certificate", "up", "record", "probe"):
        done, calls = recorded(step, ENDS_WITH="1")
        assert done.returncode == 1
        # of the servers all are asked, whatever one says
        assert len(calls) == (3 if step == "probe" else 1)
    for step, name in (("up", "LOOPBACK_STATE_DIR"), ("record", "EVIDENCE_KEY"),
                       ("record", "EVIDENCE_CHAIN")):  # fmt: skip
        done, calls = recorded(step, **{name: ""})
        assert (done.returncode != 0, calls) == (True, [])
    assert recorded("deploy")[0].returncode == 2


@pytest.mark.parametrize("forge", ["github", "forgejo"])
def test_the_checkout_fetches_the_commit(forge, tmp_path):
    git = [
        "git",
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@example.net",
        "-C",
        str(tmp_path / "me/fleet"),
    ]
    subprocess.run(["git", "init", "-q", str(tmp_path / "me/fleet")], check=True)
    for word in ("one", "two"):
        (tmp_path / "me/fleet/file").write_text(word)
        subprocess.run([*git, "add", "file"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", word], check=True)
    first = subprocess.run(
        [*git, "rev-parse", "HEAD~1"], check=True, capture_output=True, text=True
    )
    env = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "TOKEN": "canary",
        "GITHUB_SERVER_URL": f"file://{tmp_path}", "GITHUB_REPOSITORY": "me/fleet",
        "GITHUB_SHA": first.stdout.strip(),
    }  # fmt: skip
    work = tmp_path / "work"
    work.mkdir()
    for job in jobs(forge).values():  # the second time on what the first left
        subprocess.run(["sh", "-ec", lines(job)[0]], cwd=work, env=env, check=True)
        assert (work / "file").read_text() == "one"
    assert not any("canary" in path.read_text(errors="replace")
                   for path in work.rglob("*") if path.is_file())  # fmt: skip


def test_the_page_names_verbs_that_exist():
    page = (HERE.parent / "ci.md").read_text()
    found = {" ".join(named(line.split())[1]) for line in re.findall(r"`loopback ([^`]+)`", page)}
    assert found == {
        "plan",
        "prove",
        "up",
        "drift",
        "dns check",
        "evidence record",
        "evidence bundle",
        "evidence verify",
    }
