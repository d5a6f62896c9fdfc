"""arbiter.json as values: members, addresses, the check, and where the provider's API is."""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple

from .bundle import parse_json
from .failover import Rules
from .refusal import RefusedError

ARBITER = "/etc/loopback/arbiter.json"
TOKEN = "/etc/loopback/arbiter-token"  # noqa: S105 - where it lies
PROVIDERS = ("hetzner", "ionos")


class Member(NamedTuple):
    """A host that may hold the addresses."""

    name: str
    server: str  # or its card: what the provider says of who holds an address
    address: str


class Arbiter(NamedTuple):
    """The whole file."""

    provider: str
    endpoint: str
    authority: str  # PEM of a CA of one's own; empty: those of the host
    members: tuple[Member, ...]
    addresses: dict[str, str]  # the provider's ids by address
    port: int
    interval_s: float
    timeout_s: float
    rules: Rules


def parse_arbiter(content: bytes) -> Arbiter:
    """Read arbiter.json.

    Raises: RefusedError naming what does not fit.
    """
    value = parse_json(content, "arbiter.json")
    try:
        check = value["check"]
        found = Arbiter(
            str(value["provider"]),
            _endpoint(str(value["endpoint"])),
            str(value.get("authority", "")),
            tuple(_member(entry) for entry in value["members"]),
            {str(ipaddress.ip_address(a)): str(i) for a, i in sorted(value["addresses"].items())},
            int(check["port"]),
            float(check["interval_s"]),
            float(check["timeout_s"]),
            Rules(int(check["fall"]), int(check["rise"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise RefusedError(
            f"arbiter.json does not fit format 1: {type(wrong).__name__} {wrong}"
        ) from wrong
    if found.provider not in PROVIDERS:
        raise RefusedError(
            f"arbiter.json: provider {found.provider!r}; there are {', '.join(PROVIDERS)}"
        )
    if len({member.name for member in found.members}) < 2 or not found.addresses:
        raise RefusedError("arbiter.json needs two members and an address")
    return found


def _member(entry: dict[str, Any]) -> Member:
    address = str(ipaddress.ip_address(entry["address"]))
    return Member(str(entry["name"]), str(entry["server"]), address)


def _endpoint(url: str) -> str:
    import urllib.parse

    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"{url!r} is no https address")
    return url.rstrip("/")


def read_arbiter(path: str = ARBITER) -> Arbiter | None:
    """The file that stands on the host, or None."""
    try:
        with open(path, "rb") as stream:
            return parse_arbiter(stream.read())
    except FileNotFoundError:
        return None
