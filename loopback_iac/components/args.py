"""What an operator writes: the args of every component, as TypedDicts.

The component analyzer of Pulumi reads these classes and the text under each field, so they carry no
`from __future__ import annotations`, no Literal, tuple or union beyond None. Values are checked
by `loopback_iac.model`, never here. Integers are plain, because a hosted component receives them
as floats.
"""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi

from loopback_iac.components.baseline_args import HostBaselineArgs
from loopback_iac.components.host_args import HostRef


class RoaArgs(TypedDict):
    """A route origin authorisation as a validator showed it (RFC 9582)."""

    asn: int
    """The AS number it names; 0 forbids everybody."""
    valid_on: str
    """Day on which a validator was seen to have it, as 2026-11-21."""
    prefix: NotRequired[str]
    """Its own prefix. Default: the announced one."""
    max_length: NotRequired[int]
    """Its maxLength, which has to be the announced length (RFC 9319). Default: its prefix's."""
    expires_on: NotRequired[str]
    """Day on which it ends; from then on a plan is refused. Left out where a registry renews it."""


class RouteObjectArgs(TypedDict):
    """A route or route6 object of prefix and origin, which carriers build their filters from."""

    registry: str
    """Where it stands, e.g. `RIPE`."""
    visible_on: str
    """Day on which it was seen there, as 2026-11-21."""


class LetterArgs(TypedDict):
    """A letter of authorisation: the holder lets carriers take the announcement."""

    reference: str
    """Where the letter is kept; goes to the evidence."""
    signed_on: str
    """Day of the signature, as 2026-11-21."""
    expires_on: NotRequired[str]
    """Day on which it ends."""


class OriginArgs(TypedDict):
    """An AS number that originates a prefix at some PoPs, and how far its papers have come."""

    asn: int
    """The origin that other networks see: ours, unless a provider originates."""
    announced_by: NotRequired[str]
    """`pop` (default): by the PoP's own sessions; `provider`: by the provider itself."""
    asn_source: NotRequired[str]
    """The provider's page that names its AS number. Needed where it is not ours."""
    pops: NotRequired[Sequence[str]]
    """PoPs where it holds; `[]` for nowhere yet. Default: every one."""
    requested_on: NotRequired[str]
    """Day on which it was ordered, as 2026-11-21."""
    roa: NotRequired[RoaArgs]
    """Its ROA. Where it is announced, one that makes it valid is needed."""
    route_object: NotRequired[RouteObjectArgs]
    """Its route object."""
    letter: NotRequired[LetterArgs]
    """Its letter of authorisation."""
    accepted_on: NotRequired[Mapping[str, str]]
    """Day on which each upstream or provider said that it takes it, by name."""
    announced_on: NotRequired[str]
    """Day on which others were seen to learn it, e.g. in a looking glass."""


class PrefixArgs(TypedDict):
    """Address space that the fleet originates."""

    cidr: str
    """Network, host bits zero; at most /24 (IPv4) or /48 (IPv6), which is what others accept."""
    gate: NotRequired[str]
    """`all` (default): announced while all its services are healthy; `any`: while one is."""
    origin: NotRequired[str]
    """`byoip`: space somebody brought; `platform-pool`: the platform's own. Needs `origins`.
    To be left out only of space that no ROA can name: documentation, benchmarks, private use."""
    holder: NotRequired[str]
    """Legal name that the registry has for it. Needed beside `origin`."""
    origins: NotRequired[Mapping[str, OriginArgs]]
    """AS numbers that originate it, by a name. Default, where `origin` may be left out: ours at
    every PoP, nothing declared."""
    allocatable: NotRequired[Sequence[str]]
    """Parts of it that VIPs get addresses from by name. Default: all of it."""


class VipArgs(TypedDict):
    """An anycast address, by family."""

    addresses: NotRequired[Sequence[str]]
    """One IPv4 address, one IPv6 address, or one of each, inside the fleet's prefixes."""
    allocate_from: NotRequired[Sequence[str]]
    """Prefixes by name that give it an address by its own name, where `addresses` has none."""


