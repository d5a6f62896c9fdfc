"""A machine that we order: what its program says, checked before anything is ordered."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from loopback_iac.model.cloud_checks import check_hetzner_host, check_ionos_host
from loopback_iac.model.fields import (
    AddressV4,
    AdminSources,
    Country,
    Given,
    Int,
    Line,
    LineList,
    MetricsSources,
    NetworkList,
    Several,
    Value,
    matching,
    refuse,
)
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import V, check_name, collect, plain

PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")

Label = Annotated[
    str,
    matching(
        # Hetzner's API; IONOS takes these too
        r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
        "label-syntax",
        "is no label",
        "1 to 63 letters, digits, '.', '_' or '-', the ends a letter or digit",
        "write it as in team-edge",
    ),
]
Image = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}",
        "image-name",
        "is no name of an image",
        "a name or id of the provider",
        "for example debian-13",
    ),
]


def _ports(value: object) -> object:
    found = PORTS.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, str):
        first = int(found[1]) if found else 0
        last = int(found[2] or first) if found else 0
        if not 0 < first <= last < 65536:
            refuse(
                "ports-syntax",
                f"{value!r} is no port and no range of ports",
                "1 to 65535, or first-last",
                "write it as in 6443 or 30000-30100",
            )
    return value


def _somebody(value: object) -> object:
    if isinstance(value, tuple) and not value:
        refuse(
            "sources-empty",
            "nobody may come in through it",
            "at least one network",
            "name the networks, or leave the entry out",
        )
    return value


class Labels(Value):
    """What an inventory of assets asks of a machine."""

    owner: Label | None = None
    service: Label | None = None
    criticality: Label | None = None
    environment: Label | None = None
    data_class: Label | None = None

    def by_name(self) -> dict[str, str]:
        """Those that are given, with hyphens as the clouds' own labels have them."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name.replace("_", "-"): text for name, text in given.items() if text is not None}


class Inbound(Value):
    """A port beside those of the role, and why it is open."""

    protocol: Literal["tcp", "udp"] = "tcp"
    ports: Annotated[str, BeforeValidator(_ports)]
    sources: Annotated[NetworkList, AfterValidator(_somebody)]
    because: Line


class PrivateNetwork(Value):
    """A network of the provider that the machine joins."""

    subnet_id: Given
    ip: AddressV4 | None = None


class PrivateLan(Value):
    """A private LAN of the data centre that the machine joins by a second card."""

    lan_id: Given
    ip: AddressV4


class CloudHost(Value):
    """What every ordered machine says, whoever sells it."""

    location: str
    role: Literal["pop", "worker", "other"]
    admin_sources: AdminSources
    fleet_secret: Given
    ssh_private_key: Given = False
    ssh_agent_socket: Line | None = None
    ssh_public_key: Line | None = None
    host_key_epoch: Int = Field(1, ge=1, le=1_000_000)
    metrics_sources: MetricsSources = ()
    tunnel_sources: Annotated[NetworkList, AfterValidator(_somebody)] | None = None
    inbound: Several[Inbound] = ()
    labels: Labels = Labels()
    protection: bool = True
    bastion: Given = False
    legal_owner: Line | None = None
    failure_domains: LineList = ()
    allowed_countries: Several[Country] | None = None


class HetznerHost(CloudHost):
    """A server of Hetzner Cloud."""

    server_type: str
    size_source: Line | None = None
    image: Image = "debian-13"
    ipv4: bool = True
    ipv6: bool = True
    ssh_key: Given = False
    placement_group_id: Given = False
    private_network: PrivateNetwork | None = None


class IonosHost(CloudHost):
    """A server in a virtual data centre of IONOS Cloud."""

    cores: Int = Field(ge=1, le=240)
    ram_mb: Int = Field(ge=256, le=1_048_576)
    disk_gb: Int = Field(20, ge=10, le=4096)
    disk_type: str = "SSD Standard"
    server_type: str = "VCPU"
    availability_zone: str = "AUTO"
    image: Image = "debian-13"
    ipv6: bool = False
    datacenter_id: Given = False
    private_network: PrivateLan | None = None
    lan_id: Given = False
    failover: bool = False
    failover_ipv4: Given = False


def parse_hetzner_host(name: str, tree: Mapping[str, object]) -> HetznerHost:
    """A server of Hetzner Cloud as declared.

    In: `name` of the component, the server's host name; late values are not looked into.
    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    host = _parse(HetznerHost, name, tree, problems)
    if host is not None:
        problems += check_hetzner_host(name, host)
    return _accepted(name, host, problems)


def parse_ionos_host(name: str, tree: Mapping[str, object]) -> IonosHost:
    """A server of IONOS Cloud as declared.

    In, Raises: as parse_hetzner_host.
    """
    problems: list[Problem] = []
    host = _parse(IonosHost, name, tree, problems)
    if host is not None:
        problems += check_ionos_host(name, host)
    return _accepted(name, host, problems)


def _parse(
    kind: type[V], name: str, tree: Mapping[str, object], problems: list[Problem]
) -> V | None:
    problems += check_name("name", name)
    return collect(kind, name, plain(tree), problems)


def _accepted(name: str, host: V | None, problems: list[Problem]) -> V:
    if problems or host is None:
        raise InputRejected(name, tuple(problems))
    return host
