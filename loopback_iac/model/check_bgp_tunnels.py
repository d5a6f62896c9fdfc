"""Checks on tunnels to routers: nothing routes a tunnel into itself, ports and MTU fit."""

from collections.abc import Iterator

from loopback_iac.model.bgp import Upstream
from loopback_iac.model.bgp_tunnel import (
    FREE_PORT,
    INTERFACE_PREFIX,
    LEAST_MTU_BYTES,
    LONGEST_NAME,
    SHORTEST,
    BgpTunnel,
    inner_network,
)
from loopback_iac.model.check_space import holds
from loopback_iac.model.draft import Draft
from loopback_iac.model.fields import Network
from loopback_iac.model.problem import Problem
from loopback_iac.model.traffic import LAST_WORKER_ID
from loopback_iac.model.tunnel import FIRST_PORT, TUNNEL_V4
from loopback_iac.model.wireguard import OVERHEAD_BYTES

LEAST_BFD_MS = 100  # below, three lost packets are an ordinary moment of the Internet
OF_A_LINK = ("interface", "multihop", "gateway_v4", "gateway_v6")
WORKERS = [(first + 1, first + LAST_WORKER_ID) for first in sorted(FIRST_PORT)]


def check_bgp_tunnels(draft: Draft) -> list[Problem]:
    """Findings on upstreams of kind tunnel."""
    problems: list[Problem] = []
    for path, _, up in draft.upstreams():
        problems += _form(path, up)
        if up.kind == "tunnel" and up.tunnel is not None:
            problems += [
                *_name(path),
                *_inner(path, up),
                *_size(path, up, up.tunnel),
                *_key(path, up.tunnel, draft),
            ]
    for pop in sorted(draft.pops):
        found = [
            (path, up, up.tunnel)
            for path, at, up in draft.upstreams()
            if at == pop and up.kind == "tunnel" and up.tunnel is not None
        ]
        problems += _ports(found)
        problems += _endpoints(found, draft)
    return problems


def _form(path: str, up: Upstream) -> Iterator[Problem]:
    """The kind and its facts come together, and facts of a link with neither."""
    if up.kind == "tunnel" and up.tunnel is None:
        yield Problem(
            f"{path}.tunnel",
            "is missing beside kind: tunnel",
            "endpoint, endpoint_port and public_key of the router that ends it",
            "copy them from the order form, or from `wg show` on your own router",
            "tunnel-declared",
        )
    if up.kind != "tunnel":
        if up.tunnel is not None:
            yield Problem(
                f"{path}.tunnel",
                f"a tunnel beside kind: {up.kind}",
                "kind: tunnel",
                "write kind: tunnel, or remove it",
                "tunnel-declared",
            )
        return
    for field in OF_A_LINK:
        if getattr(up, field) is not None:
            yield Problem(
                f"{path}.{field}",
                "belongs to a link of the PoP; inside a tunnel the neighbor is one hop away",
                "nothing: the tunnel's interface is called after the upstream",
                f"remove {field}",
                "tunnel-one-hop",
            )


def _name(path: str) -> Iterator[Problem]:
    name = path.rsplit(".", 1)[1]
    if len(name) > LONGEST_NAME:
        interface = INTERFACE_PREFIX + name
        yield Problem(
            path,
            f"tunnel interface {interface!r} has {len(interface)} characters",
            "at most 15",
            f"choose a name of at most {LONGEST_NAME} characters",
            "tunnel-name-length",
        )


def _inner(path: str, up: Upstream) -> Iterator[Problem]:
    for family, local, neighbor in up.sessions:
        if local.is_link_local or neighbor.is_link_local:
            yield Problem(
                f"{path}.local_v{family}",
                "link-local addresses inside a tunnel",
                "a pair of global or unique local addresses",
                "agree on a pair with the router's operator, for example out of fd00::/8",
                "tunnel-inner-address",
            )
            continue
        network = inner_network(local, neighbor)
        if network is None:
            yield Problem(
                f"{path}.neighbor_v{family}",
                f"{neighbor} and {local} share no network of a link",
                f"both ends in one network of at most /{SHORTEST[family]}",
                "correct one of them, or agree on another pair with the router's operator",
                "tunnel-inner-network",
            )
        elif any(_meet(network, ours) for ours in TUNNEL_V4):
            yield Problem(
                f"{path}.local_v{family}",
                f"{local} is where tunnels to workers have their addresses",
                f"a pair outside {' and '.join(map(str, TUNNEL_V4))}",
                "agree on another pair with the router's operator",
                "tunnel-inner-address",
            )


