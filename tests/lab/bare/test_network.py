"""What the lab gives before anything is deployed: a working Internet, bare machines."""

from __future__ import annotations

import json
import time

import pytest

from loopback_iac.lab import image_path
from loopback_iac.lab.topology import MACHINES, ROUTERS, Role

UPLINKS = ["198.18.250.11", "198.18.250.12", "2001:db8:fa::11", "2001:db8:fa::12"]


def until(condition, within_s=60.0):
    """Wait for something that takes its time; its last answer."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


def birdc(lab, host, *words, control=()):
    done = lab.exec(host, ["birdc", *control, *words])
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_routers_of_the_lab_see_each_other(lab):
    bgp = lab.bgp()
    assert set(bgp) == {"t1", "t2", "core"}
    assert until(lambda: all(lab.bgp()["core"].values()))
    # the PoPs are bare, so nobody answers there
    for upstream in ("t1", "t2"):
        up = {name for name, established in bgp[upstream].items() if established}
        assert up == {"core_4", "core_6"}


@pytest.mark.parametrize("client", ["c-fra", "c-par"])
@pytest.mark.parametrize("address", UPLINKS)
def test_clients_reach_the_service_hosts(lab, client, address):
    assert lab.exec(client, ["ping", "-c1", "-W30", address]).returncode == 0


def test_the_workstation_reaches_every_machine_over_both_families(lab):
    for host in lab.topology.having(*MACHINES):
        end = lab.topology.uplink(host.name)
        for address in (end.v4.ip, end.v6.ip):
            # not with ping: the machine may have none
            probe = f"import socket; socket.create_connection(({str(address)!r}, 9), 30)"
            said = lab.exec("ops", ["python3", "-c", probe]).stderr
            # the discard port: an answer without a connection that sshd would hold against us
            assert "ConnectionRefusedError" in said


def test_caches_feed_every_router(lab):
    for router in lab.topology.having(*ROUTERS):

        def stands(router=router):
            shown = birdc(lab, router.name, "show", "protocols")
            return [line.split()[-1] for line in shown.splitlines() if " RPKI " in line]

        assert until(lambda stands=stands: stands() == ["Established", "Established"])
        four = birdc(lab, router.name, "show", "route", "table", "rpki4")
        assert "203.0.113.0/24-24 AS64500" in four
        assert "2001:db8:100::/48-48 AS64500" in birdc(
            lab, router.name, "show", "route", "table", "rpki6"
        )


def test_an_origin_its_roa_does_not_name_is_filtered(lab):
    # t2 originates 198.18.64.0/24 although the ROA names AS64511
    assert "198.18.64.0/24" in birdc(lab, "t2", "show", "route")
    assert until(lambda: "198.18.64.0/24" in birdc(lab, "core", "show", "route", "filtered"))
    assert "198.18.64.0/24" not in birdc(lab, "core", "show", "route", "protocol", "t2_4")
    assert "198.18.64.0/24" not in birdc(lab, "t1", "show", "route", "table", "master4")


def test_the_time_service_answers_and_cannot_set_the_clock(lab):
    ask = (
        "import socket\nu = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "u.settimeout(30)\nu.sendto(b'\\x23' + bytes(47), ('198.18.250.11', 123))\n"
        "print(u.recv(48)[1])"
    )
    assert lab.exec("c-fra", ["python3", "-c", ask]).stdout.strip() == "8"
    for host in ("svc1", "fra1"):
        for process in ("1", "self"):  # what the host started, and what is entered into it
            assert not may_set_the_clock(lab, host, process)


def may_set_the_clock(lab, host, process):
    """Read from the bounding set: a trial would set the machine's own clock."""
    read = lab.exec(host, ["grep", "CapBnd", f"/proc/{process}/status"]).stdout
    return bool(int(read.split()[1], 16) >> 25 & 1)  # CAP_SYS_TIME, capability.h


def ssh(lab, address, known_hosts):
    options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes"]
    options += ["ConnectTimeout=5", f"UserKnownHostsFile={known_hosts}"]
    argv = ["ssh", "-F", "none", "-i", str(lab.paths.operator_key)]
    argv += [word for option in options for word in ("-o", option)]
    return lab.exec("ops", [*argv, f"root@{address}", "hostname"])


@pytest.mark.parametrize(
    ("host", "address"),
    [("fra1", "198.18.1.11"), ("fra1", "2001:db8:1::11"), ("w1", "198.18.11.21")],
)
def test_the_operator_logs_in_with_the_pinned_host_key(lab, host, address):
    done = ssh(lab, address, lab.paths.known_hosts)
    assert (done.returncode, done.stdout) == (0, f"{host}\n")


