"""Every file of one host, exact bytes: the same fleet and facts give the same files."""

from collections.abc import Mapping

from loopback_iac.model import Fleet, Host
from loopback_iac.render.bird import render_bird
from loopback_iac.render.blackholes import render_blackholes
from loopback_iac.render.egress import beyond, exits, render_egress
from loopback_iac.render.exporters import render_bird_exporter, render_node_exporter
from loopback_iac.render.files import File, HostFiles
from loopback_iac.render.gate import render_routes, render_watch
from loopback_iac.render.haproxy import render_haproxy
from loopback_iac.render.name_server import render_pop_name_server
from loopback_iac.render.nftables import render_nftables_pop, render_nftables_worker
from loopback_iac.render.packages import packages_of
from loopback_iac.render.site import Keys, Link, links, uplinks
from loopback_iac.render.system import (
    render_chrony,
    render_sshd,
    render_sysctl,
    render_sysusers,
    render_tmpfiles,
)
from loopback_iac.render.units import render_units_pop, render_units_worker
from loopback_iac.render.wireguard import render_uplink, render_wireguard


def render_pop(fleet: Fleet, pop_name: str, hosts: Mapping[str, Host], keys: Keys) -> HostFiles:
    """Files of a PoP.

    In: late facts of every host by name; public keys, or marks for them, of every epoch.
    Raises: InputRejected when facts or keys are missing, or a pair shares no address family.
    """
    ends, routers = links(fleet, pop_name, hosts, keys), uplinks(fleet, pop_name)
    out = exits(fleet, ends)
    files = {
        "/etc/bird/bird.conf": File(render_bird(fleet, pop_name, out), "0640", group="bird"),
        "/etc/haproxy/haproxy.cfg": File(
            render_haproxy(fleet, pop_name, hosts), "0640", group="haproxy"
        ),
        "/etc/loopback/nftables.conf": File(render_nftables_pop(fleet, pop_name, hosts, ends)),
        "/etc/loopback/routes.json": File(render_routes(fleet, pop_name)),
        "/etc/loopback/sysctl.conf": File(render_sysctl(fleet, pop_name, forwards=bool(out))),
        "/etc/chrony/conf.d/loopback.conf": File(render_chrony(fleet, pop_name)),
        "/etc/ssh/sshd_config.d/10-loopback.conf": File(
            render_sshd(fleet, pop_name, hosts, ends), "0600"
        ),
        "/etc/default/prometheus-node-exporter": File(render_node_exporter(pop_name, hosts)),
        "/etc/default/prometheus-bird-exporter": File(render_bird_exporter(pop_name, hosts)),
        **render_blackholes(fleet, pop_name),
        **render_units_pop(fleet, pop_name, ends, routers),
        **{
            f"/etc/wireguard/{uplink.interface}.conf": File(render_uplink(pop_name, uplink), "0600")
            for uplink in routers
        },
        **render_pop_name_server(fleet, pop_name, hosts),
    }
    return _host_files(fleet, pop_name, hosts, files, ends)


def render_worker(
    fleet: Fleet, worker_name: str, hosts: Mapping[str, Host], keys: Keys
) -> HostFiles:
    """Files of a worker: tunnels and the guard of our ports; nothing else on it is touched.

    In, Raises: as render_pop.
    """
    ends = links(fleet, worker_name, hosts, keys)
    out = exits(fleet, ends)
    files = {
        "/etc/loopback/nftables.conf": File(
            render_nftables_worker(fleet, worker_name, hosts, ends)
        ),
        **render_units_worker(ends, out),
        **render_egress(fleet, worker_name, out),
    }
    return _host_files(fleet, worker_name, hosts, files, ends)


def _host_files(
    fleet: Fleet,
    name: str,
    hosts: Mapping[str, Host],
    files: dict[str, File],
    ends: tuple[Link, ...],
) -> HostFiles:
    out = exits(fleet, ends)
    roles = ["pop" if name in fleet.pops else "worker"]
    role = roles[0]
    if role == "worker" and out:
        roles.append("egress")
    if role == "pop" and (software := fleet.name_server_at(name)):
        roles.append(software)
    files |= {
        "/etc/loopback/watch.json": File(render_watch(fleet, name, hosts, ends)),
        "/etc/sysusers.d/loopback.conf": File(render_sysusers(role)),
        "/etc/tmpfiles.d/loopback.conf": File(render_tmpfiles(role)),
        **{
            f"/etc/wireguard/{link.interface}.conf": File(
                render_wireguard(link, beyond(link, out, at_pop=role == "pop")), "0600"
            )
            for link in ends
        },
    }
    return HostFiles(files=dict(sorted(files.items())), packages=packages_of(*roles))
