"""Two names for one machine, and problems of several hosts at once."""

from __future__ import annotations

import pytest

from bench.wide import tree
from loopback_iac.model import InputRejected, parse_hosts

BASTION = {"address": "192.0.2.9", "host_key": tree.host_key("jump")}


def machine(name, **more):
    return {"ipv4": "198.51.100.7", "host_key": tree.host_key(name), **more}


def rejected(**machines):
    with pytest.raises(InputRejected) as caught:
        parse_hosts("edge", machines)
    return [(problem.rule, problem.path) for problem in caught.value.problems]


def test_two_pools_cannot_claim_one_machine():
    with pytest.raises(InputRejected) as caught:
        parse_hosts("edge", {"w1": machine("w1"), "shop1": machine("shop1")})
    assert str(caught.value).splitlines() == [
        "edge: 1 problem",
        "  - w1.ipv4: 198.51.100.7 port 22 is shop1; expected a machine of its own for each",
        "      fix: write the address of w1, or take one of the two out     rule: machine-twice",
    ]


def test_machines_are_told_apart_by_port_by_bastion_and_by_network():
    apart = {"w1": machine("w1"), "w2": machine("w2", ssh_port=2222)}
    apart |= {"w3": machine("w3", bastion=BASTION), "w4": machine("w4", bastion=BASTION)}
    # joined, each behind a router of its own
    apart |= {name: machine(name, ipv4="192.168.178.20") for name in ("w5", "w6")}
    assert set(parse_hosts("edge", apart)) == {"w1", "w2", "w3", "w4", "w5", "w6"}


def test_problems_of_every_host_are_told_at_once():
    assert rejected(w1=machine("w1", ipv4="nonsense"), w2=machine("w2", ssh_port=0)) == [
        ("address-syntax", "w1.ipv4"),
        ("port-range", "w2.ssh_port"),
    ]
