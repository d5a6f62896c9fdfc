"""pulumi-ionoscloud's resources on the stand-in: servers are hosts, rules hold, faults heal."""

from __future__ import annotations

import pytest

from loopback_iac.agent.hold import render_announcement
from loopback_iac.lab.cloud.switches import DARK, Fault

pytestmark = pytest.mark.parametrize("yard", ["ionos"], indirect=True)


def fault(verb: str, kind: str, code: str, name: str = "*", times: int = 1) -> Fault:
    return Fault("ionoscloud", verb, kind, code, name, times)


ASLEEP = fault("create", "server-boot", DARK, times=99)


def ops(result) -> dict[str, str]:
    """What was done to which resource."""
    return {c.urn.rsplit("::", 1)[1]: c.op.value for c in result.changes if c.op.value != "same"}


def test_a_server_boots_its_user_data_behind_its_card_and_is_replaced(yard):
    yard.write(centre=True, servers={"io1": {}})
    first = yard.up().outputs
    address = first["ipv4"]["io1"]
    asked = "cat /etc/mark; hostname; cloud-init query platform"
    assert yard.ssh(address, asked) == "first\nio1\nnocloud"
    assert yard.reaches(address, 8080) == "silent"
    assert ops(yard.up()) == {}
    yard.write(centre=True, servers={"io1": {"cores": 4}}, ports=["22", "8080-8081"])
    assert ops(yard.up()) == {"io1": "update"}
    assert yard.reaches(address, 8080) == "refused"
    yard.write(centre=True, servers={"io1": {"data": "second", "replace": False}})
    assert "user_data attribute is immutable, therefore not allowed" in yard.refused()
    assert yard.ssh(address, "cat /etc/mark") == "first"
    yard.write(centre=True, servers={"io1": {"data": "second"}})
    result = yard.up()
    assert ops(result)["io1"] == "replace"
    assert result.outputs["ipv4"] == first["ipv4"]
    assert result.outputs["ids"] != first["ids"]
    assert yard.ssh(address, "cat /etc/mark") == "second"
    yard.write()
    yard.up()
    assert "io1" not in {h.name for h in yard.lab.topology.hosts}


def test_an_address_of_a_failover_group_is_sent_to_the_card_that_announces_it(yard):
    servers = {"io1": {"ips": 2}, "io2": {}}
    yard.write(centre=True, servers=servers)
    outputs = yard.up().outputs
    (shared,) = [b["ips"][1] for b in yard.things("ip_block").values() if len(b["ips"]) == 2]
    for name in servers:
        yard.ssh(outputs["ipv4"][name], f"ip address add {shared}/32 dev lo")
    with yard.shelf.changing("ionoscloud") as book:
        # as a second address that the operator put on both cards
        for ident in outputs["nics"].values():
            if shared not in book.of("nic")[ident]["ips"]:
                book.of("nic")[ident]["ips"].append(shared)
    yard.write(centre=True, servers=servers, spare={"ip": shared, "at": "io1"})
    yard.up()
    assert yard.ssh(shared, "hostname") == "io1"
    yard.write(centre=True, servers=servers, spare={"ip": shared, "at": "io2"})
    assert ops(yard.up()) == {"shared": "update"}
    # whom the group names is not who has it
    assert yard.ssh(shared, "hostname") == "io1"
    frames = [frame.hex() for frame in render_announcement(bytes(6), shared)]
    say = "s=socket.socket(17,3); s.bind(('eth0',0x806)); [s.send(bytes.fromhex(f)) for f in %s]"
    told = f'python3 -c "import socket; {say % frames}"'
    # a frame may come before the ear does
    heard = (
        yard.ssh(outputs["ipv4"]["io2"], told) + yard.ssh(shared, "hostname") for _ in range(50)
    )
    assert "io2" in heard
    yard.write(centre=True, servers=servers)
    assert "IP failover settings cannot be deleted" in yard.refused()
    with yard.shelf.changing("ionoscloud") as book:
        book.of("nic")[outputs["nics"]["io1"]]["ips"].remove(shared)
    assert ops(yard.up()) == {"shared": "delete"}
    with yard.shelf.changing("ionoscloud") as book:
        # else io2 would hold an address of io1's, of which the program knows nothing
        book.of("nic")[outputs["nics"]["io2"]]["ips"].remove(shared)


def test_a_call_to_an_api_that_is_away_is_made_again(yard):
    yard.switch(ASLEEP, fault("create", "server", "503"))
    yard.write(centre=True, servers={"io1": {}})
    yard.up()
    assert [s["name"] for s in yard.things("server").values()] == ["io1"]


def test_a_failed_request_leaves_what_exists_and_the_next_run_finishes(yard):
    yard.switch(ASLEEP, fault("create", "server", "500", name="io2"))
    yard.write(centre=True, servers={"io1": {}, "io2": {}})
    assert "500 Internal Server Error" in yard.refused()
    before = yard.things("server")
    yard.switch(ASLEEP)
    yard.up()
    after = yard.things("server")
    assert sorted(s["name"] for s in after.values()) == ["io1", "io2"]
    assert before.items() <= after.items()


def test_a_full_contract_and_a_foreign_address_are_refused(yard):
    yard.switch(ASLEEP, server=1)
    yard.write(centre=True, servers={"io1": {}, "io2": {}})
    assert "limit of server resources is reached" in yard.refused()
    yard.switch(ASLEEP)
    (held,) = {s["host"] for s in yard.things("server").values()}
    yard.write(centre=True, servers={held: {}, "io3": {"steal": "198.18.49.1"}})
    assert "IP 198.18.49.1 is not reserved in de/txl" in yard.refused()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"location": "de/ber"}, "de/ber is no location"),
        ({"servers": {"io1": {"image": "debian-11"}}}, "could not find an image"),
        ({"servers": {"io1": {"ram": 1000}}}, "must be a multiple of 256 MB"),
        ({"servers": {"io1": {"disk": "NVMe"}}}, "expected disk_type to be one of"),
    ],
)
def test_an_order_that_nobody_sells_is_refused(yard, config, said):
    yard.write(centre=True, **config)
    assert said in yard.refused()
    assert not yard.things("server")
