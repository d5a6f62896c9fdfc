"""pulumi-hcloud's resources on the stand-in: servers are hosts, addresses move, faults heal."""

from __future__ import annotations

import pytest

from loopback_iac.engine import plan
from loopback_iac.lab.cloud.switches import DARK, Fault

pytestmark = pytest.mark.parametrize("yard", ["hetzner"], indirect=True)


def fault(verb: str, kind: str, code: str, name: str = "*", times: int = 1) -> Fault:
    return Fault("hcloud", verb, kind, code, name, times)


# servers that are never looked into need not boot
ASLEEP = fault("create", "server-boot", DARK, times=99)


def ops(result) -> dict[str, str]:
    """What was done to which resource."""
    return {c.urn.rsplit("::", 1)[1]: c.op.value for c in result.changes if c.op.value != "same"}


def boot_of(lab, host: str) -> str:
    """When PID 1 of a host began."""
    asked = ["systemctl", "show", "--property=UserspaceTimestampMonotonic", "--value"]
    return lab.exec(host, asked).stdout


def test_a_server_boots_its_user_data_behind_its_firewall_and_is_replaced(yard):
    yard.write(servers={"hz1": {}})
    first = yard.up().outputs
    address, address6 = first["ipv4"]["hz1"], first["ipv6"]["hz1"]
    asked = "cat /etc/mark; hostname; cloud-init query platform; cloud-init status --wait; true"
    assert yard.ssh(address, asked) == "first\nhz1\nhetzner\nstatus: done"
    assert yard.ssh(address6, "cat /etc/mark") == "first"
    # nothing listens at 8080: an open firewall lets the host itself refuse
    assert {yard.reaches(at, 8080) for at in (address, address6)} == {"silent"}
    assert ops(yard.up()) == {}
    yard.write(servers={"hz1": {}}, ports=["22", "8080-8081"])
    assert ops(yard.up()) == {"admin": "update"}
    assert {yard.reaches(at, 8080) for at in (address, address6)} == {"refused"}
    # what the server begins may come back, whatever the firewall says; foreign senders stay inside
    host = yard.lab
    assert host.exec("hz1", ["ping", "-c1", "-W2", "198.18.251.2"]).returncode == 0
    spoofed = ["ping", "-c1", "-W1", "-I", "203.0.113.9", "198.18.251.2"]
    host.exec("hz1", ["ip", "address", "add", "203.0.113.9/32", "dev", "lo"])
    assert host.exec("hz1", spoofed).returncode == 1
    machine = host.exec("hz1", ["cat", "/etc/machine-id"]).stdout
    yard.write(servers={"hz1": {"data": "second"}})
    result = yard.up()
    assert ops(result)["hz1"] == "replace"
    assert result.outputs["ipv4"] == first["ipv4"]
    assert result.outputs["ipv6"] == first["ipv6"]
    assert result.outputs["ids"] != first["ids"]
    # the same address and the same pinned key, and another machine
    assert yard.ssh(address, "cat /etc/mark") == "second"
    assert host.exec("hz1", ["cat", "/etc/machine-id"]).stdout != machine
    # the metadata service is the host's own: it must be able to ask, and to shut it for others
    at = "http://169.254.169.254/hetzner/v1/"
    asked = ["curl", "-s", "-m2", f"{at}metadata/instance-id"]
    assert host.exec("hz1", asked).stdout == result.outputs["ids"]["hz1"]
    host.power_off("hz1")
    host.power_on("hz1")
    assert yard.ssh(address, "cat /etc/mark") == "second"
    yard.write()
    yard.up()
    assert "hz1" not in {h.name for h in host.topology.hosts}
    assert yard.reaches(address, 22) == "silent"


def test_a_floating_address_moves_between_running_servers(yard):
    """A private network comes while they run, and the cloud's firewall is not in it."""
    yard.write(servers={"hz1": {}, "hz2": {}}, floating="hz1")
    outputs = yard.up().outputs
    shared = outputs["floating"]
    for name in ("hz1", "hz2"):
        take = f"ip address add {shared}/32 dev lo"
        yard.ssh(outputs["ipv4"][name], take)
    assert yard.ssh(shared, "hostname") == "hz1"
    booted = {host: boot_of(yard.lab, host) for host in ("hz1", "hz2")}
    office = {"hz1": "10.5.1.11", "hz2": "10.5.1.12"}
    yard.write(servers={"hz1": {}, "hz2": {}}, floating="hz2", office=office)
    changed = ops(yard.up())
    assert {changed[name] for name in ("shared", "hz1", "hz2")} == {"update"}
    assert yard.ssh(shared, "hostname") == "hz2"
    assert yard.lab.exec("hz1", ["ping", "-c1", "-W2", "10.5.1.12"]).returncode == 0
    assert {h: boot_of(yard.lab, h) for h in ("hz1", "hz2")} == booted


