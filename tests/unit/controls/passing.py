"""A stack in which every control passes: real rendered files, and resources as providers have them.

Each fixture is an edit of this one, so that what fires can be told from what merely was there.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopback_iac.controls import Resource, Stack, Wish
from loopback_iac.controls.tree import MARK, SECRET
from loopback_iac.model import baseline_facts, fleet_facts, parse_baseline, parse_fleet
from loopback_iac.proof import EDGE
from loopback_iac.render import render_baseline
from tests.golden import case as golden

if TYPE_CHECKING:
    from loopback_iac.model import Baseline

CERTIFICATE = Path(__file__).parents[3] / "components/HostBaseline/python/ca.pem"
TODAY = date(2026, 11, 21)
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # Pulumi's sentinel for a value not known yet
ABSENT = object()
CANARY = "hunter2-canary"
LABELS = {"owner": "edge", "service": "www", "criticality": "high", "environment": "prod"}
PLACES = {
    "fra1": ("carrier-hotel", "fra", "DE"),
    "par1": ("housing", "par", "FR"),
    "w1": ("metal", "hel", "FI"),
    "w2": ("cage", "mad", "ES"),
}
ZONE = """\
$ORIGIN example.net.
$TTL 3600
@ IN SOA ns1.example.org. hostmaster.example.net. 1 7200 900 604800 3600
@ IN NS ns1.example.org.
@ IN NS ns2.example.com.
@ IN MX 10 mail.example.org.
@ IN TXT "v=spf1 mx -all"
@ IN CAA 0 issue "ca.example.org"
_dmarc IN TXT "v=DMARC1; p=reject"
"""
KNOT = """\
key:
  - id: loopback-fra1
    algorithm: hmac-sha256
    secret: "@{secret:tsig-fra1}"
policy:
  - id: signed
    algorithm: ecdsap256sha256
template:
  - id: default
