"""Doing the planned steps: only what changed is reloaded, and nothing that serves is restarted
without need.
"""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING

from .gates import EGRESS_SOCKET, BirdError, configure_bird, drop_foreign_gates
from .haproxy import worker_process
from .holes import load_holes
from .plan import DAEMONS, ONE_SHOTS, Step, services_of
from .programs import active_units, must, run
from .refusal import RefusedError
from .routes import Routes, set_routes
from .state import changing_blackholes
from .updated import seed_zones
from .watchfile import read_watch
from .zones import LOAD_S, await_zones, load_zones

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bundle import HostSet

BIRD_START_S = 5.0
HAPROXY_RELOAD_S = 5.0
AGAIN_S = 1.0


def do_steps(steps: list[Step], kept: HostSet) -> None:
    """Walk the steps in order.

    In:  steps from `plan_steps`; the set whose files now stand on the host.
    Raises: RefusedError from the first step that fails.
    """
    for step in steps:
        _DO[step.kind](step.name)
    ensure_running(kept)


def ensure_running(kept: HostSet) -> None:
    """Enable and start what the set needs and does not run: a first apply, or a daemon somebody
    stopped.
    """
    services = services_of(kept.files, kept.role)
    running = active_units(*services)
    idle = [service for service in services if service not in running]
    # a watch that starts before the daemons it looks at would only note that they are missing
    for service in sorted(idle, key=lambda name: (name == "loopback-watch", name)):
        if service == "haproxy":
            drop_foreign_gates(read_watch())
        _start(service)
    enabled = run("systemctl", "is-enabled", *services).out.splitlines() if services else []
    off = [
        name
        for name, word in zip(services, enabled, strict=False)
        if word in ("disabled", "masked")
    ]
    if off:
        must("systemctl", "enable", "--quiet", *off)


def _start(service: str) -> None:
    _unmask(service)
    run("systemctl", "reset-failed", service)
    _systemctl("start", service)


def _unmask(service: str) -> None:
    """Enroll masks a daemon whose package it installs, until there is a configuration."""
    if run("systemctl", "is-enabled", service).out.strip() in ("masked", "masked-runtime"):
        must("systemctl", "unmask", "--quiet", service)


def _systemctl(verb: str, unit: str) -> None:
    outcome = run("systemctl", verb, unit, timeout_s=60)
    if outcome.code:
        raise RefusedError(f"systemctl {verb} {unit} failed: {outcome.complaint}\n    {_log(unit)}")


def _log(unit: str) -> str:
    log = run("journalctl", "-u", unit, "-n", "8", "--no-pager", "-o", "cat", timeout_s=10).out
    return log.strip().replace("\n", "\n    ")


def _restart(unit: str) -> None:
    """Twice where need be: chronyd was seen to refuse because its predecessor was not gone yet."""
    _unmask(unit)
    run("systemctl", "reset-failed", unit)
    try:
        _systemctl("restart", unit)
    except RefusedError:
        time.sleep(AGAIN_S)
        run("systemctl", "reset-failed", unit)
        _systemctl("restart", unit)


def _tunnel_peers(tunnel: str) -> None:
    """`wg syncconf` takes a missing PrivateKey for an empty one, so the key joins the text on its
    way in.
    """
    if f"wg-quick@{tunnel}" not in active_units(f"wg-quick@{tunnel}"):
        return  # ensure_running starts it
    path = f"/etc/wireguard/{tunnel}.conf"
    with open(path, encoding="utf-8") as stream:
        found = re.search(r"private-key\s+(/etc/loopback/keys/\S+)", stream.read())
    if not found:
        _restart(f"wg-quick@{tunnel}")
        return
    with open(found.group(1), encoding="ascii") as stream:
        key = stream.read().strip()
    stripped = must("wg-quick", "strip", path)
    text = re.sub(
        r"^\[Interface\]$",
        f"[Interface]\nPrivateKey = {key}",
        stripped,
        count=1,
        flags=re.MULTILINE,
    )
    must("wg", "syncconf", tunnel, "/dev/stdin", stdin=text)


def _sshd(_: str) -> None:
    """With socket activation a reloaded sshd cannot bind the port that systemd holds, and dies
    (Debian 13, measured).

    A restart is safe there: systemd keeps the port open and KillMode=process keeps sessions.
    """
    by_socket = "ssh.socket" in active_units("ssh.socket")
    run("systemctl", "restart" if by_socket else "reload", "ssh", timeout_s=30)
    if "ssh" not in active_units("ssh"):
        _restart("ssh")


def _haproxy(_: str) -> None:
    """A worker that cannot start leaves the old one serving, and systemd calls that fine."""
    if "haproxy" not in active_units("haproxy"):
        _start("haproxy")
        return
    watch = read_watch()
    path = watch.haproxy_socket if watch else "/run/haproxy/loopback.sock"
    before = worker_process(path)
    _systemctl("reload", "haproxy")
    end = time.monotonic() + HAPROXY_RELOAD_S
    while worker_process(path) in (None, before):
        if time.monotonic() > end:
            raise RefusedError(
                "haproxy's new worker did not start, the old one serves on:\n    " + _log("haproxy")
            )
        time.sleep(0.05)


