"""A project of its own on the lab's workstation, run by the command a user types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)

if TYPE_CHECKING:
    from loopback_iac.lab import Lab

ROOT = Path(__file__).parents[2]
AUTHORIZED = "/root/.ssh/authorized_keys"
OPEN_SSH = "systemctl unmask ssh && ssh-keygen -A && mkdir -p -m 0700 /root/.ssh &&"


def edge_otherwise(folder: Path, *changes: tuple[str, str]) -> Path:
    """The demonstration with texts of its program replaced, as a project in a folder."""
    program = (ROOT / "stacks/edge/__main__.py").read_text()
    for text, other in changes:
        assert program.count(text) == 1, text
        program = program.replace(text, other)
    (folder / "program").mkdir(exist_ok=True)
    (folder / "program/__main__.py").write_text(program)
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    project["main"] = "program"
    project["runtime"]["options"]["virtualenv"] = str(ROOT / ".venv")
    for plugin in project["plugins"]["providers"]:
        plugin["path"] = str(ROOT / plugin["path"])
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    return folder


def open_ssh(lab: Lab, host: str) -> str:
    """A host that nobody managed until now gets what a hoster installs; out: its host key."""
    private = load_ssh_private_key(lab.paths.operator_key.read_bytes(), password=None)
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    says(lab, host, "sh", "-c", f"{OPEN_SSH} echo {public.decode()} > {AUTHORIZED}")
    says(lab, host, "systemctl", "start", "ssh")
    told = says(lab, host, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
    return " ".join(told.split()[:2])


def close_ssh(lab: Lab, host: str) -> None:
    """As the lab delivered it."""
    says(lab, host, "systemctl", "stop", "ssh")
    says(lab, host, "rm", AUTHORIZED)


def says(lab: Lab, host: str, *argv: str) -> str:
    """What a command prints on a host; it has to succeed."""
    done = lab.exec(host, list(argv))
    assert done.returncode == 0, (host, argv, done.stderr)
    return done.stdout.strip()


def run_project(lab: Lab, folder: Path, *words: str) -> tuple[int, str, dict[str, Any]]:
    """In: folder, the project; its configuration and its state lie beside the program.

    Out: exit code, what it said, the result.
    """
    argv = ["loopback", *words, "-C", str(folder), "--json"]
    argv += ["--config-file", str(folder / "config.yaml"), "--state-dir", str(folder / "state")]
    done = lab.exec("ops", argv, timeout_s=240)
    assert done.stdout, done.stderr
    return done.returncode, done.stderr, json.loads(done.stdout)


def change_project(lab: Lab, folder: Path, *words: str) -> tuple[dict[str, Any], list[Any]]:
    """Out: the result, and what was done to which resource, in the order in which it was."""
    code, said, result = run_project(lab, folder, *words)
    assert code == 0, said[-3000:]
    return result, [
        (change["urn"].rsplit("::", 1)[1], change["op"])
        for change in result["changes"]
        if change["op"] != "same"
    ]
