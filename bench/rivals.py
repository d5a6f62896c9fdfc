"""Ansible and pyinfra beside us: what they are given, and how they are called.

Each has a virtual environment of its own, from a lock of its own. They get the very files that our
agent put on each host, and reload what changed. They neither drain, prove, nor roll back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

if TYPE_CHECKING:
    from bench.standing import Standing

HERE = Path(__file__).parent / "peers"
_OWN_TASK = {"/etc/haproxy/haproxy.cfg", "/etc/bird/bird.conf", "/etc/loopback/nftables.conf"}


class Peer(NamedTuple):
    """How a tool is called; `found` tells from its output whether it saw a difference."""

    name: str
    look: list[str]
    change: list[str]
    folder: Path


def ensure_environment(name: str) -> Path:
    """The tool's virtual environment, made from its lock unless it is there."""
    cache = Path(os.environ.get("LOOPBACK_CACHE") or "/var/cache/loopback")
    made = cache / f"peer-{name}"
    mark, lock = made / "lock", HERE / f"{name}.lock"
    if not mark.exists() or mark.read_text() != lock.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(made)], check=True)
        words = ["install", "-q", "--disable-pip-version-check", "--require-hashes", "-r"]
        subprocess.run([str(made / "bin/pip"), *words, str(lock)], check=True)
        mark.write_text(lock.read_text())
    return made / "bin"


def read_trees(fleet: Standing, hosts: dict[str, dict], folder: Path) -> dict[str, list[dict]]:
    """Every host's files as our agent put them there, laid out below `folder`.

    Out: by host: path, owner, group, mode of each file.
    """
    listed = {}
    for name, facts in hosts.items():
        kept = f"/var/lib/loopback/sets/{facts['digest']}.json"
        files = json.loads(fleet.lab.exec(name, ["cat", kept]).stdout)["files"]
        listed[name] = []
        for path, file in sorted(files.items()):
            place = folder / name / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(file["text"])
            mode = f"{file['mode']:04o}"
            entry = {"path": path, "owner": file["owner"], "group": file["group"], "mode": mode}
            listed[name].append(entry)
    return listed


def make_key(fleet: Standing, hosts: dict[str, dict], folder: Path) -> Path:
    """A key of their own: the deploy key runs our agent's verbs only."""
    key = folder / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(key)], check=True
    )
    line = (folder / "key.pub").read_text()
    for name in hosts:
        fleet.lab.exec(name, ["tee", "-a", "/root/.ssh/authorized_keys"], text=line)
    return key


def prepare(
    fleet: Standing, hosts: dict[str, dict], key: Path, folder: Path, tree: str
) -> list[Peer]:
    """Write inventories for one set of files.

    In: tree, a folder below `folder` as `read_trees` filled it.
    """
    listed = json.loads((folder / tree / "files.json").read_text())
    known = str(fleet.lab.paths.known_hosts)
    ansible = ensure_environment("ansible") / "ansible-playbook"
    pyinfra = ensure_environment("pyinfra") / "pyinfra"
    inventory = {
        name: {
            "ansible_host": facts["address"],
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={known} -o IdentitiesOnly=yes",
            "role": facts["role"],
            "tree": str(folder / tree / name),
            "rest": [e for e in listed[name] if e["path"] not in _OWN_TASK],
        }
        for name, facts in hosts.items()
    }
    place = folder / f"{tree}-inventory.yml"
    place.write_text(yaml.safe_dump({"all": {"hosts": inventory}}))
    entries = [
        (
            facts["address"],
            {
                "ssh_user": "root",
                "ssh_key": str(key),
                "ssh_known_hosts_file": known,
                "ssh_strict_host_key_checking": "yes",
                "role": facts["role"],
                "tree": str(folder / tree / name),
                "entries": listed[name],
            },
        )
        for name, facts in hosts.items()
    ]
    (folder / f"{tree}_inventory.py").write_text(f"hosts = {entries!r}\n")
    play = [str(ansible), "-i", str(place), str(HERE / "ansible/site.yml")]
    deploy = [str(folder / f"{tree}_inventory.py"), str(HERE / "pyinfra/deploy.py")]
    return [
        Peer("ansible", [*play, "--check"], play, HERE / "ansible"),
        Peer("pyinfra", [str(pyinfra), "--dry", *deploy], [str(pyinfra), "-y", *deploy], folder),
    ]
