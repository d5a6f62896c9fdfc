"""The lab's networks as a value: hosts, links, addresses, AS numbers. One builder."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

EDGE_ASN = 64500
ANYCAST4 = IPv4Network("203.0.113.0/24")
ANYCAST6 = IPv6Network("2001:db8:100::/48")
# A fleet whose PoPs are name servers announces the address of names in prefixes of its own.
NAMES4 = IPv4Network("198.19.53.0/24")
NAMES6 = IPv6Network("2001:db8:153::/48")
CORE = "core"
CORE_ASN = 64498
OPS = "ops"
UPLINK = "eth0"
UPSTREAMS = (("t1", 64496, "c-fra"), ("t2", 64497, "c-par"))
CACHES = ("svc1", "svc2")
# The control plane of a lab's cluster, in the network of the services.
CONTROL_PLANE = "cp"
# Machines beside its nodes, for whoever moves its workers.
SPARES = ("w3", "w4")
# Serves Debian packages to hosts that are told to ask it.
MIRROR = "svc1"
MIRROR_PORT = 8080


class Role(StrEnum):
    """What a host is for."""

    UPSTREAM = "upstream"
    CORE = "core"
    POP = "pop"
    WORKER = "worker"
    SERVICE = "service"
    CLIENT = "client"
    WORKSTATION = "workstation"
    # the network of a cloud, and a server somebody ordered there
    PROVIDER = "provider"
    SERVER = "server"
    # where the control plane of a Kubernetes cluster runs
    CONTROL = "control"


# Hosts that an operator owns: reached over SSH, delivered bare.
MACHINES = frozenset({Role.POP, Role.WORKER})
ROUTERS = frozenset({Role.UPSTREAM, Role.CORE})


@dataclass(frozen=True)
class Cloud:
    """A cloud's networks and its link with the core; servers come and go in them."""

    name: str
    v4: IPv4Network
    v6: IPv6Network
    link4: int
    link6: str


CLOUDS = (
    Cloud(
        "hcloud",
        IPv4Network("198.18.32.0/20"),
        IPv6Network("2001:db8:4000::/36"),
        24,
        "2001:db8:ff:18::",
    ),
    Cloud(
        "ionoscloud",
        IPv4Network("198.18.48.0/20"),
        IPv6Network("2001:db8:5000::/36"),
        26,
        "2001:db8:ff:19::",
    ),
)


@dataclass(frozen=True)
class Host:
    """One Debian host, or (roles workstation, provider, control) a namespace alone."""

    name: str
    role: Role
    asn: int = 0
    country: str = ""
    site: str = ""
    near: str = ""
    # what its disk is a layer over: a name of lab/image.py
    image: str = "image"
    # delivered by another hoster, and in no fleet and no cluster yet
    spare: bool = False

    @property
    def bare(self) -> bool:
        """Whether it is what a hoster delivers: nothing of ours on it."""
        return self.image == "bare"

    @property
    def node(self) -> bool:
        """Whether it is a node of a Kubernetes cluster."""
        return self.image == "node"

    @property
    def booted(self) -> bool:
        """Whether a Debian root runs in the namespace."""
        return self.role not in {Role.WORKSTATION, Role.PROVIDER, Role.CONTROL}


@dataclass(frozen=True)
class End:
    """One end of a link: an interface of a host."""

    host: str
    interface: str
    v4: IPv4Interface | None = None
    v6: IPv6Interface | None = None
    gateway4: str = ""
    gateway6: str = ""
    bridge: str = ""
    # addresses and networks that are reached through this end
    routes: tuple[str, ...] = ()
    mac: str = ""


@dataclass(frozen=True)
class Link:
    """A cable: both ends come and go together."""

    left: End
    right: End

    def other(self, host: str) -> End:
        """The end that is not `host`'s."""
        return self.right if self.left.host == host else self.left

    def end(self, host: str) -> End:
        """The end that is `host`'s."""
        return self.left if self.left.host == host else self.right

    def joins(self, host: str) -> bool:
        """Whether one end is `host`'s."""
        return host in (self.left.host, self.right.host)


@dataclass(frozen=True)
class Net:
    """A hoster's network: a bridge in the core with its gateway addresses; a cloud's has none."""

    name: str
    v4: IPv4Interface | None = None
    v6: IPv6Interface | None = None
    host: str = CORE


