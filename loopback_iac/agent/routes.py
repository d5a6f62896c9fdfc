"""Own prefixes live in a routing table of their own; the hoster's default and management stay
untouched.

A network namespace, and with it every rule and address, can outlive the host that set them: the
verb compares what
is there with what shall be there and changes only the difference. Ours is what carries our rule
priorities or, on
lo, our address protocol number.
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from .bundle import parse_json
from .programs import must, run
from .refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUTES = "/etc/loopback/routes.json"
TABLE = 100
RULE_FROM, RULE_TO = 1000, 1001
# Protocol number of our static routes and addresses; 250 is unassigned in iproute2's rt_protos.
PROTOCOL = 250
OURS = (str(PROTOCOL), hex(PROTOCOL))  # `ip` prints a route's in decimal and an address's in hex
# BIRD's default route has metric 32 and wins; with no transit nothing may leave by the hoster.
LAST_METRIC = 65535


class Routes(NamedTuple):
    """What routes.json declares."""

    prefixes: tuple[str, ...]
    vips: tuple[str, ...]


def parse_routes(content: bytes) -> Routes:
    """Read routes.json; a hosted prefix has VIPs, but follows the hoster's own routes.

    Raises: RefusedError naming the entry that is no network or a VIP outside every prefix.
    """
    value = parse_json(content, "routes.json")
    prefixes, vips, hosted = value.get("prefixes"), value.get("vips"), value.get("hosted", [])
    if not (isinstance(prefixes, list) and isinstance(vips, list) and isinstance(hosted, list)):
        raise RefusedError("routes.json needs the lists prefixes and vips")
    try:
        networks = [ipaddress.ip_network(prefix) for prefix in prefixes]
        around = networks + [ipaddress.ip_network(prefix) for prefix in hosted]
        addresses = [ipaddress.ip_interface(vip).ip for vip in vips]
    except (ValueError, TypeError) as wrong:
        raise RefusedError(f"routes.json: {wrong}") from wrong
    for address in addresses:
        if not any(address in network for network in around):
            raise RefusedError(f"routes.json: the VIP {address} is in none of its prefixes")
    return Routes(
        tuple(sorted(map(str, networks))),
        tuple(sorted(f"{address}/{address.max_prefixlen}" for address in addresses)),
    )


def read_routes(path: str = ROUTES) -> Routes:
    """The routes that shall stand; none when the file is gone."""
    try:
        with open(path, "rb") as stream:
            return parse_routes(stream.read())
    except FileNotFoundError:
        return Routes((), ())


def _json(*argv: str) -> list[dict[str, Any]]:
    out = must("ip", "-j", *argv)
    return [entry for entry in json.loads(out or "[]") if entry]


def _family(networks: Iterable[str], version: int) -> list[str]:
    return [text for text in networks if ipaddress.ip_interface(text).version == version]


def _whole(shown: str) -> str:
    """A network as we write it; `ip` leaves out the length of a single address."""
    return shown if shown in ("all", "default") else str(ipaddress.ip_network(shown))


def plan_rules(wanted: Iterable[str], found: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Rules to delete and to add, as words for `ip rule`.

    In:  own prefixes of one family; `ip -j rule` of that family.
    """
    shall = set()
    for prefix in wanted:
        shall |= {(RULE_FROM, "from", prefix), (RULE_TO, "to", prefix)}
    there = set()
    stale = []
    for rule in found:
        if rule["priority"] not in (RULE_FROM, RULE_TO):
            continue
        way = "from" if rule["priority"] == RULE_FROM else "to"
        side, length = ("src", "srclen") if way == "from" else ("dst", "dstlen")
        shown = rule.get(side, "all")
        network = _whole(f"{shown}/{rule[length]}" if length in rule else shown)
        key = (rule["priority"], way, network)
        if key in shall and key not in there and str(rule.get("table")) == str(TABLE):
            there.add(key)
        else:
            stale.append(
                f"pref {rule['priority']}" + (f" {way} {network}" if network != "all" else "")
            )
    fresh = [f"pref {pref} {way} {net} lookup {TABLE}" for pref, way, net in sorted(shall - there)]
    return stale, fresh


def set_routes(routes: Routes) -> list[str]:
    """Make rules, aggregates and VIP addresses stand as declared.

    Out: the `ip` lines that were needed; empty when all stood already.
    Raises: RefusedError with ip's own complaint.
    """
    lines = {4: _lines(routes, 4), 6: _lines(routes, 6)}
    for version, batch in lines.items():
        if batch:
            must("ip", f"-{version}", "-batch", "-", stdin="\n".join(batch) + "\n")
    return lines[4] + lines[6]


def _lines(routes: Routes, version: int) -> list[str]:
    prefixes, vips = _family(routes.prefixes, version), _family(routes.vips, version)
    found = _json(f"-{version}", "addr", "show", "dev", "lo")
    held = {
        f"{entry['local']}/{entry['prefixlen']}": str(entry.get("protocol", ""))
        for link in found for entry in link.get("addr_info", [])
    }  # fmt: skip
    lines = [
        f"addr del {address} dev lo"
        for address, protocol in held.items()
        if protocol in OURS and address not in vips
    ]
    lines += [f"addr add {vip} dev lo proto {PROTOCOL}" for vip in vips if vip not in held]
    stale, fresh = plan_rules(prefixes, _json(f"-{version}", "rule", "show"))
    lines += [f"rule del {rule}" for rule in stale] + [f"rule add {rule}" for rule in fresh]
    return lines + _table_lines(prefixes, version)


def _table_lines(prefixes: list[str], version: int) -> list[str]:
    shall = {f"{prefix} metric {LAST_METRIC}" for prefix in prefixes} if prefixes else set()
    if prefixes:
        shall.add(f"default metric {LAST_METRIC}")
    # `ip` fails for a table nobody has written to yet
    told = run(
        "ip", "-j", f"-{version}", "route", "show", "table", str(TABLE), "proto", str(PROTOCOL)
    )
    found = json.loads(told.out or "[]") if told.code == 0 else []
    there = {f"{_whole(route['dst'])} metric {route.get('metric', 0)}" for route in found}
    gone = [
        f"route del unreachable {route} table {TABLE} proto {PROTOCOL}"
        for route in sorted(there - shall)
    ]
    return gone + [
        f"route replace unreachable {route} table {TABLE} proto {PROTOCOL}"
        for route in sorted(shall - there)
    ]


def check_routes(routes: Routes) -> list[str]:
    """What is missing or too much, as `ip` lines; changes nothing."""
    return _lines(routes, 4) + _lines(routes, 6)