"""
DIGEST = "registry.example.org/app@sha256:" + "0" * 64


def secret(value: Any) -> dict[str, Any]:
    return {MARK: SECRET, "value": value}


def build_stack(*edits: tuple) -> Stack:
    """
    The passing stack with edits.

    In: edits as (resource, path, value); ABSENT removes what is there, or the whole resource where
    the path is empty; options of a resource stand under `.protect` and the like.
    """
    trees = copy.deepcopy(_resources())
    for name, path, value in edits:
        if not path:
            del trees[name]
        elif path.startswith("."):
            kind, facts, options = trees[name]
            trees[name] = (kind, facts, options | {path[1:]: value})
        else:
            _set(trees[name][1], path.split("|"), value)
    made = (
        replace(Resource(kind, name, facts, f"urn:{name}", secrets_told=True), **options)
        for name, (kind, facts, options) in trees.items()
    )
    return Stack(tuple(made), TODAY)


def _set(tree: Any, path: list[str], value: Any) -> None:
    *above, last = [int(step) if step.isdigit() else step for step in path]
    for step in above:
        tree = tree[step]
    if value is ABSENT:
        del tree[last]
    elif callable(value):
        tree[last] = value(tree[last])
    else:
        tree[last] = value


@cache
def _resources() -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    own = "loopback-iac:index:"
    return {
        **{
            name: (f"{own}BareMetalHost", {"host": _place(*where)}, {})
            for name, where in PLACES.items()
        },
        "edge": (EDGE, {"fleet": _fleet()[0]}, {}),
        **{
            f"edge-{pop}": (f"{own}EdgePop", _kept(pop, "pop", files), {})
            for pop, files in _fleet()[1].items()
        },
        **_names(),
        **_clouds(),
        **_cluster(),
        "apply": (
            "command:remote:Command",
            {
                "connection": secret(
                    {
                        "host": "192.0.2.1",
                        "hostKey": "ssh-ed25519 AAAA",
                        "privateKey": CANARY,
                        "proxy": {"hostKey": "ssh-ed25519 BBBB", "privateKey": CANARY},
                    }
                ),
                "create": "loopback-agent apply",
                "stdin": secret(CANARY),
            },
            {},
        ),
    }


@cache
def _baseline() -> Baseline:
    certificate = CERTIFICATE.read_text()
    sink = {"port": 6514, "ca_certificate": certificate, "kept_days": 180}
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc"
    near = {"address": "192.0.2.61", "provider": "hetzner", "unalterable_by": "object lock"}
    waived = "it offers none"
    return parse_baseline(
        "baseline",
        {
            "logs": {
                "sinks": {
                    "near": sink | near,
                    "far": sink | {"address": "192.0.2.62", "provider": "ionos"},
                }
            },
            "time": {
                "servers": {
                    f"t{n}": {
                        "address": f"198.18.250.{n}",
                        "operator": "metal" if n % 2 else "cage",
                        "nts_waived_because": waived,
                    }
                    for n in (11, 12, 13, 14)
                }
            },
            "backups": {
                "certificate": certificate,
                "ssh_private_key": CANARY,
                "kept_days": 90,
                "restored_on": "2026-11-01",
                "targets": {"far": {"address": "192.0.2.63", "host_key": key, "provider": "ionos"}},
            },
        },
    )


def _kept(host: str, role: str, files: dict[str, str]) -> dict[str, Any]:
    """What a host publishes that is given the baseline."""
    kept = render_baseline(_baseline(), role, host).files
    return {
        "role": role,
        "files": files | {path: file.text for path, file in kept.items()},
        "baseline": baseline_facts(_baseline()),
        "held": ["chrony"],
        "place": {"provider": "metal", "country": "FI"},
    }


def _place(provider: str, site: str, country: str) -> dict[str, str]:
    return {"provider": provider, "site": site, "country": country}


@cache
def _fleet() -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Facts and files of the golden fleet; space for documentation is nobody's, so it is moved."""
    base = golden.load("two-pops")
    fleet = parse_fleet(golden.NAME, base.fleet, golden.TODAY)
    rendered = golden.render(base)
    text = json.dumps(fleet_facts(fleet)).replace("203.0.113.", "9.9.9.")
    facts = json.loads(text.replace("2001:db8:100:", "2620:fe:9:").replace("64500", "8560"))
    for prefix in facts["prefixes"].values():
        roa = {"asn": 8560, "valid_on": "2026-11-01", "prefix": None, "max_length": None}
        pops = ["fra1", "par1"]
        prefix["origins"] = {
            "own": {
                "asn": 8560,
                "announced_by": "pop",
                "state": "announced",
                "pops": pops,
                "roa": roa,
            }
        }
    facts["rpki"] = {"applies": True, "not_applicable_because": None, "caches": ["a", "b"]}
    files = {
        pop: {path: file.text for path, file in rendered[pop].files.items()} for pop in fleet.pops
    }
    return facts, files


def _names() -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    primary = {"address": "192.0.2.1", "role": "primary"}
    servers = {
        "ns1": {"address": "198.51.100.1", "role": "nameserver"},
        "ns2": {"address": "2001:db8:5::1", "role": "nameserver"},
    }
    files = {"/etc/knot/knot.conf": KNOT, "/etc/loopback/zones/example.net.zone": ZONE}
    return {
        "dns": (
            "loopback-iac:index:HiddenPrimary",
            {
                "name_service": {
                    "zones": {"example.net": {"parent": None, "signed": True}},
                    "servers": {"ns1": "knot", "ns2": "nsd"},
                    "transfers": {"tsig": "hmac-sha256", "tls": False},
                },
                "hosts": {"primary": primary, **servers},
            },
            {},
        ),
        "dns-primary": ("loopback-iac:index:PrimaryHost", _kept("primary", "primary", files), {}),
        "second": (
            "hcloud:index/zone:Zone",
            {
                "name": "example.net",
                "mode": "secondary",
                "deleteProtection": True,
                "primaryNameservers": [
                    {"address": "192.0.2.1", "tsigAlgorithm": "hmac-sha256", "tsigKey": CANARY}
                ],
            },
            {},
        ),
        "third": ("cloudflare:index/zone:Zone", {"name": "example.net", "id": "z3"}, PROTECTED),
        "third-signed": (
            "cloudflare:index/zoneDnssec:ZoneDnssec",
            {"zoneId": "z3", "status": "active", "algorithm": "13", "dnssecPresigned": True},
            {},
        ),
    }


PROTECTED = {"protect": True}