def test_a_call_that_was_limited_is_made_again(yard):
    """The server has no public IPv4 address, and still finds what it was told."""
    yard.switch(fault("create", "server", "rate_limit_exceeded"))
    yard.write(servers={"hz1": {"only_v6": True}})
    outputs = yard.up().outputs
    assert outputs["ipv4"]["hz1"] == ""
    assert yard.ssh(outputs["ipv6"]["hz1"], "cat /etc/mark") == "first"


def test_a_plan_needs_no_lab_and_a_type_that_is_not_there_is_named(yard, monkeypatch):
    yard.write(servers={"hz1": {}}, volume=True)
    assert "does not have hcloud:index/volume:Volume; it has SshKey, " in yard.refused()
    yard.write(servers={"hz1": {}})
    monkeypatch.delenv("LOOPBACK_LAB")
    result = yard.run(plan)
    assert result.ok, result.diagnostics
    assert "create" in result.counts
    assert "LOOPBACK_LAB has none" in yard.refused()
    monkeypatch.setenv("LOOPBACK_LAB", yard.lab.paths.name)


def test_an_unavailable_api_leaves_what_exists_and_the_next_run_finishes(yard):
    yard.switch(ASLEEP, fault("create", "server", "unavailable", name="hz2"))
    yard.write(servers={"hz1": {}, "hz2": {}})
    said = yard.refused()
    assert "1 error occurred:\n\t* service temporarily unavailable (unavailable)" in said
    before = yard.things("server")
    yard.switch(ASLEEP)
    yard.up()
    after = yard.things("server")
    assert sorted(s["name"] for s in after.values()) == ["hz1", "hz2"]
    assert before.items() <= after.items()
    assert len(yard.things("primary_ip")) == 4


def test_a_full_account_and_a_taken_name_are_said_in_the_words_of_the_api(yard):
    yard.switch(ASLEEP, server=1)
    yard.write(servers={"hz1": {}, "hz2": {}})
    assert "server limit exceeded (resource_limit_exceeded)" in yard.refused()
    yard.switch(ASLEEP)
    with yard.shelf.changing("hcloud") as book:
        book.of("firewall")["1"] = {"name": "other", "labels": {}, "rules": [], "applied": []}
        book.of("primary_ip")["2"] = {
            **next(iter(book.of("primary_ip").values())),
            "name": "hz3-v4",
        }
        book.of("primary_ip")["2"].update(ipAddress="198.18.33.1", assigneeId=0)
    yard.write(servers={"hz1": {}, "hz2": {}, "hz3": {}})
    said = yard.refused()
    assert (
        "primary ip name is already used (uniqueness_error)\n\nError code: uniqueness_error" in said
    )
    with yard.shelf.changing("hcloud") as book:
        del book.of("firewall")["1"], book.of("primary_ip")["2"]


def test_a_server_that_never_boots_is_there_and_silent_until_it_is_replaced(yard):
    yard.switch(fault("create", "server-boot", DARK))
    yard.write(servers={"hz1": {}})
    address = yard.up().outputs["ipv4"]["hz1"]
    assert yard.reaches(address, 22) == "silent"
    yard.write(servers={"hz1": {"data": "second"}})
    yard.up()
    assert yard.ssh(address, "cat /etc/mark") == "second"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"location": "fra1"}, "invalid input in field 'location'"),
        ({"type": "cx99"}, "server type cx99 not found"),
        ({"type": "cx22"}, 'Server Type "cx22" is unavailable in all locations'),
        ({"type": "cx23", "location": "ash"}, "unsupported location for server type"),
        ({"image": "debian-11"}, "image debian-11 for architecture x86 not found"),
        ({"labels": {"data class": "x"}}, "label key 'data class' is not correctly formatted"),
    ],
)
def test_an_order_that_nobody_sells_is_refused(yard, args, said):
    yard.write(servers={"hz1": args})
    assert said in yard.refused()
    assert not yard.things("server")


def test_an_assignment_that_was_lost_is_refused_to_a_second_server_and_told(yard):
    """Two servers may not have one primary address: the API holds it for the first."""
    yard.switch(ASLEEP)
    yard.write(servers={"hz1": {}})
    yard.up()
    (held,) = [k for k, ip in yard.things("primary_ip").items() if ip["name"] == "hz1-v4"]
    yard.write(servers={"hz1": {}, "hz2": {}}, stolen={"hz2": held})
    said = yard.refused()
    assert f"primary IP with ID '{held}' is already assigned (primary_ip_assigned)" in said
    yard.write(servers={"hz1": {}, "hz2": {}})
    yard.up()
