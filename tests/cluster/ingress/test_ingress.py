"""Requests through VIP, PoP, tunnel and Traefik to a pod: whom it sees, and who notices what."""

from __future__ import annotations

import json

import pytest

from loopback_iac.lab import cgroups
from loopback_iac.lab.cluster.workload import CLASS

AGENT = "/usr/local/sbin/loopback-agent"
FORGED = "192.0.2.66"
SPACE = f"--namespace=ingress-{CLASS}"
# Speaks PROXY protocol version 1 to whatever address it is given, and prints the answer.
ASKED = r"GET / HTTP/1.1\r\nHost: www.example.net\r\nConnection: close\r\n\r\n"
LIAR = (
    "import socket, sys\n"
    "with socket.create_connection((sys.argv[1], int(sys.argv[2])), 3) as s:\n"
    f"    s.sendall(b'PROXY TCP4 {FORGED} 203.0.113.10 4711 80\\r\\n')\n"
    f"    s.sendall(b'{ASKED}')\n"
    "    s.settimeout(3)\n"
    "    while chunk := s.recv(4096): print(chunk.decode(), end='')\n"
)


def failed(records) -> list[tuple[int, str]]:
    return [(a.due_us, a.outcome) for a in records.attempts if a.failed]


def test_a_node_has_no_more_of_the_processors_than_a_pop(site):
    """Where cgroups of version 1 divide them, as wherever the kubelet's pods are weighed."""
    weighed = [root for root in cgroups.hierarchies() if root.name in cgroups.WEIGHED]
    for host in ("fra1", "w1", "c-fra"):
        pids = {str(pid) for pid in cgroups.pids(site.lab.paths, host, "payload/init.scope")}
        for root in weighed:
            place = root / site.lab.paths.cgroup(host)
            assert pids <= set((place / "cgroup.procs").read_text().split())
            assert (place / "cpu.shares").read_text() == (place.parent / "cpu.shares").read_text()


def test_e4_every_answer_names_the_client_that_asked(site):
    records = site.under_load(lambda: None, rate=100, full=1)
    assert len(records.attempts) >= 150
    assert failed(records) == []
    assert {a.client_right for a in records.attempts} == {True}
    assert {a.family for a in records.attempts} == {4, 6}
    assert {a.worker for a in records.attempts} == {"w1", "w2"}


@pytest.mark.parametrize("client", ["c-fra", "c-par"])
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_e6_what_a_client_says_of_itself_has_no_effect(site, client, family, scheme):
    told = ("X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Forwarded-Proto")
    words = [w for name in told for w in ("--header", f"{name}: {FORGED}")]
    answer = site.ask(client, *words, family=family, scheme=scheme)
    own = site.address(client, family)
    assert (answer["client"], answer["forwarded_for"], answer["proto"]) == (own, own, scheme)


def test_e6_a_clients_own_proxy_header_is_no_header_to_anybody(site):
    """The PoP writes its own before it: what the client sends is a request that makes no sense."""
    done = site.lab.exec("c-fra", ["python3", "-c", LIAR, "203.0.113.10", "80"])
    assert done.stdout.startswith("HTTP/1.1 400")
    assert site.curl("c-fra", "--haproxy-protocol").returncode != 0


def test_e6_a_proxy_header_from_elsewhere_is_not_believed(site):
    """On the worker itself, where no rule keeps one from the port, and from a neighbor's host."""
    done = site.lab.exec("w1", ["python3", "-c", LIAR, site.address("w1"), "8080"])
    answer = json.loads(done.stdout.partition("\n\n")[2])
    assert answer["client"] == site.address("w1")
    assert FORGED not in done.stdout
    refused = site.lab.exec("w2", ["python3", "-c", LIAR, site.address("w1"), "8080"])
    assert refused.returncode != 0


def test_e6_a_rolling_restart_of_traefik_fails_no_request(site):
    def restart():
        site.cluster.kubectl("rollout", "restart", f"daemonset/traefik-{CLASS}", SPACE)
        words = ("rollout", "status", f"daemonset/traefik-{CLASS}", SPACE, "--timeout=180s")
        site.cluster.kubectl(*words, timeout_s=190)

    assert failed(site.under_load(restart)) == []


def test_e6_a_worker_is_drained_rebooted_and_back_and_fails_no_request(site):
    def reboot():
        out = site.lab.exec("w2", [AGENT, "drain", "2"])
        assert out.returncode == 0, out.stderr
        drain = ("drain", "w2", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=90s")
        site.cluster.kubectl(*drain, timeout_s=100)
        site.lab.power_off("w2")
        site.lab.power_on("w2")
        site.cluster.up()
        site.cluster.kubectl("uncordon", "w2")
        back = site.lab.exec("w2", [AGENT, "undrain"])
        assert back.returncode == 0, back.stderr
        site.settle()

    try:
        assert failed(site.under_load(reboot)) == []
    finally:
        site.cluster.kubectl("rollout", "restart", "deployment/app")
        site.cluster.kubectl("rollout", "status", "deployment/app", "--timeout=120s")


def test_e6_a_pop_is_drained_and_back_and_fails_what_the_route_moves_alone(site):
    def leave():
        for verb in (("drain", "--seconds=2"), ("undrain",)):
            words = ["loopback", verb[0], "fra1", *verb[1:]]
            done = site.lab.exec("ops", words, timeout_s=120)
            assert done.returncode == 0, done.stderr

    # a route moves twice for two families, and takes along who is just being opened: 0 to 2 each
    lost = failed(site.under_load(leave))
    assert len(lost) <= 8, lost
    assert {outcome for _, outcome in lost} <= {"reset"}
