"""The paths a bundle may write, each with role, mode, owner and the kind that decides its check and
reload.

A bundle carries no commands: what is run for a file is decided here, by the path alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .refusal import RefusedError
from .zones import ENDED, KNOT, KNOT_TLS, NSD, NSD_TLS, top_of, zone_of

POP = "pop"
WORKER = "worker"
# A host that may hold an address of its provider, and the one that says which does.
MEMBER = "member"
ARBITER = "arbiter"
# A host that signs zones, hidden, and one that answers for them.
PRIMARY = "primary"
NAMESERVER = "nameserver"
# A node of a Kubernetes cluster that what leaves the cluster may leave by.
GATEWAY = "gateway"
ROLES = (POP, WORKER, MEMBER, ARBITER, PRIMARY, NAMESERVER, GATEWAY)
BOTH = (POP, WORKER)

# Changing one of these may disturb flows that are being served: a PoP that announces is drained
# first.
DATA_PLANE = frozenset({"sysctl", "nftables", "routes", "tunnel", "bird", "haproxy"})


class Place(NamedTuple):
    """A kind of file and how it has to look."""

    kind: str
    roles: tuple[str, ...]
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"


# BIRD of its own on a worker, for egress through the PoPs
EGRESS = "/etc/loopback/egress.conf"
_EXACT = {
    "/etc/loopback/sysctl.conf": Place("sysctl", (*BOTH, PRIMARY)),
    "/etc/loopback/nftables.conf": Place("nftables", (*BOTH, PRIMARY, GATEWAY)),
    "/etc/loopback/routes.json": Place("routes", (*BOTH, MEMBER)),
    EGRESS: Place("egress", (WORKER,)),
    "/etc/loopback/watch.json": Place("watch", BOTH),
    "/etc/loopback/arbiter.json": Place("arbiter", (ARBITER,)),
    "/etc/loopback/arbiter-token": Place("arbiter", (ARBITER,), 0o600),
    "/etc/loopback/hold.json": Place("hold", (MEMBER,)),
    "/etc/loopback/hold-key": Place("hold", (MEMBER,), 0o600),
    "/etc/loopback/gateway.json": Place("gateway", (GATEWAY,)),
    "/etc/loopback/gateway-credential": Place("gateway", (GATEWAY,), 0o600),
    "/etc/loopback/blackhole4.conf": Place("blackholes", (POP,)),
    "/etc/loopback/blackhole6.conf": Place("blackholes", (POP,)),
    "/etc/loopback/blackhole.nft": Place("blackholes", (POP,)),
    "/etc/bird/bird.conf": Place("bird", (POP,), 0o640, "root", "bird"),
    "/etc/haproxy/haproxy.cfg": Place("haproxy", (POP,), 0o640, "root", "haproxy"),
    KNOT: Place("knot", (PRIMARY, NAMESERVER, POP), 0o640, "root", "knot"),
    NSD: Place("nsd", (NAMESERVER, POP), 0o640, "root", "nsd"),
    ENDED: Place("ended", (PRIMARY,)),
    KNOT_TLS[0]: Place("knot-tls", (PRIMARY,), 0o640, "root", "knot"),
    KNOT_TLS[1]: Place("knot-tls", (PRIMARY,), 0o640, "root", "knot"),
    NSD_TLS: Place("nsd-tls", (NAMESERVER, POP), 0o640, "root", "nsd"),
    "/etc/chrony/conf.d/loopback.conf": Place("chrony", (POP,)),
    "/etc/chrony/conf.d/loopback-time.conf": Place("chrony", ROLES),
    "/etc/apt/apt.conf.d/52loopback": Place("apt", ROLES),
    "/etc/loopback/logs.conf": Place("logs", ROLES),
    "/etc/loopback/backup.json": Place("backup", (PRIMARY,)),
    "/etc/loopback/backup-reader.pem": Place("backup", (PRIMARY,)),
    "/etc/loopback/backup-key": Place("backup", (PRIMARY,), 0o600),
    "/etc/loopback/dns-check.json": Place("look", (PRIMARY,)),
    "/etc/loopback/dns-check-key": Place("look", (PRIMARY,), 0o600),
    "/etc/ssh/sshd_config.d/10-loopback.conf": Place("sshd", (POP,), 0o600),
    "/etc/tmpfiles.d/loopback.conf": Place("tmpfiles", BOTH),
    "/etc/sysusers.d/loopback.conf": Place("sysusers", (*BOTH, PRIMARY)),
    "/etc/default/prometheus-node-exporter": Place("exporter", (POP, PRIMARY)),
    "/etc/default/prometheus-bird-exporter": Place("exporter", (POP,)),
}
_TUNNEL = re.compile(r"/etc/wireguard/((?:l[bc]|up)-[a-z0-9][a-z0-9-]{0,11})\.conf")
_LOGS = re.compile(r"/etc/loopback/logs/[a-z0-9][a-z0-9-]{0,62}-(ca|cert|key)\.pem")
_UNIT = re.compile(r"/etc/systemd/system/(loopback-[a-z0-9-]+\.(?:service|path|timer))")
_DROP_IN = re.compile(r"/etc/systemd/system/([a-zA-Z0-9@_.-]+\.service)\.d/loopback\.conf")

# These units are the agent's own way back; enroll writes them and no bundle may.
OWN_UNITS = ("loopback-recover.service", "loopback-heal.path", "loopback-heal.service")


def parse_place(path: str, role: str) -> Place:
    """What stands behind a path.

    In:  an absolute path of a bundle and the host's role.
    Raises: RefusedError when the path is not on the list or not for this role.
    """
    place = _EXACT.get(path)
    if place is None and _TUNNEL.fullmatch(path):
        to_router = path.startswith("/etc/wireguard/up-")
        place = Place("tunnel", (POP,) if to_router else BOTH, 0o600)
    if place is None and zone_of(path):
        place = Place("top" if top_of(path) else "zone", (PRIMARY,))
    certificate = _LOGS.fullmatch(path)
    if place is None and certificate:
        place = Place("logs", ROLES, 0o600 if certificate.group(1) == "key" else 0o644)
    unit = _UNIT.fullmatch(path)
    if place is None and unit and unit.group(1) not in OWN_UNITS:
        place = Place("unit", ROLES)
    if place is None and _DROP_IN.fullmatch(path):
        place = Place("drop-in", (*BOTH, PRIMARY, NAMESERVER))
    if place is None:
        raise RefusedError(
            f"{path} is not a path this agent writes",
            fix="enroll the host again with the release that rendered the bundle",
        )
    if role not in place.roles:
        raise RefusedError(f"{path} is for role {' or '.join(place.roles)}; this host is a {role}")
    return place


def tunnel_of(path: str) -> str | None:
    """The tunnel's interface name when `path` is a WireGuard file."""
    found = _TUNNEL.fullmatch(path)
    return found.group(1) if found else None


def is_drop_in(path: str) -> bool:
    """Whether `path` is one of our drop-ins: its folder belongs to no package."""
    return _DROP_IN.fullmatch(path) is not None


def unit_of(path: str) -> str | None:
    """The unit's name when `path` is one of our unit files or a drop-in."""
    found = _UNIT.fullmatch(path) or _DROP_IN.fullmatch(path)
    return found.group(1) if found else None
