"""One host's view of the fleet: its tunnels, its sessions, its peers' addresses."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network

from loopback_iac.model import (
    Fleet,
    Host,
    InputRejected,
    Problem,
    Tunnel,
    tunnel,
    tunnels,
)
from loopback_iac.model.bgp import Upstream
from loopback_iac.model.bgp_tunnel import (
    INTERFACE_PREFIX,
    BgpTunnel,
    inner_interface,
    inner_network,
)
from loopback_iac.model.check_reach import check_way
from loopback_iac.model.fields import Address, Network

Keys = Mapping[tuple[str, int], str]
"""WireGuard public keys, or marks for them, by host and key epoch."""


@dataclass(frozen=True)
class Session:
    """One BGP session of a PoP."""

    name: str
    family: int
    local: Address
    neighbor: Address
    upstream: Upstream

    @property
    def symbol(self) -> str:
        """Name of the session in BIRD; names hold no underscore, so two never meet."""
        return f"up_{self.name.replace('-', '_')}_{self.family}"

    @property
    def interface(self) -> str | None:
        """The PoP's interface towards the neighbor, where one is named."""
        return self.upstream.interface_of(self.name)


@dataclass(frozen=True)
class Uplink:
    """A PoP's end of the tunnel to the router of one upstream."""

    name: str
    tunnel: BgpTunnel
    sessions: tuple[Session, ...]

    @property
    def interface(self) -> str:
        """Its interface, called after the upstream."""
        return INTERFACE_PREFIX + self.name

    @property
    def addresses(self) -> tuple[str, ...]:
        """Our inner addresses with their length."""
        found = []
        for s in self.sessions:
            network = inner_network(s.local, s.neighbor)
            assert network is not None  # noqa: S101  # parse_fleet lets no other pair through
            found.append(str(inner_interface(s.local, network)))
        return tuple(found)

    @property
    def endpoint(self) -> str:
        """Where the router listens, as wg takes it."""
        return outer(self.tunnel.endpoint, self.tunnel.endpoint_port)


def outer(address: Address, port: int) -> str:
    """Address and port as wg takes them."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


@dataclass(frozen=True)
class Link:
    """One tunnel as its end on this host sees it."""

    tunnel: Tunnel
    interface: str
    peer: str
    port: int
    own_v4: Address
    own_v6: Address
    peer_v4: Address
    peer_v6: Address
    peer_port: int
    peer_outer: Address
    own_family: int
    peer_key: str
    dials: bool
    keepalive: bool
    manages: bool
    """Whether the worker's SSH is reached through it, out of the PoP."""
    worker_ssh_port: int

    @property
    def endpoint(self) -> str:
        """Where the peer listens, as wg takes it."""
        return outer(self.peer_outer, self.peer_port)


def sessions(fleet: Fleet, pop: str) -> tuple[Session, ...]:
    """Sessions of a PoP, sorted by name and family; only families that are announced."""
    announced = {network.version for network in fleet.networks_at(pop)}
    return tuple(
        Session(name, family, local, neighbor, upstream)
        for name, upstream in sorted(fleet.pops[pop].upstreams.items())
        for family, local, neighbor in upstream.sessions
        if family in announced
    )


def uplinks(fleet: Fleet, pop: str) -> tuple[Uplink, ...]:
    """Tunnels of a PoP to routers, sorted by upstream; those that carry a session."""
    found: dict[str, list[Session]] = {}
    for session in sessions(fleet, pop):
        found.setdefault(session.name, []).append(session)
    return tuple(
        Uplink(name, tunnel, tuple(spoken))
        for name, spoken in found.items()
        if (tunnel := spoken[0].upstream.tunnel) is not None
    )


def check_uplinks(fleet: Fleet, pop: str, hosts: Mapping[str, Host]) -> list[Problem]:
    """Findings on tunnels to routers that the machine's addresses decide."""
    if pop not in hosts:
        return []
    problems = []
    for uplink in uplinks(fleet, pop):
        at, far = f"pops.{pop}.upstreams.{uplink.name}.tunnel.endpoint", uplink.tunnel.endpoint
        near = hosts[pop].address_of(far.version)
        if near is None:
            problems.append(
                Problem(
                    at,
                    f"{pop} has no IPv{far.version} address to reach {far} from",
                    "an endpoint of a family that the machine has",
                    "ask the router's operator for its other address, or order one of that family",
                    "tunnel-family",
                )
            )
        elif near == far:
            problems.append(
                Problem(
                    at,
                    f"{far} is {pop} itself",
                    "the address of the router at the other end",
                    "copy it from the router's operator",
                    "tunnel-outside-itself",
                )
            )
    return problems


def own(fleet: Fleet, family: int) -> tuple[Network, ...]:
    """Own prefixes of one family."""
    return tuple(network for network in fleet.networks if network.version == family)


def announced(fleet: Fleet, pop: str, family: int) -> tuple[Network, ...]:
    """Own prefixes of one family that a PoP's sessions carry."""
    return tuple(n for n in fleet.networks_at(pop) if n.version == family)


