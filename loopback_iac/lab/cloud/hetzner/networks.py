"""Private networks: ranges, subnets, servers in them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.cloud.hetzner.catalog import ZONES
from loopback_iac.lab.cloud.hetzner.words import (
    check_labels,
    check_new,
    find,
    refuse,
    refuse_protected,
    rename,
)
from loopback_iac.lab.cloud.kinds import Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book
    from loopback_iac.lab.cloud.kinds import Failures

# RFC 1918
_PRIVATE = tuple(ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_RESERVED = "172.31.1.1"


class Networks:
    """terraform-provider-hcloud internal/network."""

    kind = Kind(
        "hcloud:index/network:Network",
        "network",
        parse_fields("""
            ipRange string required replaces
            name string
            labels map
            deleteProtection bool =false
            exposeRoutesToVswitch bool =false
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        """Text: terraform-provider-hcloud internal/network/resource.go parses it as a CIDR."""
        return check_labels(news) + _check_range(news)

    def create(self, news: Values) -> tuple[str, Values]:
        whole = ip_network(news["ipRange"])
        inside = any(whole.version == 4 and whole.subnet_of(net) for net in _PRIVATE)  # type: ignore[arg-type]  # versions are compared first
        if not inside or whole.prefixlen > 24:
            raise refuse(
                "invalid_input", "invalid input in field 'ip_range': RFC 1918, /24 or larger"
            )
        with self._account.call("create", "network", news["name"]) as book:
            check_new(self._account, book, "network", news["name"])
            ident = book.next_id()
            book.of("network")[ident] = {"labels": {}, **news}
        return ident, {}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "network", olds.get("name", "")) as book:
            return book.of("network").get(ident)

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "network", olds.get("name", "")) as book:
            network = find(book, "network", ident)
            rename(book, "network", network, news["name"])
            book.of("network")[ident] = {"labels": {}, **news}
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        with self._account.call("delete", "network", olds.get("name", "")) as book:
            if network := book.of("network").get(ident):
                refuse_protected(network, "network")
                if attached(book, ident):
                    raise refuse("resource_in_use", "network has attached resources")
                del book.of("network")[ident]


class NetworkSubnets:
    """terraform-provider-hcloud internal/network/resource_subnet.go."""

    kind = Kind(
        "hcloud:index/networkSubnet:NetworkSubnet",
        "network_subnet",
        parse_fields("""
            networkId int required replaces
            type string required replaces
            networkZone string required replaces
            ipRange string required replaces
            vswitchId int replaces
            gateway string computed
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        found = _check_range(news)
        if news.get("type", "cloud") not in ("cloud", "server", "vswitch"):
            found.append(("type", f"{news['type']} is not a valid subnet type"))
        return found

    def create(self, news: Values) -> tuple[str, Values]:
        subnet = ip_network(news["ipRange"])
        with self._account.call("create", "network_subnet", news["ipRange"]) as book:
            network = find(book, "network", news["networkId"])
            whole = ip_network(network["ipRange"])
            if subnet.version != 4 or not subnet.subnet_of(whole) or subnet.prefixlen > 30:  # type: ignore[arg-type]  # versions are compared first
                raise refuse("invalid_input", "invalid input in field 'ip_range'")
            if news["networkZone"] not in ZONES.values():
                raise refuse("invalid_input", "invalid input in field 'network_zone'")
            others = [
                s
                for s in book.of("network_subnet").values()
                if s["network"] == str(news["networkId"])
            ]
            if any(ip_network(s["ipRange"]).overlaps(subnet) for s in others):
                raise refuse("networks_overlap", "subnets overlap")
            ident = f"{news['networkId']}-{news['ipRange']}"
            # the first address of the network is its gateway
            subnet_thing = {**news, "network": str(news["networkId"]), "gateway": str(whole[1])}
            book.of("network_subnet")[ident] = subnet_thing
        return ident, {"gateway": str(whole[1])}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "network_subnet", olds.get("ipRange", "")) as book:
            found = book.of("network_subnet").get(ident)
            return found and {key: value for key, value in found.items() if key != "network"}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        """Never asked for: every property replaces."""
        del ident, olds
        return {"gateway": news.get("gateway", "")}

    def delete(self, ident: str, olds: Values) -> None:
        with self._account.call("delete", "network_subnet", olds.get("ipRange", "")) as book:
            network, _, net = ident.partition("-")
            ips = [a["ip"] for a in attached(book, network)]
            if any(ip_address(ip) in ip_network(net) for ip in ips):
                raise refuse("conflict", "servers are attached")
            book.of("network_subnet").pop(ident, None)


def _check_range(news: Values) -> Failures:
    if "ipRange" not in news:
        return []  # of a value that is known only later there is nothing to check
    try:
        ip_network(news["ipRange"])
    except ValueError as error:
        return [("ipRange", f"invalid CIDR address: {error}")]
    return []


def attached(book: Book, network: str) -> list[dict[str, Any]]:
    """Attachments of servers to a network."""
    return [
        attachment
        for server in book.of("server").values()
        for attachment in server.get("networks", [])
        if str(attachment["networkId"]) == network
    ]


def attach(book: Book, ident: str, wanted: Values) -> Values:
    """
    What a server has in a network: the address that was asked for, or the lowest free one.

    In: wanted, with networkId or subnetId, perhaps ip and aliasIps.
    Out: networkId, ip, macAddress, aliasIps.
    Raises: ApiError as the API's operation "Attach a Server to a Network" has them.
    """
    network = str(wanted.get("networkId") or str(wanted.get("subnetId", "")).partition("-")[0])
    whole = find(book, "network", network)
    subnets = [
        ip_network(s["ipRange"])
        for s in book.of("network_subnet").values()
        if s["network"] == network
    ]
    if not subnets:
        raise refuse("no_subnet_available", "network has no subnet")
    taken = {a["ip"] for a in attached(book, network)}
    taken |= {str(ip_network(whole["ipRange"])[1]), _RESERVED}
    ip = wanted.get("ip") or next(
        (str(host) for net in subnets for host in net.hosts() if str(host) not in taken), ""
    )
    if not ip or ip in taken or not any(ip_address(ip) in net for net in subnets):
        raise refuse("ip_not_available", f"IP {ip or '(any)'} is not available")
    raw = int(ident) << 8 | int(network) & 255
    mac = "86:00:" + ":".join(f"{raw >> shift & 255:02x}" for shift in (24, 16, 8, 0))
    aliases = wanted.get("aliasIps", [])
    return {"networkId": int(network), "ip": ip, "macAddress": mac, "aliasIps": aliases}
