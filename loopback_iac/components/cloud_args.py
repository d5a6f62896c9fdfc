"""What an operator writes of machines that are ordered; see args.py for the rules of such classes.

Fields that both clouds share are written twice: the analyzer reads a text only from the class it
stands in.
"""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi

from loopback_iac.components.baseline_args import HostBaselineArgs
from loopback_iac.components.host_args import BastionRef, HostRef


class LabelsArgs(TypedDict):
    """What an inventory of assets asks of a machine; 1 to 63 letters, digits, `.`, `_`, `-`."""

    owner: NotRequired[str]
    """Who answers for it."""
    service: NotRequired[str]
    """What it is part of."""
    criticality: NotRequired[str]
    """How much its loss hurts, in your own scale."""
    environment: NotRequired[str]
    """`prod`, `test`, ..."""
    data_class: NotRequired[str]
    """Class of the data it handles."""


class InboundArgs(TypedDict):
    """A port that is open beside those of the role."""

    protocol: NotRequired[str]
    """`tcp` (default) or `udp`."""
    ports: str
    """`6443`, or a range: `30000-30100`."""
    sources: Sequence[str]
    """Networks that may come in."""
    because: str
    """Why it is open; stands in the provider's firewall."""


class PrivateNetworkArgs(TypedDict):
    """A network of the provider that the machine joins."""

    subnet_id: pulumi.Input[str]
    """Id of the subnet, e.g. of `hcloud.NetworkSubnet`."""
    ip: NotRequired[str]
    """Its address there. Default: the provider chooses."""


class PrivateLanArgs(TypedDict):
    """A private LAN of its data centre that the machine joins."""

    lan_id: pulumi.Input[str]
    """Id of the LAN, e.g. of `ionoscloud.compute.Lan`; it is not public."""
    ip: str
    """Its address there; the network is the /24 around it, as IONOS gives a private LAN."""


class HetznerHostArgs(TypedDict):
    """A server of Hetzner Cloud."""

    location: str
    """`fsn1`, `nbg1`, `hel1`, `ash`, `hil` or `sin`."""
    role: str
    """`pop`, `worker` or `other`: what the provider's firewall opens."""
    admin_sources: Sequence[str]
    """Networks SSH may come from: the operators', or the bastion's. May not be empty."""
    fleet_secret: pulumi.Input[str]
    """Secret of at least 32 random characters; the machine's SSH host key is derived from it."""
    ssh_private_key: NotRequired[pulumi.Input[str]]
    """Private half of the fleet's deploy key (secret); the machine gets the public half."""
    ssh_agent_socket: NotRequired[str]
    """Socket of an SSH agent that holds the deploy key; then `ssh_public_key` is needed."""
    ssh_public_key: NotRequired[str]
    """Public half of the deploy key, where an agent holds the private one."""
    host_key_epoch: NotRequired[int]
    """Raise it to get another host key, and with it a new machine. Default 1."""
    metrics_sources: NotRequired[Sequence[str]]
    """Networks that may read a PoP's metrics. Default: none."""
    tunnel_sources: NotRequired[Sequence[str]]
    """Networks tunnels may come from. Default: any; WireGuard answers known keys only."""
    inbound: NotRequired[Sequence[InboundArgs]]
    """Ports that are open beside those of the role, e.g. of a Kubernetes node."""
    labels: NotRequired[LabelsArgs]
    """Labels of server, addresses and firewall."""
    protection: NotRequired[bool]
    """Refuse to delete or replace machine and addresses. Default true."""
    bastion: NotRequired[BastionRef]
    """Jump host; it has to be in `admin_sources`."""
    legal_owner: NotRequired[str]
    """Legal person that rents the machine; evidence for the supplier register."""
    failure_domains: NotRequired[Sequence[str]]
    """Names of what it shares with others, beside provider and location."""
    allowed_countries: NotRequired[Sequence[str]]
    """Countries it may stand in, ISO 3166-1 alpha-2. Default: any."""
    server_type: str
    """Size, e.g. `cx23`."""
    size_source: NotRequired[str]
    """Where Hetzner documents a size that this library does not list."""
    image: NotRequired[str]
    """Image of Debian 13. Default `debian-13`."""
    ipv4: NotRequired[bool]
    """Order a primary IPv4 address. Default true."""
    ipv6: NotRequired[bool]
    """Order a primary IPv6 network. Default true."""
    ssh_key: NotRequired[pulumi.Input[str]]
    """Name or id of the deploy key in the project. Default: it is put there for this host alone."""
    placement_group_id: NotRequired[pulumi.Input[str]]
    """Id of a spread placement group, for hosts that stand in for each other."""
    private_network: NotRequired[PrivateNetworkArgs]
    """A network it joins. Management and tunnels stay on the public addresses."""


