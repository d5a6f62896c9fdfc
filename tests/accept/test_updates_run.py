"""Zones that change by dynamic update, on real daemons: what comes in, stays, and is refused."""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
import tarfile
from typing import TYPE_CHECKING

import dns.dnssec
import dns.name
import dns.rcode
import dns.tsigkeyring
import dns.update
import pytest
from typer.testing import CliRunner

from loopback_iac.cli import app
from loopback_iac.lab.names.machine import SECRET, Hosts, Machine, hosts
from loopback_iac.render.primary import transfer_secret, update_secret
from tests.accept.agent_step import take_step
from tests.accept.network import wait_for
from tests.accept.test_name_servers_run import rrset_of
from tests.golden import primaries

if TYPE_CHECKING:
    from collections.abc import Callable

ZONE = "_acme-challenge.example.net."
OTHER = "dyn.example."
PRIMARY = "198.18.250.53"
OWN = ("loopback-update-acme", update_secret(SECRET, "acme"))


def seed(primary: Machine, *zones: str) -> str:
    """The agent's own step; its complaint."""
    done = take_step(primary, "updated.seed_zones", *zones)
    assert bool(done.returncode) == bool(done.stderr.strip())
    return done.stderr


@pytest.fixture(scope="module")
def travel(image, tmp_path_factory):
    with hosts(image, tmp_path_factory.mktemp("dns"), primaries.load("updates")) as made:
        for machine in (made.primary, *made.servers.values()):
            machine.start()
        wait_for(lambda: made.primary.serial("example.net.") > 0)
        assert seed(made.primary, ZONE, OTHER) == ""
        made.primary.knotc("zone-notify")
        for zone in (ZONE, OTHER, "example.net."):
            made.wait_served(zone)
        yield made


def update(
    machine: Machine,
    change: Callable[[dns.update.UpdateMessage], None],
    key: tuple[str, str] | None = OWN,
    zone: str = ZONE,
) -> str:
    """One dynamic update from a host; the primary's answer, which it need not sign."""
    ring = dns.tsigkeyring.from_text(dict([key])) if key else None
    asked = dns.update.UpdateMessage(zone, keyring=ring)
    change(asked)

    def send() -> bytes:
        with socket.socket(type=socket.SOCK_DGRAM) as line:
            line.settimeout(30)
            line.sendto(asked.to_wire(), (PRIMARY, 53))
            return line.recv(4096)

    told = machine.space.inside(send)
    return dns.rcode.to_text(dns.rcode.Rcode(told[3] & 15))


def served(travel: Hosts, name: str, text: str | None) -> None:
    """Wait until every name server says so."""
    travel.primary.knotc("zone-notify")  # it would itself, a second later
    wanted = [f'"{text}"'] if text else []
    for server in travel.servers.values():
        wait_for(lambda server=server: server.answer(name, "TXT") == wanted)


def test_what_an_update_brings_is_served_signed_by_both_programs(travel):
    client = travel.servers["fra1"]
    name = f"www.{ZONE}"
    assert update(client, lambda u: u.add("www", 60, "TXT", "token")) == "NOERROR"
    served(travel, name, "token")
    for server in travel.servers.values():
        told = server.ask(name, "TXT")["answer"]
        keys = rrset_of(server.ask(ZONE, "DNSKEY")["answer"], "DNSKEY")
        signed = rrset_of(told, "TXT"), rrset_of(told, "RRSIG")
        dns.dnssec.validate(*signed, {dns.name.from_text(ZONE): keys})
    assert update(client, lambda u: u.delete("www", "TXT")) == "NOERROR"
    served(travel, name, None)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda u: u.add("www", 60, "A", "192.0.2.1"), OWN),
        (lambda u: u.add("sub", 60, "NS", "ns1.example.org."), OWN),
        (lambda u: u.add("sub", 60, "DS", f"1 13 2 {'00' * 32}"), OWN),
        (lambda u: u.replace("@", 60, "NS", "ns9.example.org."), OWN),
        (lambda u: u.delete("@", "NS"), OWN),
        (lambda u: u.add("www.example.net.", 60, "TXT", "token"), OWN),
        (lambda u: u.add("x", 60, "TXT", "token"), None),
        (lambda u: u.add("x", 60, "TXT", "token"), (OWN[0], update_secret(SECRET, "other"))),
        (
            lambda u: u.add("x", 60, "TXT", "token"),
            ("loopback-fra1", transfer_secret(SECRET, "fra1")),
        ),
        (
            lambda u: u.add("x", 60, "TXT", "token"),
            ("loopback-update-dhcp", update_secret(SECRET, "dhcp")),
        ),
    ],
    ids=[
        "another type", "delegation", "ds", "its own ns", "without ns", "another zone", "no key",
        "wrong key", "key of a name server", "key for another zone",
    ],
)  # fmt: skip
def test_what_is_not_allowed_changes_nothing(travel, change, key):
    before = travel.primary.serial(ZONE)
    assert update(travel.servers["fra1"], change, key) != "NOERROR"
    assert travel.primary.serial(ZONE) == before


