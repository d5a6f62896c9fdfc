"""What fields of an ordered machine say about each other; every finding is a Problem."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from loopback_iac.model.places import (
    HETZNER_LOCATIONS,
    HETZNER_RETIRED,
    HETZNER_SIZES,
    IONOS_DISKS,
    IONOS_KINDS,
    IONOS_LOCATIONS,
    IONOS_ZONES,
    Place,
)
from loopback_iac.model.problem import Problem
from loopback_iac.model.reserved import PRIVATE

if TYPE_CHECKING:
    from loopback_iac.model.cloud_host import CloudHost, HetznerHost, IonosHost

TOKEN_LENGTH = 64  # provider.go of terraform-provider-hcloud: any other length is refused
MOST_SOURCES = 100  # CIDRs in one side of a rule, API of Hetzner Cloud
RAM_STEP_MB = 256  # API of IONOS Cloud
# RSA below 2048 bits is refused by the provider; the agent reads what OpenSSH writes
PUBLIC_KEYS = ("ssh-ed25519 ", "ecdsa-sha2-nistp", "ssh-rsa ")


def check_hetzner_token(path: str, token: str) -> list[Problem]:
    """A token that Hetzner's provider would refuse; the token itself is not shown."""
    if len(token) == TOKEN_LENGTH and token.isalnum():
        return []
    got = f"has {len(token)} characters" if len(token) != TOKEN_LENGTH else "has other characters"
    return [
        Problem(
            path,
            got,
            f"{TOKEN_LENGTH} letters and digits",
            "copy the token of the project: Security, API tokens, read and write",
            "hetzner-token",
        )
    ]


def check_ionos_token(path: str, token: str) -> list[Problem]:
    """A token that no header could carry (RFC 6750 section 2.1); IONOS gives its form nowhere."""
    if re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        return []
    fix = "make one with `ionosctl token generate`, or in the DCD: Token Manager"
    got, need = "is no bearer token", "letters, digits and -._~+/="
    return [Problem(path, got, need, fix, "ionos-token")]


def check_hetzner_host(path: str, host: "HetznerHost") -> list[Problem]:
    """Location, size, addresses, ways in."""
    found = _check_every_host(path, host, HETZNER_LOCATIONS)
    if host.server_type not in HETZNER_SIZES and host.size_source is None:
        retired = host.server_type in HETZNER_RETIRED
        got = f"{host.server_type!r} is {'no longer sold in the EU' if retired else 'not listed'}"
        fix = _nearest(host.server_type, HETZNER_SIZES)
        fix += "; or say in size_source where Hetzner documents it"
        found.append(
            Problem(f"{path}.server_type", got, "a size of 2026", fix, "hetzner-server-type")
        )
    if not host.ipv4 and not host.ipv6:
        found.append(
            Problem(
                path,
                "has no public address",
                "ipv4, ipv6 or both",
                "leave ipv4 or ipv6 at true; close ports with inbound and admin_sources",
                "host-address",
            )
        )
    for field in ("admin_sources", "metrics_sources", "tunnel_sources"):
        found += _check_sources(f"{path}.{field}", getattr(host, field) or ())
    for index, inbound in enumerate(host.inbound):
        found += _check_sources(f"{path}.inbound[{index}].sources", inbound.sources)
    return found


def check_ionos_host(path: str, host: "IonosHost") -> list[Problem]:
    """Location, size, disk, ways in."""
    found = _check_every_host(path, host, IONOS_LOCATIONS)
    for field, choices in (
        ("server_type", IONOS_KINDS),
        ("disk_type", IONOS_DISKS),
        ("availability_zone", IONOS_ZONES),
    ):
        given = getattr(host, field)
        if given not in choices:
            got = f"{given!r} is not one of its values"
            fix = _nearest(given, choices)
            found.append(Problem(f"{path}.{field}", got, ", ".join(choices), fix, "field-choice"))
    # `up` dials the IPv4 address, which every IonosHost has
    fields = ["admin_sources", *([] if host.ipv6 else ["metrics_sources", "tunnel_sources"])]
    for field in fields:
        given = getattr(host, field)
        if given and not any(network.version == 4 for network in given):
            found.append(
                Problem(
                    f"{path}.{field}",
                    "names IPv6 networks only",
                    "an IPv4 network; an IonosHost is managed over IPv4"
                    if host.ipv6
                    else "an IPv4 network; this host has no IPv6",
                    "add the networks' IPv4 addresses, or come through a bastion",
                    "ionos-ipv4-only",
                )
            )
    found += _check_private_lan(path, host)
    found += _check_failover(path, host)
    if host.ram_mb % RAM_STEP_MB:
        lower = host.ram_mb // RAM_STEP_MB * RAM_STEP_MB
        found.append(
            Problem(
                f"{path}.ram_mb",
                f"{host.ram_mb} is no multiple of {RAM_STEP_MB}",
                f"steps of {RAM_STEP_MB} MB",
                f"write {max(lower, RAM_STEP_MB)} or {lower + RAM_STEP_MB}",
                "ionos-ram-step",
            )
        )
    return found