class LimitsArgs(TypedDict):
    """Most routes taken from an upstream; more are blocked, the session stays."""

    import_v4: NotRequired[int]
    """IPv4 routes. Default: half as much again as a full table."""
    import_v6: NotRequired[int]
    """IPv6 routes."""
    blackholes: NotRequired[int]
    """Blackhole routes we may send at once. Default 8."""


class CommunityArgs(TypedDict):
    """One value an upstream listens to, and where it says so."""

    value: NotRequired[str]
    """`64496:100`, or `64496:1:2` (RFC 8092). Only `blackhole` has a default: `65535:666`."""
    source: str
    """The upstream's page that documents it."""
    use: NotRequired[str]
    """When to send it: `announce` (default), `drain` or `blackhole`."""
    prefixes: NotRequired[Sequence[str]]
    """Prefixes it is sent with, by name. Default: every one."""


class BgpTunnelArgs(TypedDict):
    """A WireGuard tunnel to a router that speaks BGP, where the hoster sells no session."""

    endpoint: str
    """Address at which the router takes the tunnel."""
    endpoint_port: int
    """Its UDP port there."""
    public_key: str
    """Its WireGuard public key. Ours is in the output `bgp_tunnels`."""
    router: NotRequired[str]
    """Whose router it is: `carrier` (default) or `own`."""
    listen_port: NotRequired[int]
    """Our UDP port. Default 51820; a second tunnel of a PoP needs another, e.g. 52844."""
    path_mtu_bytes: NotRequired[int]
    """MTU of the path to the router; the tunnel carries 80 less. Default 1500."""
    persistent_keepalive_s: NotRequired[int]
    """Seconds between packets that keep firewalls on the way open. Default 25."""
    key_epoch: NotRequired[int]
    """Which of `tunnels.key_epochs` our key is of. Default 1."""


class UpstreamArgs(TypedDict):
    """A BGP neighbor of a PoP; facts from the carrier's order form."""

    kind: NotRequired[str]
    """`transit` (default), `internal` (your own router), or `tunnel` (either, over WireGuard)."""
    asn: int
    """The neighbor's AS number."""
    asn_source: NotRequired[str]
    """Where a private AS number of a provider is documented."""
    interface: NotRequired[str]
    """The PoP's interface towards it, e.g. `eth1`."""
    tunnel: NotRequired[BgpTunnelArgs]
    """The tunnel to it, where `kind` is `tunnel`; addresses below are then those inside it."""
    local_v4: NotRequired[str]
    """Our IPv4 address on the link."""
    neighbor_v4: NotRequired[str]
    """Its IPv4 address on the link."""
    local_v6: NotRequired[str]
    """Our IPv6 address on the link."""
    neighbor_v6: NotRequired[str]
    """Its IPv6 address on the link."""
    md5: NotRequired[pulumi.Input[str]]
    """TCP-MD5 password of the sessions (RFC 2385), secret. Or say `md5_waived_because`."""
    md5_waived_because: NotRequired[str]
    """Why there is no password; goes to the evidence."""
    ttl_security: NotRequired[bool]
    """GTSM (RFC 5082). Default true on a direct session."""
    multihop: NotRequired[int]
    """Hops to the neighbor when it is not on the link; needs `multihop_because`."""
    multihop_because: NotRequired[str]
    """Why the session is not direct."""
    gateway_v4: NotRequired[str]
    """Next hop towards a multihop neighbor, IPv4."""
    gateway_v6: NotRequired[str]
    """Next hop towards a multihop neighbor, IPv6."""
    bfd: NotRequired[bool]
    """BFD (RFC 5880), three lost packets end the session. Default true."""
    bfd_interval_ms: NotRequired[int]
    """Time between two packets of BFD. Default 50 on a link, 300 in a tunnel."""
    bfd_waived_because: NotRequired[str]
    """Why there is no BFD: silent loss is then found by the hold timer only."""
    blackhole_waived_because: NotRequired[str]
    """Why it drops nothing on our word: blackholes are then not announced to it."""
    hold_time_s: NotRequired[int]
    """BGP hold time in seconds (RFC 4271). Default 9."""
    keepalive_s: NotRequired[int]
    """BGP keepalive in seconds. Default 3."""
    role_strict: NotRequired[bool]
    """Refuse a neighbor that states no role (RFC 9234). Default false."""
    routes: NotRequired[str]
    """`default` (the default route only, and the default) or `full`."""
    limits: NotRequired[LimitsArgs]
    """Most routes taken from it."""
    communities: NotRequired[Mapping[str, CommunityArgs]]
    """Values it listens to, by name."""


