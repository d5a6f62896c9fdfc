"""Each rule fires on what it is for and stays silent on what it is not."""

from __future__ import annotations

from contextlib import suppress

import pytest
from pulumi_policy import (
    PolicyCustomTimeouts,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    StackValidationArgs,
)
from pulumi_policy.policy import _NotApplicableError
from pulumi_policy.proxy import UnknownValueError, unknown_checking_proxy

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
    with suppress(_NotApplicableError):
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


def told(rule: str, trees: list[tuple[str, str, dict]], config: dict | None = None) -> list[str]:
    """What a rule over the whole stack reports."""
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
        for kind, name, props in trees
    ]
    policy = next(p for p in policies() if p.name == rule)
    found: list[str] = []
    with suppress(_NotApplicableError):
        policy.validate(
            StackValidationArgs(made, config), lambda message, _urn: found.append(message)
        )
    return found


@pytest.mark.parametrize(("edge", "hosts", "count"), STACKS)
def test_a_pool_that_falls_with_one_site_is_told(edge, hosts, count):
    kinds = {True: "HetznerHost", False: "BareMetalHost"}
    trees = [(EDGE, "edge", edge)] + [
        (f"loopback-iac:index:{kinds['location' in props]}", name, props)
        for name, props in hosts.items()
    ]
    found = told("pool-spans-failure-domains", trees)
    assert len(found) == count
    assert all("pool web: w1" in message for message in found)


WHERE = {
    name: {"provider": f"provider-{name}", "site": f"site-{name}", "country": country}
    for name, country in (("fra1", "DE"), ("par1", "FR"), ("w1", "FI"), ("w2", "ES"))
}
UPS = {
    name: {"kind": "transit", "asn": asn, "families": [4.0, 6.0]}
    for name, asn in (("t1", 64496.0), ("t2", 64497.0))
}
FLEET = {
    "asn": 64500.0,
    "prefixes": {"v4": {"cidr": "203.0.113.0/24"}},
    "vips": {"www": ["203.0.113.10"]},
    "pops": {"fra1": {"upstreams": UPS}, "par1": {"upstreams": UPS}},
    "pools": {"web": {"workers": {n: {"weight": 100.0, "drained": False} for n in ("w1", "w2")}}},
    "services": {"https": {"vip": "www", "pool": "web"}},
    "blackholes": [],
}
ONE_CARRIER = {**FLEET, "pops": {n: {"upstreams": {"t1": UPS["t1"]}} for n in ("fra1", "par1")}}
DRAINED = {"web": {"workers": {"w1": {"weight": 0.0, "drained": False}}}}
IONOS = {**WHERE, **{n: {**WHERE[n], "provider": "ionos"} for n in ("fra1", "par1")}}
# fleet, places, configuration -> what the refusal shows
REDUNDANT = [
    (ONE_CARRIER, WHERE, {"survives": 1.0}, "falls with AS64496 (upstream)"),
    (FLEET, IONOS, {"survives": 1.0}, "falls with ionos (provider)"),
    (FLEET, {}, {"survives": 1.0}, "fix: declare `provider` of every host"),
    (FLEET, WHERE, {"survives": 2.0}, "survives any one loss; demanded: any two losses"),
    (FLEET, WHERE, {"services": {"https": {"workers": 2.0, "survives": 1.0}}}, "w1 (worker)"),
    ({**FLEET, "pools": DRAINED}, WHERE, {}, "down with nothing lost"),
    (FLEET, WHERE, {"services": {"htps": {}}}, "there is no service 'htps'"),
]


def stack(fleet: dict, places: dict) -> list[tuple[str, str, dict]]:
    metal = "loopback-iac:index:BareMetalHost"
    hosts = [(metal, name, {"host": {**said, "ipv4": UNKNOWN}}) for name, said in places.items()]
    return [*hosts, (EDGE, "edge", {"fleet": fleet, "hosts": UNKNOWN})]


@pytest.mark.parametrize(("fleet", "places", "config", "words"), REDUNDANT)
def test_a_fleet_that_does_not_survive_what_is_demanded_is_refused(fleet, places, config, words):
    (message,) = told("redundancy-proved", stack(fleet, places), config)
    assert words in message


@pytest.mark.parametrize(
    ("fleet", "places", "config"),
    [
        (FLEET, WHERE, {"survives": 1.0}),
        (ONE_CARRIER, IONOS, {}),  # nobody asked for more than to be up
        (FLEET, IONOS, {"survives": 1.0, "accepted": [
            {"cause": "provider ionos", "because": "until March", "owner": "cto"}]}),
    ],
)  # fmt: skip
def test_a_fleet_that_survives_it_is_not(fleet, places, config):
    assert told("redundancy-proved", stack(fleet, places), config) == []


def test_a_stack_without_a_fleet_has_nothing_to_prove():
    assert told("redundancy-proved", [(COMMAND, "c", {"connection": UNKNOWN})]) == []


def test_what_is_not_known_yet_is_named_and_refuses_nothing():
    places = {**WHERE, "w1": {**WHERE["w1"], "site": UNKNOWN}}
    with pytest.raises(UnknownValueError) as raised:
        told("redundancy-proved", stack(FLEET, places), {"survives": 1.0})
    assert "site of w1" in raised.value.message
    assert told("redundancy-proved", stack(FLEET, places)) == []  # nothing hangs on it
    with pytest.raises(UnknownValueError) as raised:
        told("redundancy-proved", [(EDGE, "edge", {"fleet": UNKNOWN})])
    assert "facts of edge" in raised.value.message


def test_a_cause_that_is_accepted_before_anybody_knows_it_refuses_nothing():
    accepted = {"accepted": [{"cause": "site hel1", "because": "until March", "owner": "cto"}]}
    places = {**WHERE, "w1": {**WHERE["w1"], "site": UNKNOWN}}
    with pytest.raises(UnknownValueError) as raised:
        told("redundancy-proved", stack(FLEET, places), accepted)
    assert "there is no cause 'site hel1' before `up`" in raised.value.message
    (message,) = told("redundancy-proved", stack(FLEET, WHERE), accepted)
    assert "there is no cause 'site hel1'" in message


def test_what_is_known_to_fail_is_refused_whatever_comes():
    places = {**IONOS, "w1": {**WHERE["w1"], "site": UNKNOWN}}
    (message,) = told("redundancy-proved", stack(FLEET, places), {"survives": 1.0})
    assert "ionos (provider)" in message
