"""ACC-01, ACC-02: who may come in from the Internet, at the provider's firewall."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from loopback_iac.controls.checks.redundancy import HETZNER, IONOS
from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.stack import failed, inapplicable, passed, unsure
from loopback_iac.controls.tree import ABSENT, UNKNOWN, at, each

if TYPE_CHECKING:
    from loopback_iac.controls.result import Finding
    from loopback_iac.controls.stack import Resource, Stack

FIREWALL = "hcloud:index/firewall:Firewall"
ATTACHMENT = "hcloud:index/firewallAttachment:FirewallAttachment"
IONOS_RULE = "ionoscloud:compute/firewall:Firewall"
PORTS = re.compile(r"(\d+)(?:-(\d+))?")


@CHECKS.resource("ACC-01", FIREWALL, IONOS, IONOS_RULE)
def check_openings(resource: Resource, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Ports of administration are open to named networks, never to everybody."""
    guarded = [int(port) for port in settings["ports"]]
    bad, late = [], []
    rules = list(_rules(resource))
    for title, sources, ports in rules:
        if sources is UNKNOWN or ports is UNKNOWN:
            late.append(title)
        elif sources and (hit := [p for p in guarded if ports[0] <= p <= ports[1]]):
            bad.append(f"{title}: port {', '.join(map(str, hit))} is open to everybody")
    for text in bad:
        yield failed(resource, text)
    if late and not bad:
        yield unsure(resource, late)
    elif rules and not bad:
        yield passed(resource)


@CHECKS.stack("ACC-02")
def check_walls(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every ordered server stands behind a firewall of its provider."""
    for server in stack.of(HETZNER):
        yield _at_hetzner(stack, server)
    for server in stack.of(IONOS):
        active = at(server.facts, "nic", "firewallActive")
        if active is UNKNOWN:
            yield unsure(server, ["nic.firewallActive"])
        elif at(server.facts, "nic") is ABSENT:
            yield inapplicable(f"{server.name} has no card of its own")
        elif active is True:
            yield passed(server)
        else:
            yield failed(server, "the firewall of its card is off")


def _at_hetzner(stack: Stack, server: Resource) -> Finding:
    """Firewalls are named by the server, or attached to it by its id or labels."""
    own, ident = at(server.facts, "firewallIds"), at(server.facts, "id")
    ids = {one for each_ in stack.of(ATTACHMENT) for one in _attached(each_)}
    if own is UNKNOWN:
        return unsure(server, ["firewallIds"])
    if (own is not ABSENT and own) or str(ident) in ids or _by_label(stack, server):
        return passed(server)
    if ids and (None in ids or ident in (UNKNOWN, ABSENT)):
        return unsure(server, ["what firewalls are attached to"])
    return failed(server, "it stands behind no firewall")


def _rules(resource: Resource) -> Iterator[tuple[str, Any, Any]]:
    """(title, whether everybody may, first and last port) of each rule for what comes in by TCP."""
    facts = resource.facts
    if resource.kind == FIREWALL:
        for number, rule in enumerate(each(facts, "rules")):
            if rule is UNKNOWN:
                yield f"rules[{number}]", UNKNOWN, UNKNOWN
            elif at(rule, "direction") == "in" and at(rule, "protocol") == "tcp":
                open_ = _any_everybody(rule)
                yield f"rules[{number}]", open_, _ports(at(rule, "port"))
        return
    rules = each(facts, "nic", "firewalls") if resource.kind == IONOS else [facts]
    for number, rule in enumerate(rules):
        title = f"nic.firewalls[{number}]" if resource.kind == IONOS else "the rule"
        if rule is UNKNOWN:
            yield title, UNKNOWN, UNKNOWN
            continue
        if at(rule, "protocol") not in ("TCP", "ANY") or at(rule, "type") == "EGRESS":
            continue
        source = at(rule, "sourceIp")
        open_ = source if source is UNKNOWN else source is ABSENT or _everybody(source)
        first, last = at(rule, "portRangeStart"), at(rule, "portRangeEnd")
        if UNKNOWN in (first, last):
            yield title, open_, UNKNOWN
        else:
            yield title, open_, (0 if first is ABSENT else first, 65535 if last is ABSENT else last)


def _any_everybody(rule: Any) -> Any:  # noqa: ANN401  # a rule; true, false or UNKNOWN
    sources = at(rule, "sourceIps")
    if sources is UNKNOWN or sources is ABSENT:
        return sources if sources is UNKNOWN else False
    found = list(each(sources))
    if any(_everybody(source) for source in found if source is not UNKNOWN):
        return True
    return UNKNOWN if UNKNOWN in found else False


def _everybody(source: object) -> bool:
    """A network so wide that nobody named it on purpose: /0, or 2000::/3 as IONOS wants it."""
    try:
        network = ip_network(str(source), strict=False)
    except ValueError:
        return False
    return network.prefixlen == 0 or (network.version == 6 and network.prefixlen <= 3)


def _ports(port: Any) -> Any:  # noqa: ANN401  # a text; two numbers or UNKNOWN
    if port is UNKNOWN:
        return UNKNOWN
    found = PORTS.fullmatch(str(port)) if port is not ABSENT else None
    return (int(found[1]), int(found[2] or found[1])) if found else (0, 65535)


def _attached(attachment: Resource) -> set[str | None]:
    """Servers by id; None for one that is not known yet."""
    ids = at(attachment.facts, "serverIds")
    if ids is UNKNOWN:
        return {None}
    found = list(each(ids)) if ids is not ABSENT else []
    return {None if one is UNKNOWN else str(int(one)) for one in found}


def _by_label(stack: Stack, server: Resource) -> bool:
    """Selectors of the form key=value, as Hetzner's are; others are not read."""
    labels = at(server.facts, "labels")
    for attachment in stack.of(ATTACHMENT):
        for selector in each(attachment.facts, "labelSelectors"):
            key, _, value = str(selector).partition("=")
            if isinstance(labels, Mapping) and value and labels.get(key) == value:
                return True
    return False