class PopArgs(TypedDict):
    """A point of presence: one host with BGP neighbors."""

    host: pulumi.Input[HostRef]
    """The machine: output `host` of a BareMetalHost."""
    node_id: int
    """Number of this PoP, unique among PoPs, never reused: tunnel addresses follow from it."""
    upstreams: Mapping[str, UpstreamArgs]
    """BGP neighbors by name."""
    name_server: NotRequired[str]
    """What answers here at the address of `name_service`: `knot` (default) or `nsd`."""


class WorkerArgs(TypedDict):
    """A machine that runs the workload and terminates TLS."""

    host: pulumi.Input[HostRef]
    """The machine: output `host` of a BareMetalHost."""
    node_id: int
    """Number of this worker, unique among workers, never reused."""
    weight: NotRequired[int]
    """Share of new connections, 1 to 256. Default 100."""
    drained: NotRequired[bool]
    """Takes no new connection when true. Default false."""
    rtt_ms: NotRequired[float]
    """Round trip to the PoPs in milliseconds; detection times follow from it. Default 1.0."""
    rtt_ms_from: NotRequired[Mapping[str, float]]
    """Round trip from one PoP, where it differs, by PoP name."""
    behind_nat: NotRequired[bool]
    """The worker dials out; PoPs never dial it. Default false."""
    managed_through: NotRequired[str]
    """PoP through whose tunnel SSH reaches it, where nothing else leads; needs `join_keys`."""
    join_keys: NotRequired[Mapping[str, str]]
    """WireGuard public keys by key epoch, as `loopback join` printed them on the machine."""
    path_mtu_bytes: NotRequired[int]
    """MTU of the path to the PoPs. Default 1500."""
    restrict_ssh: NotRequired[bool]
    """Let our firewall table answer SSH only from `admin_sources`. Default false: it is yours."""


class PoolArgs(TypedDict):
    """Workers that serve the same thing."""

    workers: Mapping[str, WorkerArgs]
    """By name; a name is unique in the fleet."""


class HealthArgs(TypedDict):
    """How a PoP checks a worker's port."""

    interval_ms: NotRequired[int]
    """Time between two checks. Default follows from rtt_ms."""
    ready_port: NotRequired[int]
    """Port of the workers that says over HTTP, without PROXY protocol, whether they are ready: 200
    or not. It answers tunnels alone. Default: none, the check is a TCP connect to `worker_port`."""
    ready_path: NotRequired[str]
    """What is asked for there. Default /ping."""


class RateArgs(TypedDict):
    """So many in a second on average, and so many at once."""

    rate_per_s: int
    """New connections per second, on average."""
    burst: NotRequired[int]
    """How many may come at once after a quiet time. Default: as many as `rate_per_s`."""


class ServiceLimitsArgs(TypedDict):
    """What a PoP lets through before HAProxy. A client is an IPv4 address or an IPv6 /64."""

    new_connections_per_client: NotRequired[RateArgs]
    """Connections one client may open. What is above is dropped, and its SYN sent again later."""
    new_connections: NotRequired[RateArgs]
    """Connections all clients of the service together may open at this PoP."""
    concurrent_per_client: NotRequired[int]
    """Connections one client may hold open at once; the next one is closed."""


class ServiceArgs(TypedDict):
    """A TCP port of an anycast address, forwarded to a pool. TLS is never opened at the PoP."""

    vip: str
    """Name of the VIP."""
    port: int
    """TCP port on the VIP."""
    pool: str
    """Name of the pool."""
    worker_port: int
    """TCP port on the workers: expects PROXY protocol v2, answers only tunnels."""
    health: NotRequired[HealthArgs]
    """Health check; of several services of a pool, the one that has it is the one checked."""
    gate: NotRequired[str]
    """`shared` (default), `own` (it alone gates its prefix) or `none` (it never withdraws)."""
    max_connections: NotRequired[int]
    """Concurrent connections per PoP. Default 20000."""
    limits: NotRequired[ServiceLimitsArgs]
    """Rate limits, counted by each PoP for itself. Default: none, new connections are counted."""