def _meet(one: Network, two: Network) -> bool:
    return one.version == two.version and one.overlaps(two)


def _size(path: str, up: Upstream, tunnel: BgpTunnel) -> Iterator[Problem]:
    spoken = {family for family, _, _ in up.sessions}
    if 6 in spoken and tunnel.mtu_bytes < LEAST_MTU_BYTES[6]:
        yield Problem(
            f"{path}.tunnel.path_mtu_bytes",
            f"{tunnel.path_mtu_bytes} leaves {tunnel.mtu_bytes} bytes inside the tunnel",
            f"{LEAST_MTU_BYTES[6]} for IPv6 (RFC 8200), so {LEAST_MTU_BYTES[6] + OVERHEAD_BYTES}"
            " on the path",
            "take a path that carries it, or leave local_v6 and neighbor_v6 out",
            "tunnel-mtu",
        )
    if up.bfd and up.bfd_ms < LEAST_BFD_MS:
        yield Problem(
            f"{path}.bfd_interval_ms",
            f"{up.bfd_ms} ms over a path that loses and delays packets without being broken",
            f"at least {LEAST_BFD_MS} ms in a tunnel",
            "leave it out for 300 ms, which finds silence in 0.9 s",
            "tunnel-bfd",
        )


def _key(path: str, tunnel: BgpTunnel, draft: Draft) -> Iterator[Problem]:
    if draft.settings is None:
        return
    standing = draft.settings.tunnels.key_epochs
    if tunnel.key_epoch not in standing:
        yield Problem(
            f"{path}.tunnel.key_epoch",
            f"no key of epoch {tunnel.key_epoch} stands",
            f"one of tunnels.key_epochs ({', '.join(map(str, standing))})",
            "tell the router the key of one that stands (output bgp_tunnels) and write its epoch",
            "tunnel-key-epoch",
        )


Found = list[tuple[str, Upstream, BgpTunnel]]


def _ports(found: Found) -> Iterator[Problem]:
    seen: dict[int, str] = {}
    free = " or ".join(str(first) for first in sorted(FIRST_PORT))
    for path, _, tunnel in found:
        port, at = tunnel.listen_port, f"{path}.tunnel.listen_port"
        if any(first <= port <= last for first, last in WORKERS):
            yield Problem(
                at,
                f"{port} is a port of tunnels to workers",
                f"a port outside {' and '.join(f'{first}-{last}' for first, last in WORKERS)}",
                f"leave it out for {FREE_PORT}; {free} are free in every fleet",
                "tunnel-port-clash",
            )
        if port in seen:
            yield Problem(
                at,
                f"{port} is already the port of {seen[port]}",
                "a port per tunnel",
                f"write another one; {free} are free and open in ordered PoPs' firewalls",
                "tunnel-port-clash",
            )
        seen.setdefault(port, path)


def _endpoints(found: Found, draft: Draft) -> Iterator[Problem]:
    """The outer packets must not be routed into what they carry, nor into a tunnel to a worker."""
    inner: list[Network] = []
    for _, up, _ in found:
        pairs = (inner_network(local, neighbor) for _, local, neighbor in up.sessions)
        inner += [network for network in pairs if network is not None]
    inner += TUNNEL_V4
    for path, _, tunnel in found:
        at = f"{path}.tunnel.endpoint"
        if holds(draft.networks(), tunnel.endpoint):
            yield Problem(
                at,
                f"{tunnel.endpoint} is inside a prefix this fleet announces",
                "an address that the hoster's own routes lead to",
                "an address inside would be routed into the tunnel that it is the end of",
                "tunnel-outside-itself",
            )
        elif holds(inner, tunnel.endpoint):
            yield Problem(
                at,
                f"{tunnel.endpoint} is an address inside a tunnel",
                "the address by which the router is reached without it",
                "copy it from the router's operator; inner addresses are local_* and neighbor_*",
                "tunnel-outside-itself",
            )
