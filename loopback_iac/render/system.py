"""The host itself: kernel settings, time, SSH, users."""

from collections.abc import Mapping

from loopback_iac.model import Fleet, Host
from loopback_iac.model.tunnel import pop_ports
from loopback_iac.render.exporters import EXPORTER_PORTS, METRICS
from loopback_iac.render.site import Link, admin_sources, sessions, uplinks
from loopback_iac.render.text import render_text


def render_sysctl(fleet: Fleet, pop: str, *, forwards: bool) -> str:
    """Kernel settings of a PoP; only keys that a network namespace has of its own.

    In: forwards, whether egress leaves by it.

    Sources: Documentation/networking/ip-sysctl.rst of Linux.
    """
    spoken = sessions(fleet, pop)
    last_worker = max(worker.node_id for worker in fleet.workers.values())
    tunnels = [pop_ports(last_worker, epoch) for epoch in sorted(fleet.tunnels.key_epochs)]
    ranges = [f"{first}-{last}" for first, last in tunnels]
    ports = sorted(uplink.tunnel.listen_port for uplink in uplinks(fleet, pop))
    ranges += [str(p) for p in ports if not any(first <= p <= last for first, last in tunnels)]
    return render_text(
        "sysctl.conf",
        pop=pop,
        forwards=forwards,
        interfaces=sorted({s.interface for s in spoken if s.interface}),
        reserved=",".join([*map(str, EXPORTER_PORTS), *ranges]),
    )


def render_chrony(fleet: Fleet, pop: str) -> str:
    """chrony: the declared servers beside the distribution's, and no service to anybody."""
    return render_text("chrony.conf", pop=pop, servers=sorted(fleet.time_servers))


def render_sshd(fleet: Fleet, pop: str, hosts: Mapping[str, Host], links: tuple[Link, ...]) -> str:
    """sshd drop-in: keys only, and the operators' networks are exempt from penalties.

    Without the exemption a monitor that polls the banner locks its own network out (OpenSSH 9.8
    and later count connections without an attempt to log in).
    """
    return render_text(
        "sshd.conf",
        pop=pop,
        exempt=",".join(map(str, admin_sources(fleet, pop, hosts))),
        onward=[f"{link.peer_v4}:{link.worker_ssh_port}" for link in links if link.manages],
    )


_READERS = ("loopback-metrics", "loopback-watch")


def render_sysusers(role: str) -> str:
    """Users of the health gate and, on a PoP, of the metrics; there both read BIRD and HAProxy."""
    lines = ['u loopback-watch - "Loopback health gate" / /usr/sbin/nologin']
    if role == "pop":
        lines.append('u loopback-metrics - "Loopback metrics" / /usr/sbin/nologin')
        lines += [f"m {user} {group}" for user in _READERS for group in ("bird", "haproxy")]
    return "\n".join(lines) + "\n"


def render_tmpfiles(role: str) -> str:
    """Directories in /run; the gates' directory starts empty, which means withdrawn.

    On a worker the same directory holds the watch's wishes for tunnels to be set up again.
    """
    group = "bird" if role == "pop" else "loopback-watch"
    lines = [
        "d /run/loopback 0755 root root -",
        f"d /run/loopback/gate 0755 loopback-watch {group} -",
    ]
    if role == "pop":
        lines.append(f"d {METRICS} 0755 loopback-metrics loopback-metrics -")
    return "\n".join(lines) + "\n"
