"""Mistakes in a CiliumEgressGatewayPolicy: who notices, Cilium 1.20.1 and us."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

Tree = dict[str, Any]
GATEWAY: Tree = {"nodeSelector": {"matchLabels": {"egress": "a"}}, "egressIP": "192.0.2.10"}
SOUND: Tree = {
    "selectors": [{"podSelector": {"matchLabels": {"app": "web"}}}],
    "destinationCIDRs": ["198.51.100.0/24"],
    "egressGateway": GATEWAY,
}
GONE = object()
SERVER, AGENT = frozenset({"server"}), frozenset({"agent"})
BOTH = SERVER | AGENT


@dataclass(frozen=True)
class Mistake:
    """
    One change to a sound policy.

    `rule`: ours; `refused`: by the API server when strict, by the agent's parser.
    """

    name: str
    change: Tree
    rule: str
    refused: frozenset[str] = frozenset()

    def policy(self) -> Tree:
        spec = copy.deepcopy(SOUND) | self.change
        return policy(self.name, {k: v for k, v in spec.items() if v is not GONE})


def policy(name: str, spec: Tree) -> Tree:
    """An object of the kind."""
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumEgressGatewayPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


def _way(**change: object) -> Tree:
    return {k: v for k, v in {**GATEWAY, **change}.items() if v is not GONE}


def _pods(**selector: object) -> Tree:
    return {"selectors": [{"podSelector": selector}]}


MISTAKES = (
    Mistake("no-length", {"destinationCIDRs": ["198.51.100.1"]}, "prefix-syntax", BOTH),
    Mistake("no-network", {"destinationCIDRs": ["300.1.1.1/8"]}, "prefix-syntax", BOTH),
    Mistake("no-destinations", {"destinationCIDRs": GONE}, "cegp-empty", BOTH),
    Mistake("empty-destinations", {"destinationCIDRs": []}, "cegp-empty"),
    Mistake("host-bits", {"destinationCIDRs": ["10.1.2.3/8"]}, "prefix-network-aligned"),
    Mistake("twice", {"destinationCIDRs": ["198.51.100.0/24"] * 2}, "destination-twice"),
    Mistake("no-selectors", {"selectors": GONE}, "cegp-empty", SERVER),
    Mistake("empty-selectors", {"selectors": []}, "cegp-empty"),
    Mistake("selector-of-nothing", {"selectors": [{}]}, "cegp-selector-missing", AGENT),
    Mistake(
        "selector-of-nodes",
        {"selectors": [{"nodeSelector": {"matchLabels": {"zone": "a"}}}]},
        "cegp-selector-missing",
        AGENT,
    ),
    Mistake("selector-of-everything", _pods(), "cegp-selects-everything"),
    Mistake(
        "nodes-of-one-of-several",
        {
            "selectors": [
                {"podSelector": {"matchLabels": {"app": "web"}}},
                {
                    "podSelector": {"matchLabels": {"app": "db"}},
                    "nodeSelector": {"matchLabels": {"zone": "a"}},
                },
            ]
        },
        "cegp-node-selector",
    ),
    Mistake("bad-label", _pods(matchLabels={"app": "a b"}), "label-value", SERVER),
    Mistake(
        "not-in-identity", _pods(matchLabels={"pod-template-hash": "abc"}), "label-not-in-identity"
    ),
    Mistake(
        "no-operator",
        _pods(matchExpressions=[{"key": "app", "operator": "Is"}]),
        "selector-operator",
        SERVER,
    ),
    Mistake(
        "in-without-values",
        _pods(matchExpressions=[{"key": "app", "operator": "In"}]),
        "selector-values",
    ),
    Mistake("no-gateway", {"egressGateway": GONE}, "cegp-gateway", BOTH),
    Mistake("no-gateway-nodes", {"egressGateway": _way(nodeSelector=GONE)}, "cegp-gateway", SERVER),
    Mistake("every-node", {"egressGateway": _way(nodeSelector={})}, "cegp-every-node"),
    Mistake("no-address", {"egressGateway": _way(egressIP="192.0.2.300")}, "address-syntax", BOTH),
    Mistake("neither", {"egressGateway": _way(egressIP=GONE)}, "cegp-address-missing"),
    Mistake("both", {"egressGateway": _way(interface="eth0")}, "interface-and-address", AGENT),
    Mistake("other-family", {"egressGateway": _way(egressIP="2001:db8::1")}, "cegp-family-mixed"),
    Mistake(
        "two-families",
        {"destinationCIDRs": ["198.51.100.0/24", "2001:db8::/32"]},
        "cegp-family-mixed",
    ),
    Mistake("excluded-outside", {"excludedCIDRs": ["203.0.113.0/24"]}, "excluded-subset"),
    Mistake("excluded-whole", {"excludedCIDRs": ["198.51.100.0/24"]}, "excluded-whole"),
    Mistake("unknown-field", {"destinationFQDNs": ["example.net"]}, "field-unknown", SERVER),
    Mistake("gateway-twice", {"egressGateways": [GATEWAY, GATEWAY]}, "cegp-gateway-twice"),
    Mistake(
        "gateway-ignored",
        {"egressGateways": [_way(nodeSelector={"matchLabels": {"egress": "b"}})]},
        "cegp-gateway-ignored",
    ),
)
