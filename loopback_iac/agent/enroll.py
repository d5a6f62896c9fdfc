"""First contact: check the system, install what is missing without starting it, make the keys,
restrict the deploy key.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import platform
import re
import sys
from typing import Any

from .allowed import ROLES
from .authorized import restrict_key
from .bundle import parse_json
from .files import read_on_disk, replace
from .keys import KEYS, epochs_kept, forget_keys, wireguard_key
from .packages import install_packages, parse_packages
from .packing import compile_agent, compiled_path, is_whole
from .programs import active_units, must
from .refusal import RefusedError
from .state import AGENT, ENROLLED, FORMAT, LIBRARY

AGENTS = "/usr/local/lib/loopback"
# not `agent-...`, which is what agents are called here
_PROGRAM = re.compile(r"(?!agent\b)[a-z]+(-[a-z]+)*")

_RECOVER = """\
[Unit]
Description=Loopback: return to the last confirmed set after a cut-off apply
DefaultDependencies=no
RequiresMountsFor=/var/lib/loopback /etc /run /usr/local
After=local-fs.target systemd-remount-fs.service dbus.socket
Before=network-pre.target loopback-sysctl.service loopback-nftables.service loopback-routes.service
Before=ssh.service bird.service haproxy.service chrony.service loopback-watch.service
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/loopback-agent recover boot

[Install]
WantedBy=sysinit.target
"""
_HEAL_PATH = """\
[Unit]
Description=Loopback: the watch asks for a tunnel to be set up again

[Path]
PathExistsGlob=/run/loopback/gate/heal-*
Unit=loopback-heal.service

