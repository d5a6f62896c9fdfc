"""Each rule fires on what it is for and stays silent on what it is not."""

from __future__ import annotations

import pytest
from pulumi_policy import (
    PolicyCustomTimeouts,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    StackValidationArgs,
)
from pulumi_policy.proxy import unknown_checking_proxy

from loopback_iac.policies import policies

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # Pulumi's sentinel for a value not known yet
COMMAND = "command:remote:Command"
EDGE = "loopback-iac:index:AnycastEdge"
PINNED = {"host": "192.0.2.1", "hostKey": "ssh-ed25519 AAAA"}


def fleet(asn: float, cidr: str) -> dict:
    return {"fleet": {"asn": asn, "prefixes": {"own": {"cidr": cidr}}}}


CASES = [
    ("ssh-host-key-pinned", COMMAND, {"connection": PINNED}, 0),
    ("ssh-host-key-pinned", COMMAND, {"connection": {"host": "192.0.2.1"}}, 1),
    ("ssh-host-key-pinned", COMMAND, {"connection": {**PINNED, "proxy": {"host": "192.0.2.2"}}}, 1),
    ("ssh-host-key-pinned", "hcloud:index:Server", {"connection": {}}, 0),
    ("no-replacing-triggers", COMMAND, {"connection": PINNED, "triggers": ["a"]}, 1),
    ("no-replacing-triggers", COMMAND, {"connection": PINNED, "triggers": []}, 0),
    ("no-documentation-addresses", EDGE, fleet(64500.0, "203.0.113.0/24"), 2),
    ("no-documentation-addresses", EDGE, fleet(64500.0, "2001:db8:100::/48"), 2),
    ("no-documentation-addresses", EDGE, fleet(8560.0, "9.9.9.0/24"), 0),
]


def options(*, first: bool | None) -> PolicyResourceOptions:
    return PolicyResourceOptions(
        protect=False,
        ignore_changes=[],
        delete_before_replace=first,
        aliases=[],
        custom_timeouts=PolicyCustomTimeouts(0, 0, 0),
        additional_secret_outputs=[],
    )


def reported(rule: str, kind: str, props: dict, *, first: bool | None = None) -> list[str]:
    policy = next(p for p in policies() if p.name == rule)
    args = ResourceValidationArgs(
        resource_type=kind,
        props=unknown_checking_proxy(props),
        urn=f"urn:pulumi:dev::p::{kind}::r",
        name="r",
        opts=options(first=first),
        provider=None,
        config=None,
    )
    found: list[str] = []
    policy.validate(args, lambda message, _urn: found.append(message))
    return found


@pytest.mark.parametrize(("rule", "kind", "props", "count"), CASES)
def test_rule(rule, kind, props, count):
    assert len(reported(rule, kind, props)) == count


def test_a_command_may_delete_before_it_is_replaced():
    props = {"connection": PINNED, "triggers": ["hcloud-1"]}
    assert reported("no-replacing-triggers", COMMAND, props, first=True) == []
    assert len(reported("no-replacing-triggers", COMMAND, props, first=False)) == 1


def test_a_rule_reads_only_what_it_needs():
    props = {"connection": {**PINNED, "privateKey": UNKNOWN}, "stdin": UNKNOWN, "create": UNKNOWN}
    assert reported("ssh-host-key-pinned", COMMAND, props) == []


def test_messages_show_no_secret():
    props = {"connection": {"host": "192.0.2.1", "privateKey": "hunter2"}}
    assert "hunter2" not in "".join(reported("ssh-host-key-pinned", COMMAND, props))


def pool(**workers: tuple[float, bool]) -> dict:
    found = {n: {"weight": weight, "drained": drained} for n, (weight, drained) in workers.items()}
    return {"fleet": {"pools": {"web": {"workers": found}}}}


METAL = {"provider": "own-metal", "site": "dc1"}
HETZNER = {"provider": "hetzner", "location": "fsn1"}
ONE, TWO = pool(w1=(100.0, False)), pool(w1=(100.0, False), w2=(100.0, False))
STACKS = [
    (ONE, {"w1": METAL}, 1),
    (TWO, {"w1": METAL, "w2": METAL}, 1),
    (TWO, {"w1": METAL, "w2": {**METAL, "site": "dc2"}}, 0),
    (TWO, {"w1": METAL, "w2": HETZNER}, 0),
    (TWO, {"w1": {**METAL, "failure_domains": ["row-3"]},
           "w2": {**HETZNER, "failure_domains": ["row-3"]}}, 1),
    (pool(w1=(100.0, False), w2=(100.0, True)), {"w1": METAL, "w2": HETZNER}, 1),
    (pool(w1=(100.0, False), w2=(0.0, False)), {"w1": METAL, "w2": HETZNER}, 1),
    (TWO, {"w1": METAL}, 0),  # the other's host has another name
    (TWO, {"w1": METAL, "w2": {"provider": "own-metal"}}, 0),
]  # fmt: skip


@pytest.mark.parametrize(("edge", "hosts", "count"), STACKS)
def test_a_pool_that_falls_with_one_site_is_told(edge, hosts, count):
    kinds = {True: "HetznerHost", False: "BareMetalHost"}
    resources = [(EDGE, "edge", edge)] + [
        (f"loopback-iac:index:{kinds['location' in props]}", name, props)
        for name, props in hosts.items()
    ]
    made = [
        PolicyResource(
            resource_type=kind,
            props=unknown_checking_proxy(props),
            urn=f"urn:pulumi:dev::edge::{kind}::{name}",
            name=name,
            opts=options(first=None),
            provider=None,
            parent=None,
            dependencies=[],
            property_dependencies={},
        )
        for kind, name, props in resources
    ]
    policy = next(p for p in policies() if p.name == "pool-spans-failure-domains")
    found: list[str] = []
    policy.validate(StackValidationArgs(made), lambda message, _urn: found.append(message))
    assert len(found) == count
    assert all("pool web: w1" in message for message in found)


def test_every_rule_has_a_case_that_fires_and_one_that_does_not():
    for policy in policies():
        counts = [count for rule, _, _, count in CASES if rule == policy.name]
        counts = counts or [count for _, _, count in STACKS]
        assert any(counts), policy.name
        assert not all(counts), policy.name
