"""Words of command lines about DNS: a server, a DS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.cli.running import refuse

if TYPE_CHECKING:
    from loopback_iac.dns.served import Server


def read_server(word: str) -> Server:
    """One --server.

    NAME=192.0.2.1, NAME/POP=192.0.2.1:5353, NAME=2001:db8::1, NAME=[2001:db8::1]:5353.
    """
    from ipaddress import ip_address  # noqa: PLC0415  # small, but only here

    from loopback_iac.dns.served import Server as Found  # noqa: PLC0415  # loads slowly

    name, given, place = word.partition("=")
    name, _, pop = name.partition("/")
    address, port = place, "53"
    if place.startswith("["):
        address, _, port = place[1:].partition("]")
        port = port.removeprefix(":") or "53"
    elif place.count(":") == 1:
        address, _, port = place.partition(":")
    try:
        ip_address(address)
        number = int(port) if port.isascii() and port.isdecimal() else 0
    except ValueError:
        number = 0
    if not (given and name and 0 < number < 65536):
        refuse(
            f"--server {word}: need NAME[/POP]=ADDRESS[:PORT], the address a number\n"
            "  fix: write it like ns1.example.net/fra1=192.0.2.53, or =[2001:db8::53]:5353",
            2,
        )
    return Found(name, pop, address, number)


def read_ds(text: str) -> bytes:
    """One --ds, as wire data."""
    from loopback_iac.dns.rdata import parse_rdata  # noqa: PLC0415  # loads slowly
    from loopback_iac.dns.refusal import Refusal  # noqa: PLC0415  # as above

    try:
        return parse_rdata("DS", text, ".")
    except Refusal as cause:
        refuse(f"--ds: {cause}\n  fix: {cause.fix}", 2)
