"""Files of an egress gateway: its groups, the API's credential, the unit that keeps them, a guard.

The guard drops what no gateway translated. It stands whether the keeper runs or not.
Sources: Cilium 1.20.1, bpf/bpf_overlay.c (egress_gw_fib_lookup_and_redirect,
ipv4_host_delivery), bpf/lib/egress_gateway.h, pkg/defaults/node.go (names of devices).
"""

from collections.abc import Mapping

from loopback_iac.model.egress_gateway import EgressGateways, EgressGroup, own_address
from loopback_iac.model.host import Host
from loopback_iac.render.files import File, HostFiles, secret_mark
from loopback_iac.render.packages import packages_of
from loopback_iac.render.text import render_json, render_text

GATEWAY = "gateway"
CREDENTIAL_MARK = "gateway-credential"
UNITS = "/etc/systemd/system"
_NO_API = "https://127.0.0.1"
"""For nodes whose groups do not move: nothing is asked there."""


def render_gateway(gateways: EgressGateways, node: str, hosts: Mapping[str, Host]) -> HostFiles:
    """Files of one node; the credential is a mark, and its file is root's.

    Units: seconds.
    """
    groups = gateways.groups_of(node)
    cluster = gateways.cluster
    own = {name: str(own_address(gateways, name, host)) for name, host in hosts.items()}
    moving = any(group.moves for group in groups.values())
    tree = {
        "format": 1,
        "node": node,
        "server": cluster.server if cluster else _NO_API,
        "authority": cluster.ca_certificate if cluster else "",
        "namespace": gateways.namespace,
        "agent": cluster.agent if cluster else "http://127.0.0.1",
        "groups": [_group(name, group, own) for name, group in groups.items()],
    }
    files = {
        "/etc/loopback/gateway.json": File(render_json(tree)),
        "/etc/loopback/nftables.conf": File(render_text("nftables-gateway.conf", node=node)),
        f"{UNITS}/loopback-nftables.service": File(render_text("loopback-nftables.service")),
        f"{UNITS}/loopback-gateway.service": File(
            render_text("loopback-gateway.service", moving=moving)
        ),
    }
    if moving:
        mark = secret_mark(CREDENTIAL_MARK) + "\n"
        files["/etc/loopback/gateway-credential"] = File(mark, "0600")
    return HostFiles(files=dict(sorted(files.items())), packages=packages_of(GATEWAY))


def _group(name: str, group: EgressGroup, own: Mapping[str, str]) -> dict[str, object]:
    return {
        "name": name,
        "addresses": [str(address) for address in group.addresses],
        "interface": group.interface or "",
        "announced": group.announced,
        "nodes": [{"name": node, "address": own[node]} for node in group.nodes],
        "policies": list(group.policies),
        "lease_s": group.lease_ms / 1000,
    }