def _bird(_: str) -> None:
    """Gates first: what is no longer declared must not come back with the wildcard include."""
    watch = read_watch()
    drop_foreign_gates(watch)
    if "bird" not in active_units("bird"):
        _start("bird")
        return
    try:
        configure_bird(watch.bird_socket if watch else "/run/bird/bird.ctl")
    except BirdError as refused:
        raise RefusedError(f"bird did not take its configuration: {refused}") from refused


def _bird_restart() -> None:
    watch = read_watch()
    drop_foreign_gates(watch)
    _restart("bird")
    wait_for_bird(watch.bird_socket if watch else "/run/bird/bird.ctl")


def wait_for_bird(path: str) -> None:
    """A started BIRD opens its control socket a moment later.

    Raises: RefusedError when it does not within 5 s.
    """
    end = time.monotonic() + BIRD_START_S
    while True:
        try:
            configure_bird(path)
        except BirdError as refused:
            if time.monotonic() > end:
                raise RefusedError(f"bird does not answer: {refused}") from refused
            time.sleep(0.05)
        else:
            return


def _egress(_: str) -> None:
    """A BIRD of our own on a worker; ensure_running starts one that does not run."""
    if DAEMONS["egress"] not in active_units(DAEMONS["egress"]):
        return
    try:
        configure_bird(EGRESS_SOCKET)
    except BirdError as refused:
        raise RefusedError(f"egress.conf was not taken: {refused}") from refused


def _blackholes() -> None:
    with changing_blackholes():  # one given up by hand meanwhile is not taken for one that went
        load_holes()


def _knot(_: str) -> None:
    if "knot" not in active_units("knot"):
        _start("knot")
        return
    must("knotc", "-t", str(LOAD_S), "reload", timeout_s=LOAD_S + 5)


_DO: dict[str, Callable[[str], None]] = {
    "sysusers": lambda _: _must("systemd-sysusers", "/etc/sysusers.d/loopback.conf"),
    "units": lambda _: _must("systemctl", "daemon-reload"),
    "tmpfiles": lambda _: _must("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/loopback.conf"),
    "tunnel-restart": lambda name: _restart(f"wg-quick@{name}"),
    "tunnel-peers": _tunnel_peers,
    "sysctl": lambda _: _one_shot("sysctl"),
    "nftables": lambda _: _one_shot("nftables"),
    "routes": lambda _: _one_shot("routes"),
    "exporter": _restart,
    "chrony": lambda _: _restart("chrony"),
    "sshd": _sshd,
    "haproxy": _haproxy,
    "haproxy-restart": lambda _: _restart("haproxy"),
    "bird": _bird,
    "bird-restart": lambda _: _bird_restart(),
    "egress": _egress,
    "egress-restart": lambda _: _restart(DAEMONS["egress"]),
    "blackholes": lambda _: _blackholes(),
    "knot": _knot,
    "knot-restart": lambda _: _restart("knot"),
    "nsd": lambda _: _restart("nsd"),
    "tops": lambda names: seed_zones(names.split()),
    "new-zones": lambda names: await_zones(names.split()),
    "zones": lambda names: load_zones(names.split()),
    "watch": lambda _: _restart(DAEMONS["watch"]),
    "arbiter": lambda _: _restart(DAEMONS["arbiter"]),
    "hold": lambda _: _restart(DAEMONS["hold"]),
    "gateway": lambda _: _restart(DAEMONS["gateway"]),
    "logs": lambda _: _restart(DAEMONS["logs"]),
    # read when they are needed, by apt and by the next backup
    "apt": lambda _: None,
    "backup": lambda _: None,
}


def _must(*argv: str) -> None:
    must(*argv)


def _one_shot(kind: str) -> None:
    _restart(f"{ONE_SHOTS[kind]}.service")


def stop_retired(retired: list[Step], *, wait: bool = True) -> list[str]:
    """Stop and disable what is no longer part of the set; a failure does not keep the rest from
    stopping.

    In:  wait is off at boot, where waiting for a queued unit would wait for ourselves.
    Out: complaints, empty when all stopped.
    """
    complaints = []
    for step in retired:
        if step.kind == "routes":
            set_routes(Routes((), ()))
        if step.kind == "hold":
            from .hold import drop_addresses

            drop_addresses()
        if step.kind == "gateway":
            from .gatewaycard import drop_strays

            drop_strays(())
        for argv in _stop_words(step, () if wait else ("--no-block",)):
            with contextlib.suppress(RefusedError):
                outcome = run(*argv, timeout_s=60)
                if (
                    outcome.code
                    and "not loaded" not in outcome.err
                    and "No such file" not in outcome.err
                ):
                    complaints.append(f"`{' '.join(argv)}`: {outcome.complaint}")
    return complaints


def _stop_words(step: Step, options: tuple[str, ...]) -> list[tuple[str, ...]]:
    off = ("systemctl", "disable", "--quiet", "--now", *options)
    if step.kind == "tunnel":
        return [(*off, f"wg-quick@{step.name}")]
    if step.kind in ("unit", "exporter"):
        return [(*off, step.name)]
    if step.kind in ("haproxy", "bird", "knot", "nsd"):
        return [(*off, step.kind)]
    if step.kind == "nftables":
        return [("nft", "destroy", "table", "inet", "loopback")]
    return []
