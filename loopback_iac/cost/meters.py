"""Which inputs of a resource a provider bills, and by what; one function per resource type."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

Inputs = Mapping[str, Any]
MB_PER_GB = 1024
PLANNED = "(known after apply)"


class Meter(NamedTuple):
    """One thing that is billed."""

    sku: str
    quantity: Decimal | None = Decimal(1)
    """None: not known before it is built."""
    unit: str = ""
    of: str = ""
    """Of a surcharge: the SKU it is a part of."""


def _hetzner_server(inputs: Inputs) -> Iterator[Meter]:
    yield Meter(_word(inputs, "serverType"))
    if inputs.get("backups") is True:
        yield Meter("backups", of=_word(inputs, "serverType"))
    # without a word on addresses, or on which one, Hetzner makes them along with the server
    nets = inputs.get("publicNets") or [{}]
    for family in ("ipv4", "ipv6"):
        made = [n for n in nets if n.get(f"{family}Enabled", True) and not n.get(family)]
        if made and not any(n.get(family) for n in nets):
            yield Meter(f"primary-ip/{family}")


def _primary_ip(inputs: Inputs) -> Iterator[Meter]:
    yield Meter(f"primary-ip/{_word(inputs, 'type')}")


def _floating_ip(inputs: Inputs) -> Iterator[Meter]:
    yield Meter(f"floating-ip/{_word(inputs, 'type')}")


def _hetzner_volume(inputs: Inputs) -> Iterator[Meter]:
    yield Meter("volume", _number(inputs, "size"), "GB")


def _ionos_server(inputs: Inputs) -> Iterator[Meter]:
    kind = str(inputs.get("type") or "ENTERPRISE")  # the API's default
    if kind == "CUBE":
        yield from _ionos_cube(inputs)
        return
    yield from _ionos_sized(kind, inputs)


def _ionos_vcpu(inputs: Inputs) -> Iterator[Meter]:
    yield from _ionos_sized("VCPU", inputs)


def _ionos_cube(inputs: Inputs) -> Iterator[Meter]:
    """A cube is sold whole, by its template; the disk is part of it."""
    yield Meter(f"cube/{_word(inputs, 'templateUuid')}")


def _ionos_sized(kind: str, inputs: Inputs) -> Iterator[Meter]:
    yield Meter(f"core/{kind}", _number(inputs, "cores"), "cores")
    ram_mb = _number(inputs, "ram")
    yield Meter("ram", None if ram_mb is None else ram_mb / MB_PER_GB, "GB")
    volume = inputs.get("volume")
    if isinstance(volume, Mapping):
        yield from _ionos_volume(volume)
    elif volume is not None:  # a secret as a whole
        yield Meter("storage/?", None, "GB")


def _ionos_volume(inputs: Inputs) -> Iterator[Meter]:
    yield Meter(f"storage/{_word(inputs, 'diskType')}", _number(inputs, "size"), "GB")


def _ip_block(inputs: Inputs) -> Iterator[Meter]:
    yield Meter("ipv4", _number(inputs, "size"), "IPv4")


def _word(inputs: Inputs, key: str) -> str:
    value = inputs.get(key)
    return str(value) if value not in (None, PLANNED) else "?"


def _number(inputs: Inputs, key: str) -> Decimal | None:
    value = inputs.get(key)
    known = isinstance(value, int | float | str) and str(value).replace(".", "", 1).isdigit()
    return Decimal(str(value)) if known else None


METERS: dict[str, Callable[[Inputs], Iterator[Meter]]] = {
    "hcloud:index/server:Server": _hetzner_server,
    "hcloud:index/primaryIp:PrimaryIp": _primary_ip,
    "hcloud:index/floatingIp:FloatingIp": _floating_ip,
    "hcloud:index/volume:Volume": _hetzner_volume,
    "ionoscloud:compute/server:Server": _ionos_server,
    "ionoscloud:compute/vCPUServer:VCPUServer": _ionos_vcpu,
    "ionoscloud:compute/cubeServer:CubeServer": _ionos_cube,
    "ionoscloud:compute/volume:Volume": _ionos_volume,
    "ionoscloud:compute/iPBlock:IPBlock": _ip_block,
}
PROVIDERS = {"hcloud": "hetzner", "ionoscloud": "ionos"}

# Neither has an entry in the price list of Hetzner's API (GET /v1/pricing, 2026-08); IONOS:
# "Firewalls and load balancers are provided free of charge", docs.ionos.com/faq/accounting-...
UNBILLED = frozenset(
    {
        *(
            f"hcloud:index/{name[0].lower()}{name[1:]}:{name}"
            for name in (
                "Firewall",
                "FirewallAttachment",
                "FloatingIpAssignment",
                "Network",
                "NetworkRoute",
                "NetworkSubnet",
                "PlacementGroup",
                "Rdns",
                "ServerNetwork",
                "SshKey",
                "VolumeAttachment",
            )
        ),
        "ionoscloud:compute/datacenter:Datacenter",
        "ionoscloud:compute/lan:Lan",
        "ionoscloud:compute/nic:Nic",
        "ionoscloud:compute/iPFailover:IPFailover",
        "ionoscloud:compute/firewall:Firewall",
        "ionoscloud:nsg/nsg:Nsg",
        "ionoscloud:nsg/firewall:Firewall",
    }
)
# Nobody sends a bill for these: they are ours, or run on machines that are counted already.
OURS = frozenset({"pulumi", "loopback-iac", "command", "random", "tls", "kubernetes"})