def _check_private_lan(path: str, host: "IonosHost") -> list[Problem]:
    lan, found = host.private_network, list[Problem]()
    if lan is None:
        return found
    if not host.datacenter_id:
        found.append(
            Problem(
                f"{path}.datacenter_id",
                "is missing beside private_network: this host would stand in a data centre alone",
                "the data centre that the LAN lies in",
                "write its id, or remove private_network",
                "ionos-private-lan",
            )
        )
    if not any(lan.ip in network for network in PRIVATE):
        found.append(
            Problem(
                f"{path}.private_network.ip",
                f"{lan.ip} is no private address",
                "an address of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10",
                "write an address of the LAN's network; public ones come from reserved blocks",
                "ionos-private-lan",
            )
        )
    return found


def _check_failover(path: str, host: "IonosHost") -> list[Problem]:
    """A shared LAN is somebody's, and an address in it is reserved by one host."""
    found = []
    if host.lan_id and not host.datacenter_id:
        need, fix = "datacenter_id beside it", "name the data centre that the LAN is in"
        got = "does not say in which data centre"
        found.append(Problem(f"{path}.lan_id", got, need, fix, "ionos-lan"))
    if host.lan_id and host.ipv6:
        need, fix = "no ipv6", "leave ipv6 out; tunnels and services take IPv4"
        got = "asks for IPv6 in a LAN that others share, whose networks this host does not know"
        found.append(Problem(f"{path}.ipv6", got, need, fix, "ionos-lan"))
    shares = "failover" if host.failover else "failover_ipv4" if host.failover_ipv4 else ""
    if shares and not host.lan_id:
        need, fix = "lan_id", "give all hosts that share the address one public compute.Lan"
        got = "is of no use in a LAN of this host alone"
        found.append(Problem(f"{path}.{shares}", got, need, fix, "ionos-failover"))
    if host.failover and host.failover_ipv4:
        got = "this host reserves an address and is given one"
        fix = "leave failover_ipv4 out of the host that reserves it"
        found.append(Problem(f"{path}.failover_ipv4", got, "", fix, "ionos-failover"))
    return found


def _check_every_host(path: str, host: "CloudHost", places: Mapping[str, Place]) -> list[Problem]:
    return [*_check_place(path, host, places), *_check_identity(path, host)]


def _check_place(path: str, host: "CloudHost", places: Mapping[str, Place]) -> list[Problem]:
    place = places.get(host.location)
    if place is None:
        got, need = f"{host.location!r} is no location", ", ".join(places)
        fix = _nearest(host.location, places)
        return [Problem(f"{path}.location", got, need, fix, "location-unknown")]
    if host.allowed_countries is None or place.country in host.allowed_countries:
        return []
    inside = [name for name, other in places.items() if other.country in host.allowed_countries]
    fix = f"choose {', '.join(inside)}" if inside else "this provider has no location there"
    return [
        Problem(
            f"{path}.location",
            f"{host.location} ({place.city}) stands in {place.country}",
            f"a country of allowed_countries ({', '.join(host.allowed_countries) or 'none'})",
            fix,
            "location-jurisdiction",
        )
    ]


def _check_identity(path: str, host: "CloudHost") -> list[Problem]:
    """The deploy key: its private half, or an agent that holds it and the public half."""
    public = host.ssh_public_key
    if public is not None and not public.startswith(PUBLIC_KEYS):
        return [
            Problem(
                f"{path}.ssh_public_key",
                "is no public key",
                "one line as in authorized_keys",
                "take the line of the .pub file that belongs to the deploy key",
                "deploy-key",
            )
        ]
    if host.ssh_private_key and host.ssh_agent_socket is None:
        return []
    if not host.ssh_private_key and host.ssh_agent_socket is not None and public is not None:
        return []
    return [
        Problem(
            path,
            "does not say who logs in",
            "ssh_private_key, or ssh_agent_socket with ssh_public_key",
            "give the deploy key as a secret, or the agent that holds it with its public half",
            "deploy-key",
        )
    ]


def _check_sources(path: str, sources: Sequence[object]) -> list[Problem]:
    if len(sources) <= MOST_SOURCES:
        return []
    return [
        Problem(
            path,
            f"names {len(sources)} networks",
            f"at most {MOST_SOURCES}, which is what one rule of Hetzner's firewall takes",
            "write wider networks, or come through a bastion",
            "firewall-sources",
        )
    ]


def _nearest(given: str, choices: Iterable[str]) -> str:
    close = difflib.get_close_matches(given, list(choices), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else "choose one of them"
