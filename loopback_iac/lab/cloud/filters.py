"""A cloud's own firewall: nftables in the namespace of its router, in front of the servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopback_iac.lab.cloud.book import Machine, Port

TABLE = "inet provider"


def render_filters(machines: Iterable[Machine]) -> str:
    """
    One nftables transaction for the router's namespace; repeating it changes nothing.

    Out: per public card a chain towards the server and one from it. A server may only send from
    addresses that are routed to it, and answers of what it began always come in.
    """
    ports = [port for machine in machines for port in machine.ports if not port.bridge]
    text = f"add table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n"
    for port in ports:
        text += _chain(f"{port.outside}-in", port.inward) if port.inward is not None else ""
        text += _chain(f"{port.outside}-out", port.outward, _sources(port))
    jumps = [f'oifname "{p.outside}" jump {p.outside}-in' for p in ports if p.inward is not None]
    jumps += [f'iifname "{p.outside}" jump {p.outside}-out' for p in ports]
    # what a server sends to its neighbour passes both: out of the one, into the other
    jumps.sort(key=lambda line: line.startswith("oifname"))
    lines = ["type filter hook forward priority filter; policy accept;", *jumps]
    return text + "  chain forward {\n" + "".join(f"    {line}\n" for line in lines) + "  }\n}\n"


def _sources(port: Port) -> list[str]:
    rules = []
    for family, routed in (
        ("ip", [r for r in port.routes if ":" not in r]),
        ("ip6", [r for r in port.routes if ":" in r]),
    ):
        proto = "ipv4" if family == "ip" else "ipv6"
        foreign = f"{family} saddr != {{ {', '.join(routed)} }} " if routed else ""
        rules.append(f"meta nfproto {proto} {foreign}drop")
    return rules


def _chain(name: str, rules: list[str] | None, first: Iterable[str] = ()) -> str:
    """In: rules, what is let through; None: everything."""
    lines = list(first)
    if rules is None:
        lines.append("return")
    else:
        lines += ["ct state established,related return"]
        lines += [f"{rule} return" for rule in rules]
        lines.append("counter drop")
    return f"  chain {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"
