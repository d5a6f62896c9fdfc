"""The host itself: kernel settings, time, SSH, users, exporters."""

from collections.abc import Mapping

from loopback_iac.model import Fleet, Host
from loopback_iac.model.tunnel import FIRST_PORT
from loopback_iac.render.nftables import BIRD_EXPORTER_PORT, NODE_EXPORTER_PORT
from loopback_iac.render.site import sessions
from loopback_iac.render.text import render_text


def render_sysctl(fleet: Fleet, pop: str) -> str:
    """Kernel settings of a PoP; only keys that a network namespace has of its own.

    Sources: Documentation/networking/ip-sysctl.rst of Linux.
    """
    spoken = sessions(fleet, pop)
    last_port = FIRST_PORT + max(worker.node_id for worker in fleet.workers.values())
    return render_text(
        "sysctl.conf",
        pop=pop,
        interfaces=sorted({s.upstream.interface for s in spoken if s.upstream.interface}),
        reserved=f"{NODE_EXPORTER_PORT},{BIRD_EXPORTER_PORT},{FIRST_PORT}-{last_port}",
    )


def render_chrony(fleet: Fleet, pop: str) -> str:
    """chrony: the declared servers beside the distribution's, and no service to anybody."""
    return render_text("chrony.conf", pop=pop, servers=sorted(fleet.time_servers))


def render_sshd(fleet: Fleet, pop: str) -> str:
    """sshd drop-in: keys only, and the operators' networks are exempt from penalties.

    Without the exemption a monitor that polls the banner locks its own network out (OpenSSH 9.8
    and later count connections without an attempt to log in).
    """
    exempt = ",".join(map(str, fleet.admin_sources))
    return render_text("sshd.conf", pop=pop, exempt=exempt)


def render_node_exporter(pop: str, hosts: Mapping[str, Host]) -> str:
    """Arguments of the machine's exporter: it listens on the host's own address."""
    return f'ARGS="--web.listen-address={_listen(hosts[pop], NODE_EXPORTER_PORT)}"\n'


def render_bird_exporter(pop: str, hosts: Mapping[str, Host]) -> str:
    """Arguments of BIRD's exporter: it listens on the host's own address."""
    listen = _listen(hosts[pop], BIRD_EXPORTER_PORT)
    return (
        f'ARGS="-web.listen-address={listen} -bird.socket=/run/bird/bird.ctl'
        ' -bird.v2=true -format.new=true"\n'
    )


def _listen(host: Host, port: int) -> str:
    address = host.address
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def render_sysusers(role: str) -> str:
    """The user of the health gate; on a PoP it may talk to BIRD and read HAProxy's state."""
    lines = ['u loopback-watch - "Loopback health gate" / /usr/sbin/nologin']
    if role == "pop":
        lines += ["m loopback-watch bird", "m loopback-watch haproxy"]
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
    return "\n".join(lines) + "\n"
