"""Args of a fleet of any width: so many PoPs, four workers and two services for each of them."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any

PER_POOL = 4
V4, V6 = "203.0.113", "2001:db8:100:"
# 5 checks a second from each PoP to each worker: at 50 PoPs 1,000 from a PoP, 250 to a worker
INTERVAL_MS = 200
RTT_MS = 5


def host_key(name: str) -> str:
    """A public key that nobody has the private half of."""
    parts = (b"ssh-ed25519", hashlib.sha256(name.encode()).digest())
    blob = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def machine(name: str, number: int) -> dict[str, Any]:
    """A machine of metal; 198.18.0.0/15 is for tests like this (RFC 2544)."""
    return {
        "ipv4": f"198.18.{number // 250}.{number % 250 + 1}",
        "ipv6": f"2001:db8:1::{number + 1:x}",
        "host_key": host_key(name),
        "country": "DE",
        "site": f"site-{number}",
    }


def machines(count: int) -> dict[str, dict[str, Any]]:
    """Every machine of a fleet of `count` PoPs, PoPs first."""
    names = [f"pop{n}" for n in range(1, count + 1)]
    names += [f"w{n}" for n in range(1, PER_POOL * count + 1)]
    return {name: machine(name, number) for number, name in enumerate(names)}


def upstream(pop: int, carrier: int, md5: object) -> dict[str, Any]:
    """A carrier's order form."""
    return {
        "asn": 64495 + carrier,
        "interface": f"eth{carrier}",
        "local_v4": f"198.19.{pop}.{2 * carrier + 1}",
        "neighbor_v4": f"198.19.{pop}.{2 * carrier}",
        "local_v6": f"2001:db8:ff:{pop:x}::{carrier}:1",
        "neighbor_v6": f"2001:db8:ff:{pop:x}::{carrier}:2",
        "md5": md5,
        "communities": {"blackhole": {"use": "blackhole", "source": "an order form"}},
    }


def service(number: int, port: int) -> dict[str, Any]:
    """A port of the VIP of one pool; the first of the pool's two carries the check."""
    made = {"vip": f"v{number}", "port": port, "pool": f"p{number}", "worker_port": 8000 + port}
    return made | ({"health": {"interval_ms": INTERVAL_MS}} if port == 443 else {})


def fleet(hosts: dict[str, Any], count: int, md5: object) -> dict[str, Any]:
    """
    Args of AnycastEdge.

    In: hosts by name, as `machines` names them: what each of them gives as `host`.
    """
    numbers = range(1, count + 1)
    pools = {
        f"p{n}": {
            "workers": {
                f"w{k}": {"host": hosts[f"w{k}"], "node_id": k, "rtt_ms": RTT_MS}
                for k in range(PER_POOL * (n - 1) + 1, PER_POOL * n + 1)
            }
        }
        for n in numbers
    }
    return {
        "asn": 64500,
        "admin_sources": ["192.0.2.16/28"],
        "prefixes": {"v4": {"cidr": f"{V4}.0/24"}, "v6": {"cidr": f"{V6}:/48"}},
        "vips": {f"v{n}": {"addresses": [f"{V4}.{n}", f"{V6}:{n}"]} for n in numbers},
        "pops": {
            f"pop{n}": {
                "host": hosts[f"pop{n}"],
                "node_id": n,
                "upstreams": {f"t{c}": upstream(n, c, md5) for c in (1, 2)},
            }
            for n in numbers
        },
        "pools": pools,
        "services": {f"s{n}-{port}": service(n, port) for n in numbers for port in (443, 853)},
    }