def _clouds() -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    server = {
        "location": "fsn1",
        "labels": LABELS | {"role": "pop"},
        "firewallIds": [1.0],
        "sshKeys": ["deploy"],
        "placementGroupId": 7.0,
        "deleteProtection": True,
        "userData": secret(CANARY),
    }
    rules = [
        {"direction": "in", "protocol": "tcp", "port": "22", "sourceIps": ["192.0.2.0/28"]},
        {"direction": "in", "protocol": "tcp", "port": "443", "sourceIps": ["0.0.0.0/0", "::/0"]},
    ]
    ionos = {
        "datacenterId": "dc",
        "availabilityZone": "ZONE_1",
        "sshKeys": ["ssh-ed25519 AAAA"],
        "labels": [{"key": key, "value": value} for key, value in LABELS.items()],
        "nic": {
            "firewallActive": True,
            "firewalls": [
                {
                    "protocol": "TCP",
                    "type": "INGRESS",
                    "sourceIp": "192.0.2.7",
                    "portRangeStart": 22.0,
                    "portRangeEnd": 22.0,
                }
            ],
        },
        "volume": secret({"userData": CANARY}),
    }
    hetzner, at_ionos = "hcloud:index/server:Server", "ionoscloud:compute/server:Server"
    store = server | {"labels": LABELS | {"role": "store"}, "backups": True}
    return {
        "h1": (hetzner, server, {}),
        "h2": (hetzner, dict(server), {}),
        "store": (hetzner, store, {}),
        "wall": ("hcloud:index/firewall:Firewall", {"labels": LABELS, "rules": rules}, {}),
        "i1": (at_ionos, ionos, PROTECTED),
        "i2": (at_ionos, ionos | {"availabilityZone": "ZONE_2"}, PROTECTED),
        "card": ("ionoscloud:compute/nic:Nic", {"flowlog": {"name": "flows"}}, {}),
    }


def _cluster() -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    here = {"namespace": "shop"}
    gateways = [{"egressIP": "9.9.9.40"}, {"egressIP": "9.9.9.41"}]
    issuer = {"cert-manager.io/cluster-issuer": "acme"}
    pod = {"spec": {"containers": [{"name": "app", "image": DIGEST}]}}
    deny = {"podSelector": {}, "policyTypes": ["Egress"], "egress": []}
    helm = {"chart": "cilium", "values": {"hubble": {"enabled": True}}}
    made = {
        "shop": ("core/v1:Namespace", {"metadata": {"name": "shop"}}),
        "deny": ("networking.k8s.io/v1:NetworkPolicy", {"metadata": here, "spec": deny}),
        "out": ("cilium.io/v2:CiliumEgressGatewayPolicy", {"spec": {"egressGateways": gateways}}),
        "www": (
            "networking.k8s.io/v1:Ingress",
            {"metadata": {"annotations": issuer}, "spec": {"tls": [{"secretName": "www"}]}},
        ),
        "tls": ("traefik.io/v1alpha1:TLSOption", {"spec": {"minVersion": "VersionTLS12"}}),
        "app": ("apps/v1:Deployment", {"spec": {"template": pod}}),
        "cilium": ("helm.sh/v3:Release", helm),
    }
    told = {"ingress": {"tls_least": "1.2"}, "trusted": {"w1": ["10.88.8.2"], "w2": ["10.88.8.4"]}}
    controller = {"ingress": ("loopback-iac:index:IngressController", told, {})}
    return controller | {
        name: (f"kubernetes:{kind}", facts, {}) for name, (kind, facts) in made.items()
    }


ENTRY = {
    "legal_name": "Example GmbH",
    "country": "DE",
    "contact": "noc@example.org",
    "services": ["machines"],
    "criticality": "high",
    "contract": "C-1",
    "last_review": "2026-06-01",
}
SUPPLIERS = (
    *(provider for provider, _, _ in PLACES.values()),
    *("hetzner", "ionos", "cloudflare", "AS64496", "AS64497", "elsewhere"),
)
WISH = Wish(
    params={
        "RED-04": {"survives": 1.0},
        "SUP-01": {"register": dict.fromkeys(SUPPLIERS, ENTRY)},
        "JUR-02": {
            "allowed": {"cloudflare": "third name server, presigned"},
            "controlled_from": {"cloudflare": "US", "elsewhere": "US"},
        },
    }
)
