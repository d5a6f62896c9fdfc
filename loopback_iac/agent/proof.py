"""After the reload: does what the set declares really run? Read from the kernel and the daemons,
not from systemd's word alone.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from .allowed import parse_place, tunnel_of
from .gates import EGRESS_SOCKET, BirdError, tell_bird
from .listeners import listening
from .plan import DAEMONS
from .programs import run, unit_properties
from .refusal import RefusedError
from .routes import check_routes, parse_routes
from .watchfile import Watch, parse_watch
from .zones import check_answers

if TYPE_CHECKING:
    from collections.abc import Container

    from .bundle import HostSet

PROOF_S = 5.0  # a reload is asynchronous; a daemon that needs longer to listen is not healthy


def prove_set(kept: HostSet) -> None:
    """Wait until everything stands, at most five seconds.

    Raises: RefusedError listing all that is missing.
    """
    end = time.monotonic() + PROOF_S
    while True:
        missing = check_set(kept)
        if not missing:
            return
        if time.monotonic() > end:
            raise RefusedError("after the swap this is missing: " + "; ".join(missing))
        time.sleep(0.1)


def check_set(kept: HostSet) -> list[str]:
    """What the set declares and the host lacks, as sentences."""
    missing = []
    kinds = {parse_place(path, kept.role).kind: file for path, file in kept.files.items()}
    missing += [
        f"the tunnel interface {tunnel}"
        for tunnel in filter(None, map(tunnel_of, kept.files))
        if not os.path.exists(f"/sys/class/net/{tunnel}")
    ]
    if "nftables" in kinds and run("nft", "list", "table", "inet", "loopback").code:
        missing.append("the nftables table inet loopback")
    if "routes" in kinds:
        missing += [
            f"route or rule ({line})"
            for line in check_routes(parse_routes(kinds["routes"].content))
        ]
    watch = parse_watch(kinds["watch"].content) if "watch" in kinds else None
    missing += _check_bird(kinds, watch)
    if "haproxy" in kinds:
        missing += _check_haproxy(watch)
    if watch and unit_properties("loopback-watch", "ActiveState")["ActiveState"] != "active":
        missing.append("a running loopback-watch")
    for kind in ("logs", "hold"):
        unit = DAEMONS[kind]
        if kind in kinds and unit_properties(unit, "ActiveState")["ActiveState"] != "active":
            missing.append(f"a running {unit}")
    if "arbiter" in kinds:
        missing += _check_arbiter()
    if "gateway" in kinds:
        missing += _check_gateway()
    if "knot" in kinds or "nsd" in kinds:
        missing += check_answers(kept)
    return missing


def _check_arbiter() -> list[str]:
    """It runs, and this run has asked the API, which takes its token; an API that is silent or busy
    is no fault of the set.

    Raises: RefusedError when it does not take the token.
    """
    found = unit_properties("loopback-arbiter", "ActiveState", "InvocationID")
    if found["ActiveState"] != "active":
        return ["a running loopback-arbiter"]
    from .handover import read_ruling

    ruling = read_ruling()
    if ruling is None or ruling.invocation != found["InvocationID"]:
        return ["a first look of loopback-arbiter"]
    if ruling.api.startswith("refuses"):  # no later look mends that
        raise RefusedError(
            f"the provider's API {ruling.api}", fix="give the arbiter a token that may write"
        )
    return []


def _check_gateway() -> list[str]:
    """It runs, this run could use all that it was given, and what has a single node stands there.
    Who holds a group of several is for their lease to say, and for an API that may be silent.
    """
    unit = DAEMONS["gateway"]
    found = unit_properties(unit, "ActiveState", "InvocationID")
    if found["ActiveState"] != "active":
        return [f"a running {unit}"]
    from .gateway import read_run
    from .gatewayfile import read_gateway
    from .gatewaystatus import read_status

    kept, status = read_gateway(), read_status()
    if kept is None or status is None or read_run() != found["InvocationID"]:
        return [f"a first look of {unit}: `journalctl -u {unit}` has what it says"]
    return [
        f"the addresses of {group.name} on this node"
        + (f" ({status[group.name].trouble})" if group.name in status else "")
        for group in kept.groups
        if group.fixed and not (group.name in status and status[group.name].holds)
    ]


def _check_bird(kinds: Container[str], watch: Watch | None) -> list[str]:
    """The PoP's, and the one that a worker runs for egress."""
    sockets = {"bird": watch.bird_socket if watch else "/run/bird/bird.ctl"}
    missing = []
    for kind, path in (sockets | {"egress": EGRESS_SOCKET}).items():
        try:
            if kind in kinds:
                tell_bird(path, "show status")
        except BirdError as silent:
            missing.append(f"an answer from bird at {path} ({silent})")
    return missing


def _check_haproxy(watch: Watch | None) -> list[str]:
    if unit_properties("haproxy", "MainPID")["MainPID"] == "0":
        return ["haproxy's master process"]
    wanted = {
        listener
        for service in (watch.services if watch else {}).values()
        for listener in service.listeners
    }
    return [
        f"a listener on {address} port {port}"
        for address, port in sorted(wanted - listening(wanted))
    ]