@dataclass(frozen=True)
class Topology:
    """Everything the lab builds."""

    name: str
    hosts: tuple[Host, ...]
    nets: tuple[Net, ...]
    links: tuple[Link, ...]

    @property
    def has_nodes(self) -> bool:
        """Whether nodes of a Kubernetes cluster are among its hosts."""
        return any(host.node for host in self.hosts)

    def host(self, name: str) -> Host:
        """
        Out: the host of that name.

        Raises: KeyError naming the hosts there are.
        """
        if found := next((host for host in self.hosts if host.name == name), None):
            return found
        raise KeyError(f"no host {name!r}; there are {', '.join(h.name for h in self.hosts)}")

    def having(self, *roles: Role) -> tuple[Host, ...]:
        """Hosts with one of these roles, in order."""
        return tuple(h for h in self.hosts if h.role in roles)

    def nets_of(self, host: str) -> tuple[Net, ...]:
        """Networks whose bridge is in this host."""
        return tuple(net for net in self.nets if net.host == host)

    def links_of(self, host: str) -> tuple[Link, ...]:
        """Links with an end at this host."""
        return tuple(link for link in self.links if link.joins(host))

    def link(self, one: str, two: str) -> Link:
        """
        Out: the link between two hosts.

        Raises: KeyError when there is none.
        """
        for link in self.links_of(one):
            if link.other(one).host == two:
                return link
        raise KeyError(f"no link between {one!r} and {two!r}")

    def uplink(self, host: str) -> End:
        """The end that carries a host's address towards everything else."""
        for link in self.links_of(host):
            if link.end(host).interface == UPLINK:
                return link.end(host)
        raise KeyError(f"{host!r} has no {UPLINK}")


def build_topology(
    name: str, pops: tuple[tuple[str, str], ...], workers: int, *, bare: bool = False
) -> Topology:
    """
    Lay out a fleet of this size on the address plan all sizes share.

    In: pops as (name, country), at most 5; workers, at most 9 (w1 to w9); bare: PoPs are delivered
    without any package of ours.
    Out: a Topology whose first two PoPs and workers have the same addresses in every size.
    """
    upstreams = tuple(
        Host(up, Role.UPSTREAM, asn, near=pops[i % len(pops)][0])
        for i, (up, asn, _) in enumerate(UPSTREAMS)
    )
    owned = tuple(
        Host(pop, Role.POP, EDGE_ASN, country, f"{pop}-colo", near, "bare" if bare else "image")
        for (pop, country), (near, _, _) in zip(pops, itertools.cycle(UPSTREAMS), strict=False)
    ) + tuple(
        Host(f"w{i}", Role.WORKER, 0, ("DE", "FR")[(i - 1) % 2], f"dc{i}")
        for i in range(1, workers + 1)
    )
    others = (
        *(Host(cache, Role.SERVICE) for cache in CACHES),
        *(Host(client, Role.CLIENT) for _, _, client in UPSTREAMS),
        Host(OPS, Role.WORKSTATION),
        *(Host(cloud.name, Role.PROVIDER) for cloud in CLOUDS),
    )
    hoster = _hoster_links(pops, workers)
    return Topology(
        name=name,
        hosts=(*upstreams, Host(CORE, Role.CORE, CORE_ASN), *owned, *others),
        nets=tuple(net for net, _ in hoster),
        links=(
            *_transit_links(pops),
            *(link for _, links in hoster for link in links),
            *(_cloud_link(cloud) for cloud in CLOUDS),
        ),
    )


def demo() -> Topology:
    """Two PoPs, two workers: the fleet of the README."""
    return build_topology("demo", (("fra1", "DE"), ("par1", "FR")), 2)


def bare() -> Topology:
    """The demo fleet, but a PoP is what a hoster delivers; packages come from the lab's mirror."""
    return build_topology("bare", (("fra1", "DE"), ("par1", "FR")), 2, bare=True)


def cluster() -> Topology:
    """
    The demo fleet with a Kubernetes cluster: workers are nodes, `cp` is the control plane.

    Two more machines, of another hoster, wait to be workers: `w3` and `w4`.
    """
    plain = build_topology("cluster", (("fra1", "DE"), ("par1", "FR")), 4)
    hosts = tuple(
        replace(h, image="node", spare=h.name in SPARES) if h.role is Role.WORKER else h
        for h in plain.hosts
    )
    net = next(net for net in plain.nets if net.name == "net-svc")
    port = End(CORE, f"p-{CONTROL_PLANE}", bridge=net.name)
    end = _leaf(End(CORE, net.name, net.v4, net.v6), CONTROL_PLANE, 21).right
    return replace(
        plain,
        hosts=(*hosts, Host(CONTROL_PLANE, Role.CONTROL)),
        links=(*plain.links, Link(port, end)),
    )


def bench5() -> Topology:
    """Five PoPs, two workers: a fleet that grows by its fifth PoP."""
    return build_topology(
        "bench5",
        (("fra1", "DE"), ("par1", "FR"), ("ams1", "NL"), ("waw1", "PL"), ("mad1", "ES")),
        2,
    )


def bench10() -> Topology:
    """Four PoPs, six workers: the fleet measurements are scaled up on."""
    return build_topology(
        "bench10", (("fra1", "DE"), ("par1", "FR"), ("ams1", "NL"), ("waw1", "PL")), 6
    )