def test_a_host_with_another_key_is_not_trusted(lab, tmp_path):
    wrong = tmp_path / "known_hosts"
    fra1 = lab.paths.known_hosts.read_text().splitlines()[0].split()
    wrong.write_text(f"198.18.12.22 {' '.join(fra1[1:])}\n")
    done = ssh(lab, "198.18.12.22", wrong)
    assert done.returncode == 255
    assert "HOST IDENTIFICATION HAS CHANGED" in done.stderr


def test_machines_are_bare(lab):
    for host in lab.topology.having(*MACHINES):
        running = lab.exec(
            host.name,
            [
                "systemctl",
                "list-units",
                "--type=service",
                "--state=running",
                "--plain",
                "--no-legend",
            ],
        ).stdout
        services = {line.split()[0].removesuffix(".service") for line in running.splitlines()}
        own = {"demo-app", "demo-app-http"} if host.role is Role.WORKER else set()
        assert services == {"dbus", "ssh", "systemd-journald", "systemd-logind"} | own
        assert lab.exec(host.name, ["nft", "list", "ruleset"]).stdout == ""
        for unit in ("bird", "haproxy", "chrony", "nftables", "prometheus-node-exporter"):
            # disabled, not masked: the deploy must be able to enable it
            assert lab.exec(host.name, ["systemctl", "is-enabled", unit]).stdout == "disabled\n"
        failed = lab.exec(host.name, ["systemctl", "--failed", "--no-legend"]).stdout
        assert failed == ""


def test_transit_interfaces_are_named_after_the_upstream(lab):
    links = json.loads(lab.exec("fra1", ["ip", "-json", "address"]).stdout)
    found = {
        link["ifname"]: [a["local"] for a in link["addr_info"] if a["scope"] == "global"]
        for link in links
    }
    assert found == {
        "lo": [],
        "eth0": ["198.18.1.11", "2001:db8:1::11"],
        "t1": ["192.0.2.1", "2001:db8:ff::1"],
        "t2": ["192.0.2.5", "2001:db8:ff:2::1"],
    }


def test_the_image_carries_nothing_of_the_machine(lab):
    root = image_path()
    assert list((root / "etc/apt/sources.list.d").iterdir()) == []
    for name in ("etc/apt/sources.list", "etc/hostname", "etc/resolv.conf"):
        assert (root / name).read_text() == ""
    assert {p.name for p in (root / "etc/apt/apt.conf.d").iterdir()} == {
        "01autoremove",
        "20auto-upgrades",  # of the package unattended-upgrades, as the next; its timers are masked
        "50unattended-upgrades",
        "70debconf",
    }
    assert list((root / "etc/ssh").glob("ssh_host_*")) == []


PROXY_V2 = r"""
import ipaddress, socket, ssl, struct, sys
to, client, ca = sys.argv[1:]
address = ipaddress.ip_address(client)
vip = ipaddress.ip_address("203.0.113.10" if address.version == 4 else "2001:db8:100::10")
body = address.packed + vip.packed + struct.pack("!HH", 4242, 443) + b"\xe0\0\4fra1"
family = 0x11 if address.version == 4 else 0x21
line = socket.create_connection((to, 8443), 30)
line.sendall(b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, family]) + struct.pack("!H", len(body)) + body)
line = ssl.create_default_context(cafile=ca).wrap_socket(line, server_hostname="www.example.net")
line.sendall(b"GET / HTTP/1.1\r\nHost: www.example.net\r\nConnection: close\r\n\r\n")
print(line.version())
print(b"".join(iter(lambda: line.recv(4096), b"")).decode().partition("\r\n\r\n")[2])
"""


@pytest.mark.parametrize(
    ("worker", "address", "client"),
    [("w1", "198.18.11.21", "198.51.100.2"), ("w2", "2001:db8:c::22", "2001:db8:c1::2")],
)
def test_the_workload_sees_the_client_through_proxy_v2(lab, worker, address, client):
    argv = ["python3", "-c", PROXY_V2, address, client, str(lab.paths.ca_certificate)]
    done = lab.exec("ops", argv)
    assert done.returncode == 0, done.stderr
    version, answer = done.stdout.strip().split("\n")
    assert version in ("TLSv1.2", "TLSv1.3")
    assert json.loads(answer) == {"worker": worker, "client": client, "port": 4242, "pop": "fra1"}
    log = until(
        lambda: (
            lab.exec(
                worker, ["grep", f"^{client} 4242 fra1 200", "/var/log/demo-app/access.log"]
            ).stdout
        )
    )
    assert log
