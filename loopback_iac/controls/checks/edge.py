"""ING: layer-4 forwarding to workers, and what stands in front of it in a cluster."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from loopback_iac.controls.checks.bgp import rendered
from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.result import Finding
from loopback_iac.controls.stack import EDGE_POP, failed, passed, unsure
from loopback_iac.controls.tree import ABSENT, UNKNOWN, UndecidedError, at, each, items
from loopback_iac.model.tunnel import TUNNEL_V4

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopback_iac.controls.stack import Resource, Stack

HAPROXY = "/etc/haproxy/haproxy.cfg"
SERVER = re.compile(r"^  server (\S+) (\S+):\d+ (.*)$", re.MULTILINE)
INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
EXPOSING = (
    INGRESS,
    "kubernetes:core/v1:Service",
    "kubernetes:gateway.networking.k8s.io/v1:Gateway",
)
CERTIFICATE = "kubernetes:cert-manager.io/v1:Certificate"
ISSUERS = ("cert-manager.io/issuer", "cert-manager.io/cluster-issuer")
TLS_OPTION = "kubernetes:traefik.io/v1alpha1:TLSOption"
ZONE_SETTING = "cloudflare:index/zoneSetting:ZoneSetting"
CONTROLLER = "loopback-iac:index:IngressController"
ACCEPTED_TLS = frozenset({"1.2", "1.3", "VersionTLS12", "VersionTLS13"})


@CHECKS.resource("ING-01", *EXPOSING)
def check_annotations(resource: Resource, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Nothing in a manifest asks for one vendor's load balancer."""
    annotations = dict(items(resource.facts, "metadata", "annotations"))
    vendors = tuple(settings["vendors"])
    bad = sorted(key for key in annotations if any(mark in key for mark in vendors))
    if bad:
        yield failed(resource, f"annotations of a vendor: {', '.join(bad)}")
    else:
        yield passed(resource)


@CHECKS.stack("ING-02")
def check_proxy_protocol(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every worker is told the client's address, and what is behind believes tunnels alone."""
    for pop, text in rendered(stack, EDGE_POP, HAPROXY):
        if isinstance(text, Finding):
            yield text
            continue
        without = sorted({n for n, _, rest in SERVER.findall(text) if "send-proxy-v2" not in rest})
        if without:
            yield failed(pop, f"no PROXY protocol towards {', '.join(without)}")
        else:
            yield passed(pop)
    for controller in stack.of(CONTROLLER):
        yield _judge_trust(controller)


def _judge_trust(controller: Resource) -> Finding:
    facts = controller.facts
    try:
        trusted = {name: list(each(facts, "trusted", name)) for name, _ in items(facts, "trusted")}
    except UndecidedError as error:
        return unsure(controller, [error.path])
    if not trusted or any(UNKNOWN in ends for ends in trusted.values()):
        return unsure(controller, ["trusted"])
    wide = sorted(w for w, ends in trusted.items() if not ends or not all(map(_is_tunnels, ends)))
    if wide:
        return failed(controller, f"headers from outside of tunnels count on {', '.join(wide)}")
    return passed(controller)


def _is_tunnels(text: object) -> bool:
    try:
        found = ip_network(str(text))
    except ValueError:
        return False
    return any(found.version == space.version and found.subnet_of(space) for space in TUNNEL_V4)


@CHECKS.stack("ING-03")
def check_layer(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """A PoP never opens TLS and holds no private key for it."""
    for pop, text in rendered(stack, EDGE_POP, HAPROXY):
        if isinstance(text, Finding):
            yield text
            continue
        defaults = re.search(r"^defaults\n((?:  .*\n)+)", text, re.MULTILINE)
        if defaults is None or "  mode tcp\n" not in defaults[1]:
            yield failed(pop, "connections are not forwarded as they are (mode tcp)", "mode")
        elif re.search(r"^  bind .*\bssl\b", text, re.MULTILINE) or " crt " in text:
            yield failed(pop, "it opens TLS with a certificate of its own", "bind")
        else:
            yield passed(pop)


@CHECKS.resource("ING-04", TLS_OPTION, ZONE_SETTING, CONTROLLER)
def check_tls(resource: Resource, _: Mapping[str, Any]) -> Iterator[Finding]:
    """TLS before 1.2 is not spoken."""
    facts = resource.facts
    if resource.kind == ZONE_SETTING:
        if at(facts, "settingId") != "min_tls_version":
            return
        least = at(facts, "value")
    elif resource.kind == CONTROLLER:
        least = at(facts, "ingress", "tls_least")
    else:
        least = at(facts, "spec", "minVersion")
    if least is UNKNOWN:
        yield unsure(resource, ["the least version of TLS"])
    elif least in ACCEPTED_TLS:
        yield passed(resource)
    else:
        yield failed(resource, "TLS before 1.2 is accepted, or nothing is said")


@CHECKS.stack("ING-05")
def check_tunnels(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every worker is reached at an address inside a WireGuard tunnel."""
    for pop, text in rendered(stack, EDGE_POP, HAPROXY):
        if isinstance(text, Finding):
            yield text
            continue
        tunnels = [
            conf for path, conf in items(pop.facts, "files") if path.startswith("/etc/wireguard/")
        ]
        inside = [
            ip_network(net.strip())
            for conf in tunnels
            if isinstance(conf, str)
            for line in re.findall(r"^AllowedIPs = (.*)$", conf, re.MULTILINE)
            for net in line.split(",")
        ]
        workers = {(n, a.strip("[]")) for n, a, _ in SERVER.findall(text)}
        bare = sorted({n for n, a in workers if not any(ip_address(a) in net for net in inside)})
        if bare and UNKNOWN in tunnels:
            yield unsure(pop, [f"tunnels of {pop.name}"])
        elif bare:
            yield failed(pop, f"reached outside of any tunnel: {', '.join(bare)}")
        else:
            yield passed(pop)


@CHECKS.stack("ING-06")
def check_certificates(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every certificate an Ingress shows is issued and renewed by cert-manager."""
    issued = {at(c.facts, "spec", "secretName") for c in stack.of(CERTIFICATE)}
    for ingress in stack.of(INGRESS):
        marks = dict(items(ingress.facts, "metadata", "annotations"))
        asked = any(mark in marks for mark in ISSUERS)
        for entry in each(ingress.facts, "spec", "tls"):
            name = at(entry, "secretName")
            if name is UNKNOWN:
                yield unsure(ingress, ["the name of its certificate"])
            elif asked or (name is not ABSENT and name in issued):
                yield passed(ingress)
            else:
                yield failed(ingress, "nothing in this stack issues and renews its certificate")