def outpost() -> Topology:
    """One PoP of the demo fleet behind the far upstream, and a worker: for tests of one host."""
    clouds = (cloud.name for cloud in CLOUDS)
    return _part("outpost", demo(), {"t1", CORE, "par1", "w1", *CACHES, OPS, *clouds})


def bare_outpost() -> Topology:
    """The same with the PoP that a hoster delivers."""
    return _part("bare-outpost", bare(), {host.name for host in outpost().hosts})


TOPOLOGIES = {
    "demo": demo,
    "bare": bare,
    "outpost": outpost,
    "bare-outpost": bare_outpost,
    "bench5": bench5,
    "bench10": bench10,
    "cluster": cluster,
}


def _part(name: str, whole: Topology, hosts: set[str]) -> Topology:
    """Some hosts, the links between them and the networks these are plugged into."""
    links = tuple(n for n in whole.links if {n.left.host, n.right.host} <= hosts)
    plugged = {end.bridge for link in links for end in (link.left, link.right)}
    return Topology(
        name=name,
        hosts=tuple(host for host in whole.hosts if host.name in hosts),
        nets=tuple(net for net in whole.nets if net.name in plugged),
        links=links,
    )


def _transit_links(pops: tuple[tuple[str, str], ...]) -> tuple[Link, ...]:
    """Upstream to PoP, upstream to core, upstream to client."""
    links = []
    for i, (up, _, client) in enumerate(UPSTREAMS):
        for j, (pop, _) in enumerate(pops):
            n = i * len(pops) + j
            # 192.0.2.16 to .31 are the core's
            last = 2 * n if n < 8 else 2 * n + 16
            links.append(_pair(up, pop, last, f"2001:db8:ff:{n:x}::"))
        links.append(_pair(up, CORE, 16 + 2 * i, f"2001:db8:ff:{0x10 + i:x}::"))
        gateway = (
            IPv4Interface(f"198.51.100.{64 * i + 1}/26"),
            IPv6Interface(f"2001:db8:c{i + 1}::1/64"),
        )
        links.append(_leaf(End(up, client, *gateway), client, 2))
    return tuple(links)


def _cloud_link(cloud: Cloud) -> Link:
    """A cloud's router behind the core, which knows its networks."""
    link = _pair(CORE, cloud.name, cloud.link4, cloud.link6)
    core, router = link.left, link.right
    if core.v4 is None or core.v6 is None:
        raise ValueError(f"the core has no address towards {cloud.name}")
    gateway4, gateway6 = str(core.v4.ip), str(core.v6.ip)
    uplink = replace(router, interface=UPLINK, gateway4=gateway4, gateway6=gateway6)
    return Link(core, uplink)


def _pair(router: str, peer: str, v4: int, v6: str) -> Link:
    """A point-to-point link: even address at the router, interfaces named after the other side."""
    return Link(
        End(router, peer, IPv4Interface(f"192.0.2.{v4}/31"), IPv6Interface(f"{v6}/127")),
        End(peer, router, IPv4Interface(f"192.0.2.{v4 + 1}/31"), IPv6Interface(f"{v6}1/127")),
    )


def _hoster_links(pops: tuple[tuple[str, str], ...], workers: int) -> list[tuple[Net, list[Link]]]:
    """The core's networks with the hosts in them."""
    plan: list[tuple[str, int, dict[str, int]]] = [
        (f"net-{pop.rstrip('0123456789')}", i, {pop: 11}) for i, (pop, _) in enumerate(pops, 1)
    ]
    plan += [(f"net-dc{i}", 10 + i, {f"w{i}": 20 + i}) for i in range(1, workers + 1)]
    plan.append(("net-svc", 250, {cache: 11 + i for i, cache in enumerate(CACHES)}))
    plan.append(("net-ops", 251, {OPS: 2}))
    made = []
    for bridge, third, hosts in plan:
        v6 = f"2001:db8:{third:x}::"
        net = Net(bridge, IPv4Interface(f"198.18.{third}.1/24"), IPv6Interface(f"{v6}1/64"))
        gateway = End(CORE, bridge, net.v4, net.v6)
        links = []
        for host, last in hosts.items():
            port = End(CORE, f"p-{host}", bridge=bridge)
            links.append(Link(port, _leaf(gateway, host, last).right))
        made.append((net, links))
    return made


def _leaf(gateway: End, host: str, last: int) -> Link:
    """A host behind a gateway: uplink address (written alike in both families), default routes."""
    if gateway.v4 is None or gateway.v6 is None:
        raise ValueError(f"{gateway.interface} of {gateway.host} is no gateway: it has no address")
    v4 = IPv4Interface(f"{gateway.v4.network[last]}/{gateway.v4.network.prefixlen}")
    # 198.18.1.11 and 2001:db8:1::11: the same digits, though the v6 ones are hexadecimal
    v6 = IPv6Interface(f"{gateway.v6.network[int(str(last), 16)]}/64")
    return Link(gateway, End(host, UPLINK, v4, v6, str(gateway.v4.ip), str(gateway.v6.ip)))
