"""Firewalls and what they are applied to."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.cloud.hetzner.machines import CLOUD, refresh
from loopback_iac.lab.cloud.hetzner.words import check_labels, check_new, find, refuse, rename
from loopback_iac.lab.cloud.kinds import ApiError, Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Failures

_DIRECTIONS = ("in", "out")
_PROTOCOLS = ("tcp", "udp", "icmp", "esp", "gre")
# Limits of the API's operation "Set Rules"
MOST_RULES, MOST_NETS = 50, 100


def check_rules(rules: list[dict[str, Any]]) -> Failures:
    """
    What the provider refuses in rules.

    Sources: terraform-provider-hcloud internal/firewall/resource.go (texts), the API's limits.
    """
    found = []
    if len(rules) > MOST_RULES:
        found.append(("rules", f"at most {MOST_RULES} rules per firewall, got {len(rules)}"))
    for at, rule in enumerate(rules):
        place = f"rules[{at}]"
        if rule.get("direction") not in _DIRECTIONS:
            found.append((place, f"{rule.get('direction')} is not a valid direction"))
        if rule.get("protocol") not in _PROTOCOLS:
            found.append((place, f"{rule.get('protocol')} is not a valid protocol"))
        elif (rule["protocol"] in ("tcp", "udp")) != bool(rule.get("port")):
            found.append((place, "port is required for tcp and udp, and for these only"))
        for side in ("sourceIps", "destinationIps"):
            nets = rule.get(side) or []
            found += [(f"{place}.{side}", text) for net in nets if (text := _check_net(net))]
            if len(nets) > MOST_NETS:
                found.append((f"{place}.{side}", f"at most {MOST_NETS} networks"))
    return found


def _check_net(text: str) -> str:
    try:
        start = ip_network(text, strict=False)
    except ValueError:
        return f"invalid CIDR address: {text}"
    if str(start.network_address) != text.partition("/")[0].lower():
        return f"{text} is not the start of the cidr block {start}"
    return ""


def apply_filters(account: Account, book: Book) -> None:
    """Bring the cloud's nftables in line with all firewalls of the book."""
    for ident in book.of("server"):
        refresh(book, ident)
    account.ground.filter(book, CLOUD.name)


class Firewalls:
    """terraform-provider-hcloud internal/firewall."""

    kind = Kind(
        "hcloud:index/firewall:Firewall",
        "firewall",
        parse_fields("""
            name string
            labels map
            rules list
            applyTos list
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        found = check_labels(news) + check_rules(news.get("rules", []))
        if len(news.get("name", "")) > 128:
            found.append(("name", "expected length of name to be in the range (0 - 128)"))
        return found

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "firewall", news["name"]) as book:
            check_new(self._account, book, "firewall", news["name"])
            ident = book.next_id()
            firewall = {
                "name": news["name"],
                "labels": news.get("labels", {}),
                "rules": _plain_rules(news),
                "applied": [_target(book, to) for to in news.get("applyTos", [])],
            }
            book.of("firewall")[ident] = firewall
            apply_filters(self._account, book)
        return ident, {}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "firewall", olds.get("name", "")) as book:
            firewall = book.of("firewall").get(ident)
            if firewall is None:
                return None
            # rules with bare addresses are kept as the program wrote them while they mean the same
            same = _plain_rules(olds) == firewall["rules"]
            rules = olds.get("rules", []) if same else firewall["rules"]
            return {"name": firewall["name"], "labels": firewall["labels"], "rules": rules}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "firewall", olds.get("name", "")) as book:
            firewall = find(book, "firewall", ident)
            rename(book, "firewall", firewall, news["name"])
            firewall["labels"] = news.get("labels", {})
            # removing every rule is silently skipped by the provider (GetOk says there is none)
            if news.get("rules"):
                firewall["rules"] = _plain_rules(news)
            if news.get("applyTos") != olds.get("applyTos"):
                former = [_target(book, to) for to in olds.get("applyTos", [])]
                kept = [to for to in firewall["applied"] if to not in former]
                firewall["applied"] = kept + [_target(book, to) for to in news.get("applyTos", [])]
            apply_filters(self._account, book)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """The provider takes it off everything first; one that is gone makes the plugin panic."""
        with self._account.call("delete", "firewall", olds.get("name", "")) as book:
            find(book, "firewall", ident)
            del book.of("firewall")[ident]
            apply_filters(self._account, book)


class FirewallAttachments:
    """terraform-provider-hcloud internal/firewall: one attachment holds all of a firewall's."""

    kind = Kind(
        "hcloud:index/firewallAttachment:FirewallAttachment",
        "firewall_attachment",
        parse_fields("""
            firewallId int required replaces
            serverIds ints
            labelSelectors list
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        """Nothing beyond the schema."""
        del news
        return []

    def create(self, news: Values) -> tuple[str, Values]:
        self._apply("create", str(news["firewallId"]), news)
        return str(news["firewallId"]), {}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "firewall_attachment", ident) as book:
            firewall = book.of("firewall").get(ident)
            if firewall is None:
                return None
            found: Values = {"firewallId": int(ident)}
            servers = sorted(to["server"] for to in firewall["applied"] if "server" in to)
            selectors = [to["labelSelector"] for to in firewall["applied"] if "server" not in to]
            if servers or "serverIds" in olds:
                same = sorted(olds.get("serverIds", [])) == servers
                found["serverIds"] = olds.get("serverIds") if same else servers
            if selectors or "labelSelectors" in olds:
                found["labelSelectors"] = selectors
            return found

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        del olds
        self._apply("update", ident, news)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        del olds
        with self._account.call("delete", "firewall_attachment", ident) as book:
            find(book, "firewall", ident)["applied"] = []
            apply_filters(self._account, book)

    def _apply(self, verb: str, ident: str, news: Values) -> None:
        if not news.get("serverIds") and not news.get("labelSelectors"):
            raise ApiError("", "no resources referenced")
        with self._account.call(verb, "firewall_attachment", ident) as book:
            firewall = find(book, "firewall", ident)
            servers = [{"server": server} for server in news.get("serverIds", [])]
            for to in servers:
                if str(to["server"]) not in book.of("server"):
                    raise refuse("not_found", f"server with ID '{to['server']}' not found")
            # a set difference against everything applied: what others applied goes
            firewall["applied"] = servers + [
                {"labelSelector": selector} for selector in news.get("labelSelectors", [])
            ]
            apply_filters(self._account, book)


def _target(book: Book, to: Values) -> Thing:
    if to.get("server"):
        find(book, "server", to["server"])
        return {"server": to["server"]}
    return {"labelSelector": to["labelSelector"]}


def _plain_rules(news: Values) -> list[Thing]:
    """Rules as the API keeps them: bare addresses become /32 and /128, lower case."""
    return [
        {
            **rule,
            **{
                side: [str(ip_network(net)) for net in rule[side]]
                for side in ("sourceIps", "destinationIps")
                if rule.get(side)
            },
        }
        for rule in news.get("rules", [])
    ]