class RollArgs(TypedDict):
    """How a change goes round: one PoP at a time, drained first."""

    drain_s: NotRequired[int]
    """Seconds of graceful shutdown (RFC 8326) before a PoP is touched. Default 30."""
    return_hold_s: NotRequired[int]
    """Seconds a PoP must be healthy before it announces again. Default 10."""


class TunnelsArgs(TypedDict):
    """Keys of the tunnels between PoPs and workers, and their rotation."""

    key_epochs: NotRequired[Sequence[int]]
    """Epochs of keys that stand, at most two in a row; the first carries traffic. Default: [1]."""


class BlackholeArgs(TypedDict):
    """An own address that is given up, so that the rest of the fleet serves on."""

    address: str
    """An address of a declared prefix; announced as /32 or /128."""
    reason: str
    """Why, and for how long; goes to the evidence."""
    pops: NotRequired[Sequence[str]]
    """PoPs that announce it. Default: every one."""


class EgressArgs(TypedDict):
    """Own addresses that workers leave by, through the PoPs."""

    addresses: Sequence[str]
    """IPv4 addresses of a prefix that PoPs announce; nothing else has them."""
    workers: Sequence[str]
    """Who may have them; they stand on the first. Naming another first changes nothing at PoPs."""


class NameServiceArgs(TypedDict):
    """Name servers on the PoPs, at one anycast address, for the zones of a HiddenPrimary."""

    vip: str
    """Name of the VIP; its prefixes hold no service, and correct answers alone announce them."""
    primary: pulumi.Input[HostRef]
    """The primary's machine: output `host` of any kind of host, as HiddenPrimary has it."""
    transfer_secret: pulumi.Input[str]
    """The primary's own (secret); its entry `servers.POP` says `on_pop`."""
    catalog: NotRequired[str]
    """Name of the zone that lists the zones (RFC 9432). Default `catalog.invalid`."""
    responses_per_s: NotRequired[int]
    """Answers in a second to one network of clients and kind of answer. Default 200; 0: any."""
    transport: NotRequired[str]
    """How zones come, as the primary says: `tls` (RFC 9103; default) or `tcp`."""


class AnycastEdgeArgs(TypedDict):
    """One fleet: the whole edge as one tree."""

    asn: int
    """Our AS number, the origin of every prefix."""
    admin_sources: Sequence[str]
    """Networks SSH and metrics may come from. May not be empty, or everybody is locked out."""
    prefixes: Mapping[str, PrefixArgs]
    """What the PoPs announce, by name."""
    vips: Mapping[str, VipArgs]
    """Anycast addresses by name."""
    pops: Mapping[str, PopArgs]
    """PoPs by name."""
    pools: Mapping[str, PoolArgs]
    """Pools of workers by name."""
    services: Mapping[str, ServiceArgs]
    """Forwarded ports by name."""
    metrics_sources: NotRequired[Sequence[str]]
    """Networks that may read metrics and nothing else: where your Prometheus stands."""
    roll: NotRequired[RollArgs]
    """Timing of changes."""
    tunnels: NotRequired[TunnelsArgs]
    """Key epochs of the tunnels."""
    rpki: NotRequired[Sequence[str]]
    """RPKI caches as `address:port` (RFC 8210). Needed where an upstream's `routes` is `full`."""
    blackholes: NotRequired[Sequence[BlackholeArgs]]
    """Own addresses whose traffic upstreams and PoPs drop (RFC 7999)."""
    egress: NotRequired[Mapping[str, EgressArgs]]
    """Addresses that workers leave by, through the PoPs, by name. Default: none."""
    time_servers: NotRequired[Sequence[str]]
    """NTP servers of the PoPs. Default: what the host has."""
    check_budget_per_s: NotRequired[int]
    """Most health checks a second from a PoP, and to a worker from all. Default 1000."""
    name_service: NotRequired[NameServiceArgs]
    """Name servers on the PoPs. Default: none."""
    baseline: NotRequired[pulumi.Input[HostBaselineArgs]]
    """What every host keeps beside its work: output `baseline` of a HostBaseline."""


BareMetalHostArgs = HostRef
