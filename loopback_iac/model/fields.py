"""The kinds of field an operator writes, each with its own refusal.

A refusal is a PydanticCustomError whose type is the rule id; structure.py turns it into a Problem.
Numbers may arrive as floats: Pulumi's protocol knows only doubles, so 64500.0 is 64500.
"""

import re
from collections.abc import Mapping
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Annotated, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

T = TypeVar("T")
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1035 2.3.1 with RFC 1123 2.1


class Value(BaseModel):
    """A part of the fleet: frozen, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


def refuse(rule: str, got: str, need: str, fix: str) -> NoReturn:
    """Refuse the field being parsed.

    Raises: PydanticCustomError carrying rule, got, need and fix.
    """
    raise PydanticCustomError(
        rule,
        "{got}; expected {need}",
        {"got": got, "need": need, "fix": fix},
    )


def described(value: object) -> str:
    """Value and kind of what was given, in the words of YAML."""
    match value:
        case bool():
            return f"{str(value).lower()} is a boolean"
        case int() | float():
            return f"{value} is a number"
        case str():
            return f"{value!r} is a string"
        case Mapping():
            return f"a map with {len(value)} entries"
        case list() | tuple():
            return f"a list of {len(value)}"
        case _:
            return f"a value of type {type(value).__name__}"


def _integral(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _number(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _given(value: object) -> bool:
    if value is None:
        refuse(
            "late-value-missing",
            "is declared but holds nothing",
            "a value, at the latest when the program runs",
            "set it in the stack's config (a secret: `pulumi config set --secret`)",
        )
    return True


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _asn(value: object) -> object:
    value = _integral(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    # RFC 7607 (0), RFC 6793 (23456), RFC 7300 (last of each range)
    if not 0 < value < 2**32 or value in {23456, 65535, 2**32 - 1}:
        refuse(
            "asn-range",
            f"{value} is not an AS number a router may use",
            "1 to 4294967294 without 23456 and 65535",
            "write the AS number from your registry, or the one your upstream names",
        )
    return value


def _port(value: object) -> object:
    value = _integral(value)
    if isinstance(value, int) and not isinstance(value, bool) and not 0 < value < 65536:
        refuse("port-range", f"{value} is not a port", "1 to 65535", "write a port in that range")
    return value


def _address(value: object) -> object:
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    if not isinstance(value, str):
        refuse("field-type", described(value), "a string", "write the address as a string")
    try:
        return ip_address(value)
    except ValueError:
        refuse(
            "address-syntax",
            f"{value!r} is not an address",
            "an IPv4 or IPv6 address without a length",
            "write one address, for example 203.0.113.10 or 2001:db8:100::10",
        )


def _address_v4(value: object) -> object:
    address = _address(value)
    if isinstance(address, IPv6Address):
        refuse(
            "family-mixed",
            f"{address} is an IPv6 address",
            "an IPv4 address",
            "move it to the field that ends in v6, or write the IPv4 address here",
        )
    return address


def _address_v6(value: object) -> object:
    address = _address(value)
    if isinstance(address, IPv4Address):
        refuse(
            "family-mixed",
            f"{address} is an IPv4 address",
            "an IPv6 address",
            "move it to the field that ends in v4, or write the IPv6 address here",
        )
    return address


def _network(value: object) -> object:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        refuse("field-type", described(value), "a string", "write the network as a string")
    try:
        loose = ip_network(value, strict=False)
    except ValueError:
        refuse(
            "prefix-syntax",
            f"{value!r} is not a network",
            "address/length",
            "write a network, for example 203.0.113.0/24 or 2001:db8:100::/48",
        )
    if "/" in value and ip_address(value.split("/", maxsplit=1)[0]) != loose.network_address:
        refuse(
            "prefix-network-aligned",
            f"{value} has host bits set",
            str(loose),
            "write the network address",
        )
    return loose


def reaches_nobody(address: Address) -> bool:
    """Whether an address leads to no single host from elsewhere."""
    return (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
    )


def matching(pattern: str, rule: str, got: str, need: str, fix: str) -> BeforeValidator:
    """Text of one form; what is no text is left to the type.

    In: pattern, of the whole text; got, what it is not: it follows the text that was given.
    """
    form = re.compile(pattern)

    def check(value: object) -> object:
        if isinstance(value, str) and not form.fullmatch(value):
            refuse(rule, f"{value!r} {got}", need, fix)
        return value

    return BeforeValidator(check)


def _line(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or not value.isprintable()):
        refuse(
            "text-one-line",
            "an empty text" if not value.strip() else "a text with control characters",
            "one line of readable text",
            "write a sentence, or leave the field out",
        )
    return value


def _admin_sources(networks: tuple[Network, ...]) -> tuple[Network, ...]:
    if not networks:
        refuse(
            "admin-sources-empty",
            "nobody could log in after the first change",
            "at least one network that may use SSH",
            "name the networks your operators come from, for example 198.51.100.0/28",
        )
    return _not_everybody(
        networks,
        "admin-source-too-wide",
        "opens SSH to everybody",
        "name the networks your operators come from, or a bastion's address",
    )


def _metrics_sources(networks: tuple[Network, ...]) -> tuple[Network, ...]:
    return _not_everybody(
        networks,
        "metrics-source-too-wide",
        "shows everybody what your fleet carries and where it hurts",
        "name the network or address your Prometheus scrapes from",
    )


def _update_sources(networks: tuple[Network, ...]) -> tuple[Network, ...]:
    if not networks:
        refuse(
            "update-sources-empty",
            "no update would be let in",
            "at least one network or address that updates come from",
            "name where the client runs, for example 198.51.100.0/28",
        )
    return _not_everybody(
        networks,
        "update-source-too-wide",
        "shows the hidden primary to everybody",
        "name the networks or addresses your updates come from",
    )


def _not_everybody(
    networks: tuple[Network, ...], rule: str, harm: str, fix: str
) -> tuple[Network, ...]:
    for network in networks:
        if network.prefixlen == 0:
            refuse(rule, f"{network} {harm}", "networks of your own", fix)
    return networks


Int = Annotated[int, BeforeValidator(_integral)]
Number = Annotated[float, BeforeValidator(_number)]
Given = Annotated[bool, BeforeValidator(_given)]
"""A late value (a secret, an output of another resource): only its presence is looked at."""
Asn = Annotated[int, BeforeValidator(_asn)]
Port = Annotated[int, BeforeValidator(_port)]
AnyAddress = Annotated[Address, BeforeValidator(_address)]
AddressV4 = Annotated[IPv4Address, BeforeValidator(_address_v4)]
AddressV6 = Annotated[IPv6Address, BeforeValidator(_address_v6)]
AnyNetwork = Annotated[Network, BeforeValidator(_network)]
Interface = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}",  # Linux IFNAMSIZ: 15 characters
        "interface-name",
        "is no interface name",
        "1 to 15 letters, digits, '.', '_' or '-'",
        "write the name that `ip -br link` prints on that host",
    ),
]
Line = Annotated[str, BeforeValidator(_line)]
Several = Annotated[tuple[T, ...], BeforeValidator(_tuple)]
"""A list as it arrives, frozen."""
AddressList = Several[AnyAddress]
NetworkList = Several[AnyNetwork]
AdminSources = Annotated[NetworkList, AfterValidator(_admin_sources)]
MetricsSources = Annotated[NetworkList, AfterValidator(_metrics_sources)]
UpdateSources = Annotated[NetworkList, AfterValidator(_update_sources)]
Server = Annotated[
    str,
    matching(
        r"[A-Za-z0-9:]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?",
        "server-name",
        "is neither a host name nor an address",
        "a DNS name or an address",
        "write it as in time.example.net or 198.18.250.11",
    ),
]
Country = Annotated[
    str,
    matching(
        r"[A-Z]{2}",
        "country-code",
        "is no country code",
        "two capitals of ISO 3166-1",
        "for example DE or FR",
    ),
]
ServerList = Several[Server]
LineList = Several[Line]