def test_from_elsewhere_the_right_key_changes_nothing(travel):
    add = lambda u: u.add("x", 60, "TXT", "token")  # noqa: E731  # named once, read once
    assert update(travel.servers["par1"], add) != "NOERROR"
    # and a zone of records is changed by nobody
    assert update(travel.servers["fra1"], add, zone="example.net.") != "NOERROR"


def test_the_comparer_holds_servers_to_each_other_where_nothing_is_declared(travel, tmp_path):
    assert update(travel.servers["fra1"], lambda u: u.add("seen", 60, "TXT", "x")) == "NOERROR"
    served(travel, f"seen.{ZONE}", "x")
    file = tmp_path / "zone"
    file.write_text(
        f"$ORIGIN {ZONE}\n$TTL 3600\n@ SOA ns1.example.org. hostmaster 1 600 300 604800 60\n"
        "@ 600 NS ns1.example.org.\n@ 600 NS ns2.example.org.\n"
    )
    at = [f"--server={name}={machine.address}" for name, machine in travel.servers.items()]
    words = ["dns", "check", str(file), "--zone", ZONE, *at, "--json", "--signed"]

    def rules(*more: str) -> set[str]:
        done = travel.primary.space.inside(lambda: CliRunner().invoke(app, [*words, *more]))
        return {one["rule"] for one in json.loads(done.stdout)["findings"]}

    assert rules("--updated", "TXT") == set()
    # as a zone of records it would be called altered
    assert rules() == {"rrset-extra"}


def put_top(travel: Hosts, zone: str, **other: object) -> None:
    path = travel.primary.ground / f"etc/loopback/zones/{zone}json"
    path.write_text(json.dumps(json.loads(path.read_text()) | other))


def test_a_changed_declaration_a_restart_and_a_kill_keep_it(travel):
    primary, client = travel.primary, travel.servers["fra1"]
    assert update(client, lambda u: u.add("kept", 60, "TXT", "one")) == "NOERROR"
    # of another TTL than the first: the journal has to load afterwards
    assert update(client, lambda u: u.replace("kept", 120, "TXT", "two")) == "NOERROR"
    served(travel, f"kept.{ZONE}", "two")
    before = primary.serial(ZONE)
    assert seed(primary, ZONE) == ""  # an `up` that changes nothing
    assert primary.serial(ZONE) == before
    servers = ["ns1.example.org.", "ns3.example.org."]
    put_top(travel, ZONE, NS={"ttl_s": 300, "values": servers})
    assert seed(primary, ZONE) == ""
    travel.wait_served(ZONE)
    assert sorted(travel.servers["par1"].answer(ZONE, "NS")) == servers
    for kill in (False, True):
        primary.stop(kill=kill)
        primary.start()
        wait_for(lambda: primary.serial("example.net.") > 0)
        assert seed(primary, ZONE) == ""
        assert primary.answer(f"kept.{ZONE}", "TXT") == ['"two"']
    assert primary.knotc("reload").returncode == 0
    put_top(
        travel,
        ZONE,
        SOA={"ttl_s": 600, "values": [f"ns3.example.org. hostmaster.{ZONE} 1 600 300 604800 30"]},
    )
    assert seed(primary, ZONE) == ""
    travel.wait_served(ZONE)
    for server in travel.servers.values():
        assert server.answer(ZONE, "SOA")[0].startswith("ns3.example.org. ")
    served(travel, f"kept.{ZONE}", "two")


def test_what_its_types_do_not_allow_any_more_goes(travel):
    """Also a zone that was loaded from a file until now."""
    client, key = travel.servers["fra1"], OWN
    for kind, value in (("A", "192.0.2.1"), ("TXT", "text")):
        add = lambda u, kind=kind, value=value: u.add("host", 60, kind, value)  # noqa: E731
        assert update(client, add, key, OTHER) == "NOERROR"
    put_top(travel, OTHER, updated=["TXT"])
    assert seed(travel.primary, OTHER) == ""
    travel.wait_served(OTHER)
    for server in travel.servers.values():
        assert server.answer(f"host.{OTHER}", "A") == []
        assert server.answer(f"host.{OTHER}", "TXT") == ['"text"']


