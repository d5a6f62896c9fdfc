"""gateway.json as values: groups of nodes, their addresses, and where the Kubernetes API is."""

from __future__ import annotations

import ipaddress
import re
import ssl
import urllib.parse
from typing import Any, NamedTuple

from .bundle import parse_json
from .refusal import RefusedError

GATEWAY = "/etc/loopback/gateway.json"
CREDENTIAL = "/etc/loopback/gateway-credential"
LAYER_2, ROUTED = "layer-2", "routed"
ANNOUNCED = (LAYER_2, ROUTED)
SHORTEST_S = 0.5
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,8192}")


class Timing(NamedTuple):
    """All of it follows from how long a lease is good.

    A holder has let go `give_up_s` after the begin of its last renewal; nobody takes a lease that
    was renewed less than `lease_s` ago. What lies between is for a slow program.
    """

    lease_s: float

    @property
    def interval_s(self) -> float:
        """Between two renewals, or two looks at the lease."""
        return self.lease_s / 6

    @property
    def lost_s(self) -> float:
        """Without an answer for so long, a node says that it sees no API."""
        return self.lease_s * 0.4

    @property
    def give_up_s(self) -> float:
        """Without a renewal for so long, a holder that is alone lets go."""
        return self.lease_s * 0.8

    @property
    def trust_s(self) -> float:
        """So long another node's word holds. A node that saw no API waits a whole lease after it
        saw it again, so what it said before that is true until then.
        """
        return self.lease_s * 0.5

    @property
    def lifetime_s(self) -> int:
        """After so long the kernel takes the address away from a program that stands still."""
        return int(self.lease_s) + 1


class Node(NamedTuple):
    """A node that may hold the addresses."""

    name: str
    address: str


class Group(NamedTuple):
    """Addresses that one node of several holds; of a single node they stand for ever."""

    name: str
    addresses: tuple[str, ...]
    interface: str  # empty: the card with the node's own address
    announced: str
    nodes: tuple[Node, ...]  # the preferred first
    policies: tuple[str, ...]
    timing: Timing

    @property
    def names(self) -> tuple[str, ...]:
        """Of its nodes, the preferred first."""
        return tuple(node.name for node in self.nodes)

    @property
    def fixed(self) -> bool:
        """Whether there is nobody to take over."""
        return len(self.nodes) == 1

    def address_of(self, name: str) -> str:
        """A node's own address."""
        return next(node.address for node in self.nodes if node.name == name)


class Gateway(NamedTuple):
    """The whole file."""

    node: str
    server: str
    authority: str  # PEM
    namespace: str
    agent: str
    groups: tuple[Group, ...]


def parse_gateway(content: bytes) -> Gateway:
    """Read gateway.json.

    Raises: RefusedError naming what does not fit.
    """
    value = parse_json(content, "gateway.json")
    try:
        found = Gateway(
            str(value["node"]),
            _url(str(value["server"]), "https"),
            str(value["authority"]),
            str(value["namespace"]),
            _url(str(value["agent"]), "http"),
            tuple(_group(entry) for entry in value["groups"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise RefusedError(
            f"gateway.json does not fit format 1: {type(wrong).__name__} {wrong}"
        ) from wrong
    for group in found.groups:
        if found.node not in group.names:
            raise RefusedError(f"gateway.json: {found.node} is no node of group {group.name}")
    if len({group.name for group in found.groups}) < max(len(found.groups), 1):
        raise RefusedError("gateway.json: it needs a group, and each a name of its own")
    return found


def check_authority(found: Gateway) -> None:
    """An empty one would have OpenSSL take the system's CAs.

    Raises: RefusedError for what it does not take as the cluster's.
    """
    if all(group.fixed for group in found.groups):
        return
    try:
        ssl.create_default_context(cadata=found.authority or "none")
    except (ssl.SSLError, ValueError) as wrong:
        raise RefusedError(
            f"gateway.json: `authority` is no certificate in PEM: {wrong}"
        ) from wrong


def check_credential(content: bytes) -> None:
    """Raises: RefusedError for what is neither a token nor a certificate with its key."""
    text = content.decode("ascii", "replace").strip()
    if "-----BEGIN" in text:
        if "-----BEGIN CERTIFICATE-----" not in text or "PRIVATE KEY-----" not in text:
            raise RefusedError("gateway-credential needs a certificate and its key, as one PEM")
    elif not _TOKEN.fullmatch(text):
        raise RefusedError("gateway-credential: a token is letters, digits and -._~+/=")


def _group(entry: dict[str, Any]) -> Group:
    nodes = tuple(
        Node(str(node["name"]), str(ipaddress.ip_address(node["address"])))
        for node in entry["nodes"]
    )
    lease_s = float(entry["lease_s"])
    if entry["announced"] not in ANNOUNCED:
        raise ValueError(f"announced {entry['announced']!r}; there are {', '.join(ANNOUNCED)}")
    if not entry["addresses"] or len({node.name for node in nodes}) < len(nodes):
        raise ValueError("a group needs addresses, and nodes with names of their own")
    if not lease_s >= SHORTEST_S:
        raise ValueError(f"lease_s {lease_s} is shorter than {SHORTEST_S}")
    return Group(
        str(entry["name"]),
        tuple(str(ipaddress.ip_address(address)) for address in entry["addresses"]),
        str(entry["interface"]),
        str(entry["announced"]),
        nodes,
        tuple(str(policy) for policy in entry["policies"]),
        Timing(lease_s),
    )


def _url(url: str, scheme: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != scheme or not parts.hostname or parts.port == 0:
        raise ValueError(f"{url!r} is no {scheme} address")
    return url.rstrip("/")


def read_gateway(path: str = GATEWAY) -> Gateway | None:
    """The file that stands on the host, or None."""
    try:
        with open(path, "rb") as stream:
            return parse_gateway(stream.read())
    except FileNotFoundError:
        return None