def links(fleet: Fleet, name: str, hosts: Mapping[str, Host], keys: Keys) -> tuple[Link, ...]:
    """Tunnels of a host, sorted by peer and key epoch, whichever of them carries traffic.

    Raises: InputRejected when a host or key is missing, a pair shares no address family, a PoP has
        none of a router's, or a service would take the port of sshd.
    """
    at_pop = name in fleet.pops
    peers = fleet.workers if at_pop else fleet.pops
    problems = [*check_ssh_ports(fleet, name, hosts), *check_way(fleet, name, hosts)]
    if at_pop:
        problems += check_uplinks(fleet, name, hosts)
    found = []
    for peer in sorted(peers):
        pairs = tunnels(fleet, name, peer) if at_pop else tunnels(fleet, peer, name)
        worker = peer if at_pop else name
        manages = fleet.workers[worker].managed_through == (name if at_pop else peer)
        made = [_link(pair, peer, hosts, keys, problems) for pair in pairs]
        found += [replace(link, manages=manages) for link in made if link]
    if problems:
        raise InputRejected(name, tuple(problems))
    return tuple(found)


def admin_sources(fleet: Fleet, name: str, hosts: Mapping[str, Host]) -> tuple[Network, ...]:
    """Networks that SSH to a host may come from: the operators', its bastion, its PoP's tunnels."""
    found = list(fleet.admin_sources)
    worker, bastion = fleet.workers.get(name), hosts[name].bastion
    if bastion is not None:
        found += map(ip_network, bastion.seen_as)
    if worker is not None and worker.managed_through is not None:
        found += [ip_network(t.pop_v4) for t in tunnels(fleet, worker.managed_through, name)]
    return tuple(dict.fromkeys(found))


def inner_address(fleet: Fleet, worker: str) -> Address | None:
    """Where SSH finds a worker that is managed through a PoP: its end of the tunnel there."""
    through = fleet.workers[worker].managed_through
    return None if through is None else tunnel(fleet, through, worker).worker_v4


def check_ssh_ports(fleet: Fleet, name: str, hosts: Mapping[str, Host]) -> list[Problem]:
    """Findings on services that would take the port by which a host is managed."""
    if name not in hosts:
        return []
    at_pop = name in fleet.pops
    services = fleet.services if at_pop else fleet.services_of(fleet.pool_of(name))
    field = "port" if at_pop else "worker_port"
    return [
        Problem(
            f"services.{service}.{field}",
            f"{hosts[name].ssh_port} is where {name} answers SSH",
            "a port of its own",
            "move the service, or let sshd of that host listen elsewhere",
            "port-reserved",
        )
        for service, facts in services.items()
        if getattr(facts, field) == hosts[name].ssh_port
    ]


def _link(
    pair: Tunnel,
    peer: str,
    hosts: Mapping[str, Host],
    keys: Keys,
    problems: list[Problem],
) -> Link | None:
    name = pair.worker if peer == pair.pop else pair.pop
    missing = [n for n in (name, peer) if n not in hosts]
    problems += [_absent(f"hosts.{n}", "no facts of this host", "host-facts") for n in missing]
    key = keys.get((peer, pair.key_epoch))
    if key is None:
        told = f"no WireGuard public key of epoch {pair.key_epoch}"
        problems.append(_absent(f"keys.{peer}", told, "tunnel-key"))
    if missing or key is None:
        return None
    here, there = hosts[name], hosts[peer]
    family = next((f for f in (4, 6) if here.address_of(f) and there.address_of(f)), None)
    if family is None:
        problems.append(
            Problem(
                f"hosts.{peer}",
                f"it shares no address family with {name}",
                "an IPv4 or an IPv6 address on both",
                "give one of them an address of the other's family",
                "tunnel-family",
            )
        )
        return None
    address = there.address_of(family)
    assert address is not None  # noqa: S101  # the family was chosen because both have it
    at_pop = name == pair.pop
    return Link(
        tunnel=pair,
        interface=pair.pop_interface if at_pop else pair.worker_interface,
        peer=peer,
        port=pair.pop_port if at_pop else pair.worker_port,
        own_v4=pair.pop_v4 if at_pop else pair.worker_v4,
        own_v6=pair.pop_v6 if at_pop else pair.worker_v6,
        peer_v4=pair.worker_v4 if at_pop else pair.pop_v4,
        peer_v6=pair.worker_v6 if at_pop else pair.pop_v6,
        peer_port=pair.worker_port if at_pop else pair.pop_port,
        peer_outer=address,
        own_family=family,
        peer_key=key,
        dials=not (at_pop and pair.behind_nat),
        keepalive=pair.behind_nat and not at_pop,
        manages=False,
        worker_ssh_port=hosts[pair.worker].ssh_port,
    )


def _absent(path: str, got: str, rule: str) -> Problem:
    return Problem(path, got, "one entry per host of the fleet", "enroll the host first", rule)