def test_a_top_that_knot_refuses_leaves_the_zone_open_for_updates(travel):
    path = travel.primary.ground / f"etc/loopback/zones/{OTHER}json"
    whole = path.read_text()
    put_top(travel, OTHER, NS={"ttl_s": 300, "values": ["ns1..example."]})
    assert "zone-set" in seed(travel.primary, OTHER)
    add = lambda u: u.add("after", 60, "TXT", "text")  # noqa: E731
    assert update(travel.servers["fra1"], add, OWN, OTHER) == "NOERROR"
    served(travel, f"after.{OTHER}", "text")
    # somebody else's transaction is not ours to end
    put_top(travel, OTHER, NS={"ttl_s": 300, "values": ["ns1.example.org.", "ns3.example.org."]})
    assert travel.primary.knotc("zone-begin", OTHER).returncode == 0
    assert "zone-begin" in seed(travel.primary, OTHER)
    assert travel.primary.knotc("zone-abort", OTHER).returncode == 0
    path.write_text(whole)


KEYS = """\
import json, sys
sys.path.insert(0, "/etc/loopback")
from agent.bundle import HostSet, SetFile
from agent.sets import save_set
from agent.state import changing_state
from agent.zonekeys import backup_keys, restore_keys
files = {path: SetFile("", 0o644, "root", "root") for path in sys.argv[2:]}
save_set(HostSet("d1", "primary", files))
with changing_state() as state:
    state["active"] = "d1"
if sys.argv[1] == "backup":
    backup_keys(sys.stdin.buffer.read())
else:
    print(json.dumps(restore_keys(sys.stdin.buffer.read())))
"""


def keys(primary: Machine, verb: str, given: bytes) -> bytes:
    """The agent's own verb, over a set of three zones."""
    folder = "/etc/loopback/zones"
    paths = (f"{folder}/example.net.zone", f"{folder}/{ZONE}json", f"{folder}/{OTHER}json")
    words = primary.words("python3", "-B", "-c", KEYS, verb, *paths)
    enter = ["nsenter", f"--net=/run/netns/{primary.space.name}"]
    done = subprocess.run([*enter, *words], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def start_as_its_unit_does(primary: Machine) -> None:
    """As its own user: root's daemon gives up the right to read what others own."""
    assert primary.run("chown", "-R", "knot:", "/var/lib/knot", "/run/knot").returncode == 0
    primary.space.run("sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=0")
    ids = ("--reuid=knot", "--regid=knot", "--clear-groups")
    words = primary.words("setpriv", *ids, "knotd", "-c", "/etc/knot/knot.conf")
    primary.daemon = primary.space.start_daemon(primary.ground / "log", *words)


def test_what_is_lost_with_the_disk_comes_back_from_the_backup(travel, tmp_path):
    """Keys and what updates brought; the key of transfers is in no backup."""
    primary, client = travel.primary, travel.servers["fra1"]
    assert update(client, lambda u: u.add("lost", 60, "TXT", "found")) == "NOERROR"
    key, reader = tmp_path / "key", tmp_path / "reader"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    make += ["-nodes", "-subj", "/CN=keys", "-keyout", str(key), "-out", str(reader)]
    subprocess.run(make, check=True, capture_output=True)
    sealed = keys(primary, "backup", reader.read_bytes())
    read = ["openssl", "cms", "-decrypt", "-inform", "PEM", "-inkey", str(key)]
    packed = subprocess.run(read, input=sealed, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert not [name for name in archive.getnames() if "transport" in name]
    before = sorted(primary.answer(ZONE, "DNSKEY"))
    primary.stop(kill=True)
    shutil.rmtree(primary.ground / "var/lib/knot")
    (primary.ground / "var/lib/knot").mkdir()
    start_as_its_unit_does(primary)
    wait_for(lambda: primary.serial("example.net.") > 0)
    assert primary.serial(ZONE) == -1
    told = json.loads(keys(primary, "restore", packed))
    assert set(told["restored"]) == {"example.net.", ZONE, OTHER}
    wait_for(lambda: primary.answer(f"lost.{ZONE}", "TXT") == ['"found"'])
    wait_for(lambda: sorted(primary.answer(ZONE, "DNSKEY")) == before)
    served(travel, f"lost.{ZONE}", "found")
    # it takes updates as before
    assert update(client, lambda u: u.add("later", 60, "TXT", "text")) == "NOERROR"
    served(travel, f"later.{ZONE}", "text")
