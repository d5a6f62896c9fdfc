"""The fleet as deployed by the README's program: what each side of it must be able to see."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VIPS = {4: "203.0.113.10", 6: "[2001:db8:100::10]"}
PREFIXES = ("203.0.113.0/24", "2001:db8:100::/48")
POPS, WORKERS, UPSTREAMS = ("fra1", "par1"), ("w1", "w2"), ("t1", "t2")
W1, ASKERS = ("198.18.11.21", "2001:db8:b::21"), ("c-fra", "core", "w2", "ops")


def birdc(fleet, host, *words):
    return fleet.lab.exec(host, ["birdc", *words]).stdout


def test_e1_every_upstream_learns_every_prefix_from_every_pop_and_nothing_else(fleet):
    for upstream in UPSTREAMS:
        for pop in POPS:
            for family, prefix in zip((4, 6), PREFIXES, strict=True):
                session = f"{pop}_{family}"
                learned = birdc(fleet, upstream, "show", "route", "protocol", session)
                # `import keep filtered` is on at the upstream, so this is all that was sent
                refused = birdc(fleet, upstream, "show", "route", "filtered", "protocol", session)
                assert re.findall(r"^\S+/\d+", learned, re.MULTILINE) == [prefix], session
                assert re.findall(r"^\S+/\d+", refused, re.MULTILINE) == [], session


def test_e1_sessions_have_the_protections_that_were_declared(fleet):
    for pop in POPS:
        shown = birdc(fleet, pop, "show", "protocols", "all")
        assert shown.count("BGP state:          Established") == 4
        # our side is the customer, and requires the neighbor to say that it is the provider
        assert shown.count("Role: provider") >= 4
        assert birdc(fleet, pop, "show", "bfd", "sessions").count("Up") == 4


@pytest.mark.parametrize("client", ["c-fra", "c-par"])
@pytest.mark.parametrize("family", [4, 6])
def test_e4_the_application_sees_the_client_and_the_near_pop(fleet, client, family):
    answer = fleet.ask(client, VIPS[family])
    ours = fleet.lab.topology.uplink(client)
    assert answer["client"] == str((ours.v4 if family == 4 else ours.v6).ip)
    assert answer["pop"] == {"c-fra": "fra1", "c-par": "par1"}[client]


def test_e5_every_worker_of_the_pool_serves(fleet):
    assert {fleet.ask("c-fra", VIPS[4])["worker"] for _ in range(8)} == set(WORKERS)


def test_e2_no_pop_holds_a_key_that_could_open_tls(fleet):
    pem = (fleet.lab.paths.keys / "tls.pem").read_text()
    key = re.findall(r"BEGIN PRIVATE KEY-+\n\S+\n(\S+)\n", pem)[-1]  # the CA's, then the site's
    places = ["/etc", "/root", "/var/lib", "/run", "/home", "/usr/local"]
    search = ["grep", "-rlsF", key, *places]
    assert fleet.lab.exec("w1", search).stdout.split() != []  # the search finds it where it is
    for pop in POPS:
        assert fleet.lab.exec(pop, search).stdout.split() == []
        config = fleet.lab.exec(pop, ["cat", "/etc/haproxy/haproxy.cfg"]).stdout
        assert "mode tcp" in config
        assert not re.search(r"\b(ssl|crt)\b", config)


@pytest.fixture(scope="module")
def answered(fleet):
    """Asker -> addresses of w1 whose port answered; silence takes its time, so all ask at once."""
    dial = (
        "import socket\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def ask(address):\n"
        "    try: socket.create_connection((address, 8443), 2)\n"
        "    except OSError: return\n"
        "    print(address)\n"
        f"with ThreadPoolExecutor() as pool: list(pool.map(ask, {W1!r}))\n"
        "print('asked')\n"
    )
    with ThreadPoolExecutor() as pool:
        ask = partial(fleet.lab.exec, argv=["python3", "-c", dial])
        done = list(pool.map(ask, ASKERS))
    return {asker: one.stdout.split() for asker, one in zip(ASKERS, done, strict=True)}


@pytest.mark.parametrize("asker", ASKERS)
def test_e3_the_workers_port_answers_nobody_but_the_tunnels(answered, asker):
    assert answered[asker] == ["asked"]


def test_e3_what_travels_between_pop_and_worker_is_wireguard(fleet):
    """Every packet on w1's uplink while it serves: UDP of the tunnels, never its port in clear."""
    listen = (
        "import socket, json, struct, time\n"
        "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n"
        "s.bind(('eth0', 0)); s.settimeout(0.2); seen = {}\n"
        "end = time.monotonic() + 4\n"
        "print('ready', flush=True)\n"
        "while time.monotonic() < end:\n"
        "    try: p = s.recv(2048)\n"
        "    except TimeoutError: continue\n"
        "    kind = struct.unpack('!H', p[12:14])[0]\n"
        "    if kind == 0x800: proto, at = p[23], 14 + (p[14] & 15) * 4\n"
        "    elif kind == 0x86dd: proto, at = p[20], 54\n"
        "    else: continue\n"
        "    if proto not in (6, 17): continue\n"
        "    ports = struct.unpack('!HH', p[at:at + 4])\n"
        "    key = f'{proto}:{min(ports)}'; seen[key] = seen.get(key, 0) + 1\n"
        "print(json.dumps(seen))\n"
    )
    asks = (
        f"(sleep 0.5; for i in 1 2 3 4 5 6 7 8; do curl -sk -o /dev/null -m 3 --resolve "
        f"www.example.net:443:{VIPS[4]} https://www.example.net/; done) &"
    )
    fleet.lab.exec("c-fra", ["sh", "-c", asks + " exit 0"])
    said = fleet.lab.exec("w1", ["python3", "-c", listen]).stdout
    seen = json.loads(said.splitlines()[-1])
    assert not [key for key in seen if key.startswith("6:") and key != "6:22"], seen
    # a rotation of keys moves every tunnel to other ports
    listening = fleet.lab.exec("w1", ["wg", "show", "all", "listen-port"]).stdout
    dialled = fleet.lab.exec("w1", ["wg", "show", "all", "endpoints"]).stdout
    ports = {f"17:{said}" for said in re.findall(r"\b(\d+)$", listening + dialled, re.MULTILINE)}
    assert ports
    assert sum(n for key, n in seen.items() if key in ports) > 20, (seen, ports)


