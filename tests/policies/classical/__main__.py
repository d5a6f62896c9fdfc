"""A small fleet as somebody writes it, and the faults that people make; `faults` says which."""

from pathlib import Path

import pulumi
import pulumi_command as command
import pulumi_hcloud as hcloud

from loopback_iac.components import AnycastEdge, BareMetalHost, HiddenPrimary

config = pulumi.Config()
FAULTS = config.require_object("faults")
KEY = config.require("sshPrivateKey")
ADMINS = ["192.0.2.16/28"]
WHERE = {
    "fra1": ("housing-one", "DE", 11),
    "par1": ("housing-two", "FR", 21),
    "w1": ("metal-one", "FI", 31),
    "w2": ("metal-two", "ES", 41),
    "sign": ("metal-one", "FI", 51),
    "ns1": ("housing-one", "DE", 61),
    "ns2": ("housing-two", "FR", 71),
}


def host(name: str) -> pulumi.Output:
    provider, country, last = WHERE[name]
    return BareMetalHost(
        name,
        {
            "ipv4": f"198.51.100.{last}" if name != "ns2" else "192.0.2.71",
            "host_key": config.require("hostKey"),
            "provider": "one-for-all" if "one provider" in FAULTS else provider,
            "country": country,
            "site": f"{name}-building",
            "legal_owner": "Example Edge GmbH",
            "ssh_private_key": KEY,
        },
    ).host


def upstream(pop: int, number: int) -> dict:
    """A session; the carriers' AS numbers are 64496 and 64497."""
    told = {
        "asn": 64496 if "one upstream" in FAULTS else 64495 + number,
        "interface": f"eth{number}",
        "local_v4": f"192.0.2.{100 + 10 * pop + 4 * number + 1}",
        "neighbor_v4": f"192.0.2.{100 + 10 * pop + 4 * number}",
        "blackhole_waived_because": "neither carrier takes blackholes",
    }
    if "BGP without authentication" in FAULTS:
        return told
    return {**told, "md5": config.require("md5")}


def pop(name: str, number: int) -> dict:
    ups = {f"carrier-{n}": upstream(number, n) for n in (1, 2)}
    return {"host": host(name), "node_id": number, "upstreams": ups}


workers = {name: {"host": host(name), "node_id": n} for n, name in ((1, "w1"), (2, "w2"))}
AnycastEdge(
    "edge",
    {
        "asn": 64500,
        "admin_sources": ["0.0.0.0/0"] if "SSH open on hosts" in FAULTS else ADMINS,
        "prefixes": {"v4": {"cidr": "203.0.113.0/24"}},
        "vips": {"www": {"addresses": ["203.0.113.10"]}},
        "pops": {"fra1": pop("fra1", 1)}
        | ({"par1": pop("par1", 2)} if "one PoP" not in FAULTS else {}),
        "pools": {"web": {"workers": workers}},
        "services": {"https": {"vip": "www", "port": 443, "pool": "web", "worker_port": 8443}},
    },
)
dns = HiddenPrimary(
    "dns",
    {
        "host": host("sign"),
        "admin_sources": ADMINS,
        "transfer_secret": "not a secret of anybody, and 32 characters",
        "servers": {"ns1": {"host": host("ns1")}, "ns2": {"host": host("ns2"), "software": "nsd"}},
        "zones": {
            "example.net": {"text": (Path(__file__).parent / "example.net.zone").read_text()}
        },
    },
)
if "one operator" not in FAULTS:
    KEYED = {"tsigAlgorithm": "hmac-sha256", "tsigKey": config.require("tsig")}
    hcloud.Zone(
        "second",
        name="example.net",
        mode="primary" if "an unsigned zone" in FAULTS else "secondary",
        delete_protection=True,
        primary_nameservers=None
        if "an unsigned zone" in FAULTS
        else [{"address": "198.51.100.51", **KEYED}],
    )
hcloud.Firewall(
    "wall",
    labels={"owner": "edge", "service": "www", "criticality": "high", "environment": "prod"},
    rules=[
        {
            "direction": "in",
            "protocol": "tcp",
            "port": "22",
            "source_ips": ["0.0.0.0/0", "::/0"] if "SSH open at the provider" in FAULTS else ADMINS,
        }
    ],
)
VENDOR = {"load-balancer.hetzner.cloud/location": "fsn1"}
pulumi.CustomResource(
    "kubernetes:core/v1:Service",
    "shop",
    {
        "metadata": {
            "name": "shop",
            "annotations": VENDOR if "a vendor's annotation" in FAULTS else {},
        },
        "spec": {"ports": [{"port": 443}]},
    },
)
PINNED = {} if "no host key" in FAULTS else {"host_key": config.require("hostKey")}
command.remote.Command(
    "motd",
    create="true",
    logging="none",
    connection=command.remote.ConnectionArgs(host="198.51.100.31", private_key=KEY, **PINNED),
)
if "two signers" in FAULTS:
    zone = pulumi.CustomResource(
        "cloudflare:index/zone:Zone",
        "third",
        {"name": "example.net"},
        pulumi.ResourceOptions(protect=True),
    )
    pulumi.CustomResource(
        "cloudflare:index/zoneDnssec:ZoneDnssec",
        "third-signed",
        {"zoneId": zone.id, "status": "active", "dnssecMultiSigner": False, "algorithm": "13"},
    )