[Install]
WantedBy=multi-user.target
"""
_HEAL = """\
[Unit]
Description=Loopback: set up tunnels again whose interface vanished
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/loopback-agent heal
"""
_ADOPTING = ("arbiter", "gateway", "hold", "watch")
UNITS = {
    "loopback-recover.service": _RECOVER,
    "loopback-heal.path": _HEAL_PATH,
    "loopback-heal.service": _HEAL,
}


def enroll(content: bytes, agent: bytes) -> dict[str, Any]:
    """Make a bare Debian host ready for its first apply; doing it twice changes nothing.

    In:  the request on stdin; the bytes of this very agent.
    Out: the result line: stable facts only.
    Raises: RefusedError; before the first change for a wrong system or a request that does not fit.
    """
    request = parse_json(content, "enroll request")
    host, role = str(request.get("host")), request.get("role")
    if role not in ROLES:
        raise RefusedError(f"role {role!r}; {' and '.join(ROLES)} exist")
    system = check_system(request.get("debian") or ["13"])
    if os.geteuid() != 0:
        raise RefusedError(
            "enroll needs root", fix="log in as root, or let the login user be root for this host"
        )
    packages = parse_packages(request.get("packages") or [])
    programs = _parse_programs(request.get("programs") or {})
    epochs = [int(epoch) for epoch in request.get("key_epochs") or []]
    try:
        # first, because it fetches before it changes anything: refused, the host is as it was
        installed = install_packages(packages)
        if installed:
            sys.stderr.write(f"loopback-agent enroll: installed {' '.join(installed)}\n")
        install_agent(agent)
        _install_programs(programs)
        _make_folders()
        keys = {str(epoch): wireguard_key(epoch) for epoch in sorted(epochs)}
        forget_keys({*epochs, *epochs_kept()})  # of a rotation that was given up
        _install_units()
        replace(ENROLLED, _enrolled(host, role), 0o644)
        if request.get("deploy_key"):
            restrict_key(str(request["deploy_key"]), role)
    except OSError as failed:
        raise RefusedError(
            f"enroll: {failed}",
            fix="mend the cause and enroll again",
            host="enrolled in part, serving as before",
        ) from failed
    return {
        "format": FORMAT,
        "host": host,
        "agent": hashlib.sha256(agent).hexdigest(),
        "os": system,
        "machine": platform.machine(),
        "wireguard": keys,
    }


def _enrolled(host: str, role: str) -> bytes:
    import json

    return json.dumps({"host": host, "role": role}, sort_keys=True).encode()


def check_system(wanted: list[str]) -> str:
    """Refuse what the rendered files were not written for.

    Out: "debian 13".
    Raises: RefusedError saying what was found.
    """
    found: dict[str, str] = {}
    try:
        with open("/etc/os-release", encoding="utf-8") as stream:
            for line in stream:
                name, equals, value = line.strip().partition("=")
                if equals:
                    found[name] = value.strip("\"'")
    except FileNotFoundError:
        found = {"PRETTY_NAME": "a system without /etc/os-release"}
    if found.get("ID") != "debian" or found.get("VERSION_ID") not in wanted:
        name = found.get("PRETTY_NAME") or f"{found.get('ID')} {found.get('VERSION_ID')}"
        raise RefusedError(
            f"this host runs {name}; the fleet needs Debian {' or '.join(wanted)}",
            fix=f"install Debian {wanted[-1]} on it",
            host="unchanged",
        )
    return f"{found['ID']} {found['VERSION_ID']}"


def install_agent(agent: bytes) -> None:
    """Put this agent beside older ones and point the one name everybody calls at it."""
    path = f"{AGENTS}/agent-{hashlib.sha256(agent).hexdigest()[:12]}.pyz"
    found = read_on_disk(path)
    if found is None or found.content != agent or found.mode != 0o755:
        replace(path, agent, 0o755)
    with contextlib.suppress(OSError):  # without room for it, starts take longer
        _keep_compiled(agent, path)
    before = os.readlink(AGENT) if os.path.islink(AGENT) else ""
    if before == path:
        return
    os.makedirs(os.path.dirname(AGENT), exist_ok=True)
    waiting = f"{AGENT}.loopback-new"
    if os.path.lexists(waiting):
        os.unlink(waiting)
    os.symlink(path, waiting)
    os.replace(waiting, AGENT)
    for name in os.listdir(AGENTS):
        # what still runs from the one before loads parts of itself later
        stem, dot, _ = f"{AGENTS}/{name}".partition(".pyz")
        if dot and name.startswith("agent-") and stem + dot not in (path, before):
            os.unlink(f"{AGENTS}/{name}")
    # the watch adopts its gates, the arbiter its ruling, a gateway its addresses: nothing is
    # withdrawn, nothing moved
    running = active_units(*(f"loopback-{name}" for name in _ADOPTING))
    for unit in sorted(running):
        must("systemctl", "restart", unit)


def _parse_programs(given: Any) -> dict[str, bytes]:  # noqa: ANN401 - JSON
    """What units of the bundle start beside the agent, by the path it is kept at."""
    found = {}
    for name, text in given.items() if isinstance(given, dict) else [("", given)]:
        if not _PROGRAM.fullmatch(name) or not isinstance(text, str):
            raise RefusedError(f"the enroll request has a program {name!r} that cannot be kept")
        try:
            found[f"{AGENTS}/{name}.pyz"] = base64.b64decode(text, validate=True)
        except binascii.Error as broken:
            raise RefusedError(f"the program {name} in the request is cut: {broken}") from broken
    return found


def _install_programs(programs: dict[str, bytes]) -> None:
    """Each whole, in place of the one before; what the request no longer has goes."""
    for path, content in programs.items():
        found = read_on_disk(path)
        if found is None or found.content != content:
            replace(path, content, 0o755)
    for name in os.listdir(AGENTS):
        path = f"{AGENTS}/{name}"
        if _PROGRAM.fullmatch(name.removesuffix(".pyz")) and path not in programs:
            os.unlink(path)


def _keep_compiled(agent: bytes, path: str) -> None:
    """Its bytecode, made once: what runs reads on in the archive that it knows."""
    compiled = compiled_path(path)
    found = read_on_disk(compiled)
    if found is None or not is_whole(found.content):
        replace(compiled, compile_agent(agent, path), 0o644)


def _make_folders() -> None:
    for path, mode in ((LIBRARY, 0o755), ("/etc/loopback", 0o755), (KEYS, 0o700)):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)


def _install_units() -> None:
    changed = False
    for name, text in UNITS.items():
        path = f"/etc/systemd/system/{name}"
        found = read_on_disk(path)
        if found is None or found.content != text.encode():
            replace(path, text.encode(), 0o644)
            changed = True
    if changed:
        must("systemctl", "daemon-reload")
    must("systemctl", "enable", "--quiet", "loopback-recover.service", "loopback-heal.path")
    must("systemctl", "start", "loopback-heal.path")