def test_a_pop_lets_in_what_it_serves_and_nothing_else(fleet):
    """From a client: the VIP's port answers; SSH, metrics and BGP of the PoP do not."""
    dial = (
        "import socket\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def answers(port):\n"
        "    try: socket.create_connection(('198.18.1.11', port), 1)\n"
        "    except OSError: return False\n"
        "    return True\n"
        "ports = (22, 179, 9100, 9324)\n"
        "with ThreadPoolExecutor() as pool: found = zip(ports, pool.map(answers, ports))\n"
        "print(*(port for port, there in found if there), 'asked')\n"
    )
    said = {
        asker: fleet.lab.exec(asker, ["python3", "-c", dial]).stdout.split()
        for asker in ("c-fra", "ops")
    }
    assert said == {"c-fra": ["asked"], "ops": ["22", "9100", "9324", "asked"]}


def test_secrets_are_in_no_state_and_no_output(fleet):
    keys = fleet.lab.paths.keys
    secrets = [(keys / f"md5-{pop}").read_text().strip() for pop in POPS]
    secrets.append((keys / "operator").read_text().splitlines()[3])
    stored = [p for p in fleet.lab.paths.stack_state.rglob("*") if p.is_file()]
    assert stored
    texts = {str(path): path.read_text(errors="replace") for path in stored}
    texts["plan"] = fleet.loopback("plan", "--json").stdout
    texts["export"] = fleet.loopback("state", "export").stdout
    for place, text in texts.items():
        assert not [secret for secret in secrets if secret in text], place


def test_the_second_up_changes_nothing_and_touches_no_host(fleet):
    def logins():
        journal = ["journalctl", "--no-pager", "-u", "ssh", "-o", "cat"]
        return fleet.lab.exec("fra1", journal).stdout.count("Accepted publickey")

    before = logins()
    done = fleet.loopback("up", "--yes", "--json", f"--policy-pack={ROOT / 'policies'}")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {each["level"] for each in result["violations"]} == {"advisory"}
    assert {change["op"] for change in result["changes"]} == {"same"}
    assert logins() == before


def test_the_policy_pack_judges_the_plan(fleet):
    done = fleet.loopback("plan", "--json", f"--policy-pack={ROOT / 'policies'}")
    assert done.returncode == 0, done.stderr
    found = {(v["policy"], v["level"]) for v in json.loads(done.stdout)["violations"]}
    # the lab announces documentation space and is of one provider; nothing else may be found
    assert found == {
        ("no-documentation-addresses", "advisory"),
        ("pops-of-several-providers", "advisory"),
        ("no-service-falls-with-one-provider", "advisory"),
        ("controls-told", "advisory"),
    }


def test_drift_is_silent_on_a_fleet_as_applied_and_names_what_somebody_changed(fleet):
    fleet.await_whole()
    fleet.lab.exec("w1", ["sh", "-c", "echo '# by hand' >> /etc/loopback/nftables.conf"])
    try:
        done = fleet.loopback("drift", "--json")
        assert done.returncode == 1
        found = json.loads(done.stdout)["differences"]
        assert [d["host"] for d in found] == ["w1"]
        assert "/etc/loopback/nftables.conf" in json.dumps(found)
    finally:
        fleet.lab.exec("w1", ["sed", "-i", "/# by hand/d", "/etc/loopback/nftables.conf"])
    fleet.await_whole()