class IonosHostArgs(TypedDict):
    """A server in a virtual data centre of IONOS Cloud."""

    location: str
    """`de/fra`, `de/fra/2`, `de/txl`, `gb/lhr`, `gb/bhx`, `es/vit`, `fr/par`, `us/las`, ..."""
    role: str
    """`pop`, `worker` or `other`: what the provider's firewall opens."""
    admin_sources: Sequence[str]
    """Networks SSH may come from: the operators', or the bastion's. May not be empty."""
    fleet_secret: pulumi.Input[str]
    """Secret of at least 32 random characters; the machine's SSH host key is derived from it."""
    ssh_private_key: NotRequired[pulumi.Input[str]]
    """Private half of the fleet's deploy key (secret); the machine gets the public half."""
    ssh_agent_socket: NotRequired[str]
    """Socket of an SSH agent that holds the deploy key; then `ssh_public_key` is needed."""
    ssh_public_key: NotRequired[str]
    """Public half of the deploy key, where an agent holds the private one."""
    host_key_epoch: NotRequired[int]
    """Raise it to get another host key, and with it a new machine. Default 1."""
    metrics_sources: NotRequired[Sequence[str]]
    """Networks that may read a PoP's metrics. Default: none."""
    tunnel_sources: NotRequired[Sequence[str]]
    """Networks tunnels may come from. Default: any; WireGuard answers known keys only."""
    inbound: NotRequired[Sequence[InboundArgs]]
    """Ports that are open beside those of the role, e.g. of a Kubernetes node."""
    labels: NotRequired[LabelsArgs]
    """Labels of the server."""
    protection: NotRequired[bool]
    """Refuse to delete or replace machine and addresses. Default true."""
    bastion: NotRequired[BastionRef]
    """Jump host; it has to be in `admin_sources`."""
    legal_owner: NotRequired[str]
    """Legal person that rents the machine; evidence for the supplier register."""
    failure_domains: NotRequired[Sequence[str]]
    """Names of what it shares with others, beside provider and location."""
    allowed_countries: NotRequired[Sequence[str]]
    """Countries it may stand in, ISO 3166-1 alpha-2. Default: any."""
    cores: int
    """Cores."""
    ram_mb: int
    """Memory in MB, in steps of 256."""
    disk_gb: NotRequired[int]
    """Size of the disk in GB. Default 20."""
    disk_type: NotRequired[str]
    """`SSD Standard` (default), `SSD Premium` or `HDD`."""
    server_type: NotRequired[str]
    """`VCPU` (default) or `ENTERPRISE`, which has cores of its own."""
    availability_zone: NotRequired[str]
    """`AUTO` (default), `ZONE_1` or `ZONE_2`: hosts that stand in for each other take both."""
    image: NotRequired[str]
    """Image of Debian 13: its name or the beginning of it. Default `debian-13`."""
    ipv6: NotRequired[bool]
    """Take an IPv6 network for its LAN and an address of it. Default false: turned on or off, it
    replaces the machine, so write true from the beginning."""
    datacenter_id: NotRequired[pulumi.Input[str]]
    """Id of a virtual data centre in the same location. Default: one for this host alone."""
    private_network: NotRequired[PrivateLanArgs]
    """A LAN it joins, of `datacenter_id`. Management and tunnels stay on the public addresses."""
    lan_id: NotRequired[pulumi.Input[str]]
    """Id of a public LAN of `datacenter_id`, shared by hosts. Default: one for this host alone."""
    failover: NotRequired[bool]
    """Reserve an address that others in the LAN stand in for. Default false."""
    failover_ipv4: NotRequired[pulumi.Input[str]]
    """Address to stand in for: `failover_ipv4` in output `card` of the host that reserved it."""


class CardRef(TypedDict):
    """A network card at IONOS: the output `card` of an IonosHost."""

    datacenter_id: pulumi.Input[str]
    """Id of its virtual data centre."""
    lan_id: pulumi.Input[str]
    """Id of its LAN."""
    nic_id: pulumi.Input[str]
    """Its own id."""
    failover_ipv4: NotRequired[pulumi.Input[str]]
    """Failover address that it carries beside its own."""


class FailoverMemberArgs(TypedDict):
    """A host that may hold the address; it belongs to no AnycastEdge."""

    name: str
    """Its name among the members."""
    host: pulumi.Input[HostRef]
    """The machine: output `host` of a HetznerHost or an IonosHost."""
    server_id: NotRequired[pulumi.Input[str]]
    """Number of its server at Hetzner. Default: what the `instance_id` of a HetznerHost says."""
    card: NotRequired[pulumi.Input[CardRef]]
    """Its network card at IONOS: output `card` of an IonosHost."""


class FailoverCheckArgs(TypedDict):
    """How the arbiter sees that a member serves: it connects to the member's own address."""

    port: int
    """TCP port of the service, on the member's own address and on the failover address."""
    interval_ms: NotRequired[int]
    """Time between two looks. Default 1000."""
    timeout_ms: NotRequired[int]
    """Time in which a connection has to stand. Default 1000."""
    fall: NotRequired[int]
    """Looks in a row without an answer until a member is lost. Default 3."""
    rise: NotRequired[int]
    """Looks in a row with an answer until a member may hold the address. Default 3."""


class ProviderFailoverVipArgs(TypedDict):
    """An IPv4 address of the provider that one host holds and others stand in for."""

    provider: str
    """`hetzner`: a floating IP, or `ionos`: an IP failover group."""
    location: str
    """Home location of the address: that of the members."""
    hosts: Sequence[FailoverMemberArgs]
    """Members in the order of preference; the first one gets the address at first."""
    arbiter: pulumi.Input[HostRef]
    """A machine of its own, best at another provider: output `host` of any kind of host."""
    check: FailoverCheckArgs
    """How the arbiter sees that a member serves."""
    token: pulumi.Input[str]
    """API token of the members' project, read and write (secret); it lies on the arbiter alone."""
    admin_sources: Sequence[str]
    """Networks SSH may come from. May not be empty."""
    labels: NotRequired[LabelsArgs]
    """Labels of the address; at Hetzner only."""
    protection: NotRequired[bool]
    """Refuse to delete or replace Hetzner's address; at IONOS its host says so. Default true."""
    endpoint: NotRequired[str]
    """The API that the arbiter asks. Default: the provider's own."""
    ca_certificate: NotRequired[str]
    """PEM of the CA that signs for `endpoint`, where it is none of the host's own."""
    baseline: NotRequired[pulumi.Input[HostBaselineArgs]]
    """What every host keeps beside its work: output `baseline` of a HostBaseline."""
