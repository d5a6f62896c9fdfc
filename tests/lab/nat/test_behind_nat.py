"""Workers that nobody reaches from outside: through a bastion, and joined by a line of shell."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST, SECOND = "198.51.100.130", "198.51.100.131"
AGENT = "/usr/local/sbin/loopback-agent"
TUNNELS = {1: "lb-x1", 2: "lc-x1"}


def until(fact: Callable[[], Any], within_s: float = 60.0) -> Any:
    """Wait for something that takes its time; its last answer."""
    end = time.monotonic() + within_s
    while not (answer := fact()) and time.monotonic() < end:
        time.sleep(0.2)
    return answer


def machine(rack, name: str, **more: Any) -> dict[str, Any]:
    end = rack.lab.topology.uplink(name)
    return {
        "ipv4": str(end.v4.ip),
        **({"ipv6": str(end.v6.ip)} if end.v6 else {}),
        "host_key": rack.keys.host_keys[name].public,
        **more,
    }


def bastion(rack, address: str) -> dict[str, Any]:
    """The router itself, at the address that it has just now; it has two sides."""
    key = rack.keys.host_keys["rack"].public
    return {"address": address, "host_key": key, "sources": [address, "100.64.7.1"]}


def endpoint(rack) -> str:
    """Where the PoP sees the first worker."""
    return rack.says("x1", "wg", "show", "lb-n1", "endpoints").split("\t")[1].rpartition(":")[0]


@pytest.fixture(scope="module")
def managed(rack):
    """Both ends through the bastion; neither was ever dialled directly."""
    beside = bastion(rack, FIRST)
    rack.machines = {name: machine(rack, name, bastion=beside) for name in ("x1", "n1")}
    rack.workers = {"n1": {"node_id": 1, "behind_nat": True}}
    rack.up()
    return rack


def test_e5_a_worker_behind_nat_serves_and_is_managed_through_a_bastion(managed):
    assert until(lambda: managed.served_by("n1"))
    assert endpoint(managed) == FIRST
    # the PoP lets its bastion in, though no operator sits there
    assert FIRST in managed.says("x1", "nft", "list", "set", "inet", "loopback", "admin4")
    assert until(lambda: managed.differences() == [])
    told = json.loads(managed.says("n1", AGENT, "report"))
    assert told["tunnels"]["lb-x1"]["rtt_ms"] is not None


def test_e5_the_tunnel_returns_when_the_router_has_another_address(managed):
    """As after a forced reconnect: every mapping is forgotten, and the way in is another."""
    for line in (
        f"addr del {FIRST}/29 dev eth0",
        f"addr add {SECOND}/29 dev eth0",
        "route replace default via 198.51.100.129 dev eth0",
    ):
        managed.says("rack", "ip", *line.split())
    assert until(lambda: endpoint(managed) == SECOND)
    assert until(lambda: managed.served_by("n1"))
    told = managed.differences("--deadline=10")
    assert {(host, rule) for host, rule, _ in told} == {
        ("x1", "host-answers"),
        ("n1", "host-answers"),
    }
    assert all(got.startswith(f"its bastion {FIRST}: ") for _, _, got in told)


@pytest.fixture(scope="module")
def joined(managed):
    """A second machine joins; the PoP is dialled directly from here on, because it is the way."""
    managed.machines["x1"] = machine(managed, "x1")
    managed.machines["n1"]["bastion"] = bastion(managed, SECOND)
    managed.epochs = (1, 2)  # and a rotation is under way
    managed.up()
    code, said, line = managed.loopback("join", "n2", "--node-id=2")
    assert code == 0, said
    assert len(line) < 4096  # what a terminal takes as one line
    for _ in range(2):  # twice is as good as once
        answer = yaml.safe_load(managed.says("n2", "sh", "-c", line))
    managed.machines |= answer["machines"]
    managed.workers |= answer["workers"]
    assert managed.machines["n2"]["ipv4"] == "100.64.7.22"
    managed.up()
    return managed


def test_e5_a_machine_joins_by_one_line_and_serves(joined):
    assert until(lambda: joined.served_by("n1", "n2"))
    assert until(lambda: joined.differences() == [])
    # the deploy key comes out of the tunnels only, and runs the library's commands only
    kept = joined.says("n2", "cat", "/root/.ssh/authorized_keys")
    assert kept.startswith('from="10.80.0.0/12",restrict,command="')


def test_through_the_pop_nothing_else_is_reached(joined):
    known = joined.folder / "known_hosts"
    known.write_text(f"198.18.81.11 {joined.machines['x1']['host_key']}\n")
    key = str(joined.lab.paths.operator_key)
    jump = ["ssh", "-F", "none", "-i", key, "-o", f"UserKnownHostsFile={known}"]

    def reached(place: str) -> str:
        done = joined.lab.exec("ops", [*jump, "-W", place, "root@198.18.81.11"], text="")
        return done.stdout + done.stderr

    worker = joined.says("n2", "ip", "-4", "-o", "addr", "show", "lb-x1").split()[3].split("/")[0]
    assert reached(f"{worker}:22").startswith("SSH-2.0")
    for place in (f"{worker}:8443", "198.18.1.11:22", "127.0.0.1:22"):
        assert "prohibited" in reached(place), place


def test_keys_rotate_behind_nat(joined):
    """Expanded already; moved and contracted, both serve, and each step finds its way."""
    for epochs, standing in (((2, 1), {1, 2}), ((2,), {2})):
        joined.epochs = epochs
        joined.up()
        assert until(lambda: joined.served_by("n1", "n2")), epochs
        for worker in ("n1", "n2"):
            shown = set(joined.says(worker, "wg", "show", "interfaces").split())
            assert shown == {TUNNELS[e] for e in standing}
    assert joined.says("n2", "ls", "/etc/loopback/keys") == "wireguard-2.key"
    assert until(lambda: joined.differences() == [])


def test_a_line_for_another_machine_is_refused_there(joined):
    code, said, line = joined.loopback("join", "n3", "--node-id=3")
    assert code == 0, said
    refused = joined.lab.exec("n2", ["sh", "-c", line])
    assert refused.returncode == 1
    assert "this machine is n2 of a fleet already" in refused.stderr


def test_a_joined_worker_that_is_taken_out_is_left_and_forgotten(joined):
    """Its PoP no longer leads there, so nobody tries; what is ours on it goes by its own agent."""
    gone = joined.workers.pop("n2")
    done = joined.up()
    assert done["rack-n2-apply"] == "delete"
    assert joined.says("x1", "wg", "show", "interfaces") == "lc-n1"
    assert until(lambda: joined.served_by("n1"))
    active = json.loads(joined.says("n2", AGENT, "report"))["active"]
    joined.says("n2", AGENT, "release", "host=n2", f"digest={active}")
    assert joined.says("n2", "nft", "list", "tables") == ""
    joined.workers["n2"] = gone
