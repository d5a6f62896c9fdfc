"""What a keeper makes of a policy, and how it finds its API server; the API is one object."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from loopback_iac.agent.gatewayapi import HOSTNAME, PREFIX, Cluster, ConflictError
from loopback_iac.agent.gatewaydial import Where
from loopback_iac.agent.gatewayfile import Gateway
from loopback_iac.agent.refusal import RefusedError
from tests.unit.agent.gateway_world import group_of

GROUP = group_of(2, ("p",))
OURS, THEIRS = GROUP.addresses[0], "192.0.2.99"
LABEL = {"matchLabels": {"egress": "none"}}


class OneObject(Cluster):
    """The real one, with an API server that has one policy."""

    def __init__(self, group: str, *addresses: str) -> None:
        kept = Gateway("w1", "https://198.18.77.1:6443", "", "kube-system", "http://x", ())
        named = GROUP._replace(name=group, addresses=addresses)
        super().__init__(kept, named, "token")
        self.there: dict[str, Any] = {}

    def _call(self, verb, path, timeout_s, body) -> tuple[int, dict[str, Any]]:
        if body is None:
            return 200, self.there
        about = self.there["metadata"]
        if body["metadata"]["resourceVersion"] != about["resourceVersion"]:
            return 409, {}
        notes = {**about.get("annotations", {}), **body["metadata"]["annotations"]}
        about["annotations"] = {k: v for k, v in notes.items() if v is not None}
        about["resourceVersion"] += "1"
        self.there["spec"].update(body["spec"])
        return 200, self.there


def policy(address: str, *names: str, epochs: dict[str, int]) -> dict[str, Any]:
    """What declares an address, and names nodes with the address of before."""
    ways = [{"egressIP": OURS, "nodeSelector": {"matchLabels": {HOSTNAME: n}}} for n in names]
    notes = {f"{PREFIX}egress-epoch.{group}": str(epoch) for group, epoch in epochs.items()}
    notes |= {f"{PREFIX}egress-gateway.{group}": "1" for group in epochs}
    way = {"egressIP": address, "nodeSelector": LABEL}
    spec = {"egressGateway": way, "egressGateways": ways}
    return {"metadata": {"resourceVersion": "1", "annotations": notes}, "spec": spec}


def name(cluster: Cluster, hostname: str, epoch: int) -> None:
    found = cluster.read_policy("p", 1)
    cluster.write_policy("p", found._replace(hostname=hostname, epoch=epoch), 1)


def test_a_policy_of_another_group_is_taken_over_once_it_declares_an_address_of_this_one():
    before, after = OneObject("a", OURS), OneObject("b", THEIRS)
    before.there = after.there = policy(OURS, "w1", epochs={"a": 7})
    with pytest.raises(RefusedError, match=r"comes from a, and declares 192\.0\.2\.10"):
        after.read_policy("p", 1)
    stale = before.read_policy("p", 1)
    before.there["spec"]["egressGateway"]["egressIP"] = THEIRS
    name(after, "w3", 1)
    (way,) = after.there["spec"]["egressGateways"]
    assert way == {"egressIP": THEIRS, "nodeSelector": {"matchLabels": {HOSTNAME: "w3"}}}
    notes = after.there["metadata"]["annotations"]
    assert notes == {f"{PREFIX}egress-epoch.b": "1", f"{PREFIX}egress-gateway.b": "1"}
    # who kept it before writes no more, late or anew
    with pytest.raises(ConflictError):
        before.write_policy("p", stale._replace(hostname="w1", epoch=7), 1)
    with pytest.raises(RefusedError, match="comes from b"):
        before.read_policy("p", 1)
    assert after.read_policy("p", 1)[1:3] == ("w3", 1)


def test_a_group_that_was_renamed_takes_its_policies_with_it():
    cluster = OneObject("b", OURS)
    cluster.there = policy(OURS, "w1", epochs={"a": 7})
    assert cluster.read_policy("p", 1).former == ("a",)
    name(cluster, "w2", 1)
    assert cluster.read_policy("p", 1)[1:] == (
        "w2",
        1,
        {"egressIP": OURS, "nodeSelector": None},
        (),
    )


def test_what_no_keeper_wrote_is_left_alone_with_the_way_to_free_it():
    cluster = OneObject("a", OURS)
    for names, many in ((("w1",), "names 1 gateway that"), (("w1", "w2"), "names 2 gateways that")):
        cluster.there = policy(OURS, *names, epochs={})
        with pytest.raises(RefusedError, match=f"{many} no keeper wrote; free: kubectl patch"):
            cluster.read_policy("p", 1)
    cluster.there = policy("no address", "w1", epochs={"b": 1})
    with pytest.raises(RefusedError, match="declares no address"):
        cluster.read_policy("p", 1)


def test_a_list_that_is_empty_names_nobody_whoever_kept_it():
    cluster = OneObject("a", OURS)
    cluster.there = policy(THEIRS, epochs={"b": 3})
    assert cluster.read_policy("p", 1)[1:3] == (None, 0)
    name(cluster, "w1", 2)
    assert f"{PREFIX}egress-epoch.b" not in cluster.there["metadata"]["annotations"]


def test_a_resolver_that_hangs_keeps_nobody_from_what_it_said_before(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        told = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        where, hanging = Where("localhost", port), threading.Event()
        plain = socket.getaddrinfo
        first = threading.Event()

        def answer(host, *words, **more):
            if host != "localhost":
                return plain(host, *words, **more)
            first.set()
            hanging.wait()
            return told

        monkeypatch.setattr(socket, "getaddrinfo", answer)
        try:
            # looked up beside who dials, who does not wait for it
            with pytest.raises(OSError, match="not looked up yet"):
                where.dial(60)
            assert first.wait(60)
        finally:
            hanging.set()
        assert where.look()
        hanging.clear()
        where.dial(60).close()

        def fail(host, *words, **more):
            if host != "localhost":
                return plain(host, *words, **more)
            raise socket.gaierror("no answer")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        assert not where.look()
        where.dial(60).close()
        hanging.set()


def test_of_several_addresses_the_one_that_answers_is_dialled(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        where = Where("localhost", port)
        plain = socket.getaddrinfo
        told = [(2, 1, 6, "", (f"127.0.0.{at}", port)) for at in (9, 1)]

        def answer(host, *words, **more):
            return told if host == "localhost" else plain(host, *words, **more)

        monkeypatch.setattr(socket, "getaddrinfo", answer)
        assert where.look()
        with where.dial(60) as line:
            assert line.getpeername() == ("127.0.0.1", port)
