"""What a machine in somebody's rack runs once, so that a fleet can reach it: it makes its WireGuard
keys, lets the deploy key in through the tunnels only, dials one PoP, and says its public halves.

`loopback join` sends it as one line of shell, so it stands alone: it imports nothing of the agent,
which arrives later, by `enroll`. Nothing in the line is secret, and nothing it prints is.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from typing import Any, NoReturn

KEYS = "/etc/loopback/keys"
ENROLLED = "/var/lib/loopback/enrolled.json"
AUTHORIZED = "/root/.ssh/authorized_keys"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"


def join(request: dict[str, Any]) -> str:
    """Make this machine ready to be managed through a PoP; twice is as good as once.

    In:  as `loopback join` renders it: host, deploy_key, sources, endpoint, tunnels, worker.
    Out: what goes into the stack's configuration.
    Raises: SystemExit with what is wrong; until the checks are done the machine is unchanged.
    """
    _check(request)
    if shutil.which("wg-quick") is None:
        _run("apt-get", "-qq", "--yes", "--no-install-recommends", "install", "wireguard-tools",
             DEBIAN_FRONTEND="noninteractive")  # fmt: skip
    keys = {epoch: _key(epoch) for epoch in request["worker"]["join_keys"]}
    _let_in(request["deploy_key"], request["sources"])
    for tunnel, text in request["tunnels"].items():
        _write(f"/etc/wireguard/{tunnel}.conf", text, 0o600)
        _run("systemctl", "enable", "--quiet", f"wg-quick@{tunnel}")
        _run("systemctl", "restart", f"wg-quick@{tunnel}")
    return render_entry(request, keys)


def render_entry(request: dict[str, Any], keys: dict[str, str]) -> str:
    """The machine and the worker as the stack's configuration has them: YAML, a line each."""
    own, family = _own_address(request["endpoint"])
    with open(HOST_KEY, encoding="ascii") as stream:
        host_key = " ".join(stream.read().split()[:2])
    with open("/etc/machine-id", encoding="ascii") as stream:
        instance = stream.read().strip()
    machine = {family: own, "host_key": host_key, "instance_id": instance}
    worker = request["worker"] | {"join_keys": keys}
    host = request["host"]
    return f"machines:\n  {host}: {json.dumps(machine)}\nworkers:\n  {host}: {json.dumps(worker)}\n"


def _refuse(what: str, fix: str) -> NoReturn:
    sys.exit(f"loopback join: {what}\n  fix: {fix}\n  machine: unchanged")


def _check(request: dict[str, Any]) -> None:
    if os.geteuid() != 0:
        _refuse("it needs root", "put sudo before python3 in the line")
    with open("/etc/os-release", encoding="utf-8") as stream:
        found = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', stream.read(), re.MULTILINE))
    if (found.get("ID"), found.get("VERSION_ID")) != ("debian", "13"):
        _refuse(f"this machine runs {found.get('PRETTY_NAME')}", "install Debian 13 on it")
    if not os.path.exists(HOST_KEY):
        _refuse(f"there is no {HOST_KEY}", "install openssh-server; ssh-keygen -A makes the key")
    if os.path.exists(ENROLLED):
        with open(ENROLLED, encoding="utf-8") as stream:
            host = json.load(stream)["host"]
        if host != request["host"]:
            _refuse(
                f"this machine is {host} of a fleet already; the line is for {request['host']}",
                f"paste it on the right machine, or take {host} out of its fleet first",
            )


def _run(*argv: str, stdin: str = "", **environment: str) -> str:
    done = subprocess.run(
        argv,
        input=stdin,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        sys.exit(
            f"loopback join: `{' '.join(argv)}` failed ({done.returncode}): {said}\n"
            "  fix: mend the cause and paste the line again\n"
            "  machine: joined in part; nothing that ran before was touched"
        )
    return done.stdout


def _write(path: str, text: str, mode: int) -> None:
    """Whole or not at all, and never readable by others in between."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    draft = f"{path}.loopback-new"
    if os.path.lexists(draft):
        os.unlink(draft)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
    os.replace(draft, path)


def _key(epoch: str) -> str:
    """The public half; the private one is born here and stays, as `enroll` finds it later."""
    path = f"{KEYS}/wireguard-{int(epoch)}.key"
    os.makedirs(KEYS, mode=0o700, exist_ok=True)
    if not os.path.exists(path):
        _write(path, _run("wg", "genkey"), 0o600)
    with open(path, encoding="ascii") as stream:
        public = _run("wg", "pubkey", stdin=stream.read()).strip()
    base64.b64decode(public, validate=True)
    return public


def _let_in(deploy_key: str, sources: list[str]) -> None:
    """The deploy key may come out of the tunnels; `enroll` keeps that when it restricts the key."""
    blob = deploy_key.split()[1]
    lines = []
    if os.path.exists(AUTHORIZED):
        with open(AUTHORIZED, encoding="utf-8", errors="surrogateescape") as stream:
            lines = stream.read().splitlines()
    if any(blob in line.split() for line in lines):
        return  # whoever let it in had reasons of their own
    os.makedirs(os.path.dirname(AUTHORIZED), mode=0o700, exist_ok=True)
    lines.append(f'from="{",".join(sources)}" {deploy_key}')
    _write(AUTHORIZED, "\n".join(lines) + "\n", 0o600)


def _own_address(endpoint: str) -> tuple[str, str]:
    """The address by which this machine dials the PoP, and its family's name in a stack."""
    family = socket.AF_INET6 if ":" in endpoint else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as talk:
        talk.connect((endpoint, 9))  # UDP: nothing is sent
        return talk.getsockname()[0], "ipv6" if family == socket.AF_INET6 else "ipv4"
