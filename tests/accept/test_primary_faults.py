"""What befalls a primary: keys that roll or are lost, a kill while it signs, a full disk."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import time

import dns.dnssec
import dns.rdatatype
import pytest

from loopback_iac.dns.served import Server
from loopback_iac.dns.served.ds_gate import check_ds_gate
from loopback_iac.lab.names.machine import DS_SECRET, Hosts, Machine, hosts, render_hosts
from loopback_iac.remote.dns_ask import Limits
from loopback_iac.remote.dns_served import probe_looks
from tests.accept.network import wait_for
from tests.golden import primaries

ZONE = "example.net."
PARENT = "198.18.250.54"
PARENT_CONF = f"""
server:
    listen: [{PARENT}@53]
database:
    storage: /var/lib/knot
key:
  - id: loopback-ds-own
    algorithm: hmac-sha256
    secret: {DS_SECRET}
acl:
  - id: ds
    key: loopback-ds-own
    action: update
    update-type: [DS]
zone:
  - domain: net.
    storage: /etc/loopback
    file: net.zone
    acl: ds
"""
PARENT_ZONE = """
$ORIGIN net.
$TTL 1
@ IN SOA ns.net. hostmaster.net. 1 600 300 604800 60
@ IN NS ns.net.
ns IN A 198.18.250.54
example IN NS ns1.example.net.
ns1.example IN A 203.0.113.53
"""
KNOT = "/etc/knot/knot.conf"
BOOTSTRAP = ("CDS", "CDNSKEY")
QUICK = {"dnskey_ttl_s": 1, "propagation_delay_s": 1, "ksk_lifetime_s": 0}
MANY = "".join(f"n{number} 300 IN A 203.0.113.{number % 250}\n" for number in range(10_000))


def declared(*, publish_ds: bool) -> primaries.Case:
    case = primaries.load("two-servers")
    zone = {"parent": "own", "publish_ds": publish_ds, "default_ttl_s": 1}
    zones = {ZONE: {**case.primary["zones"]["example.net"], **zone}}
    quick = {
        "parents": {"own": {"addresses": [PARENT], "secret": "late", "ds_ttl_s": 1}},
        "signing": QUICK,
    }
    return dataclasses.replace(case, primary={**case.primary, **quick, "zones": zones})


@pytest.fixture
def travel(image, tmp_path_factory):
    with hosts(image, tmp_path_factory.mktemp("dns"), declared(publish_ds=True)) as made:
        yield made


@pytest.fixture
def held(image, tmp_path_factory):
    with hosts(image, tmp_path_factory.mktemp("dns"), declared(publish_ds=False)) as made:
        yield made


def begin(travel: Hosts) -> None:
    for machine in (travel.primary, *travel.servers.values()):
        machine.start()
    wait_for(lambda: travel.primary.serial(ZONE) > 0)
    travel.primary.knotc("zone-notify")
    travel.wait_served(ZONE)


def start_parent(travel: Hosts) -> Machine:
    primary = travel.primary
    parent = Machine("parent", primary.space, primary.ground / "parent", primary.image, PARENT)
    parent.space.ip(f"addr add {PARENT}/32 dev lo")
    parent.prepare()
    (parent.ground / "etc/knot/knot.conf").write_text(PARENT_CONF)
    (parent.ground / "etc/loopback/net.zone").write_text(PARENT_ZONE)
    parent.start()
    wait_for(lambda: parent.serial("net.") > 0)
    return parent


def entry_keys(machine: Machine) -> set[int]:
    """Key tags of the keys that a parent may name."""
    texts = machine.answer(ZONE, "DNSKEY")
    keys = [dns.rdata.from_text("IN", "DNSKEY", text) for text in texts]
    return {dns.dnssec.key_id(key) for key in keys if key.flags == 257}


def named(parent: Machine) -> set[int]:
    return {int(text.split(" ")[0]) for text in parent.answer(ZONE, "DS")}


def test_a_key_rolls_with_the_parent_and_nobody_at_it(travel):
    parent = start_parent(travel)
    begin(travel)
    # the first key: its DS comes by itself
    wait_for(lambda: named(parent) == entry_keys(travel.primary) != set())
    (first,) = named(parent)
    assert travel.primary.knotc("zone-key-rollover", ZONE, "ksk").returncode == 0
    # at every moment the parent names a key that every name server serves
    seen = [named(parent)]

    def rolled() -> bool:
        before = [entry_keys(server) for server in travel.servers.values()]
        seen.append(named(parent))
        served = [entry_keys(server) for server in travel.servers.values()]
        # a key that is named then was served before, or is still: none comes and goes in between
        both = [one | other for one, other in zip(before, served, strict=True)]
        assert all(seen[-1] & keys for keys in both), (seen[-1], before, served)
        return seen[-1] != {first} and all(keys == seen[-1] for keys in served)

    wait_for(rolled)
    assert first not in named(parent)


def publish(held: Hosts, *, publish_ds: bool) -> None:
    """Another `up` of the primary, as its agent ends it: no other file is written again."""
    files = render_hosts(declared(publish_ds=publish_ds))["primary"]
    changed = {KNOT: files.files[KNOT]}
    held.primary.put(dataclasses.replace(files, files=changed))
    done = held.primary.knotc("reload")
    assert done.returncode == 0, done.stderr


def pushes(held: Hosts) -> bool:
    """Whether Knot has pushed a DS, or means to."""
    status = held.primary.knotc("zone-status", ZONE, "+events")
    assert "DS-check" in status.stdout, status.stderr
    return "DS-push" in status.stdout + held.primary.log


def test_a_parent_gets_the_ds_once_that_is_declared(held):
    parent = start_parent(held)
    begin(held)
    primary = held.primary
    # Knot has looked for the DS at the parent, waits for it, and brings none
    wait_for(lambda: "KSK submission check: negative" in primary.log)
    assert not pushes(held)
    (first,) = entry_keys(primary)
    hosts_of_zone = (primary, *held.servers.values())
    assert [m.answer(ZONE, kind) for m in hosts_of_zone for kind in BOOTSTRAP] == [[]] * 6
    # what the gate asks for is there: all is signed before anybody has a DS. The zone names its
    # servers by the addresses that they have in the field
    asked = [Server(name, "", m.address, 53) for name, m in held.servers.items()]
    views = primary.space.inside(lambda: probe_looks(ZONE, asked, Limits()))
    gate = check_ds_gate(ZONE, views, int(time.time()))
    assert {one.rule for one in gate.findings} == {"server-not-asked"}
    assert named(parent) == set()

    publish(held, publish_ds=True)
    wait_for(lambda: named(parent) == {first})
    wait_for(lambda: "KSK submission, confirmed" in primary.log)

    # declared away: the parent keeps what it has, and the next key waits beside the first
    publish(held, publish_ds=False)
    wait_for(lambda: primary.answer(ZONE, "CDS") == [])
    assert primary.knotc("zone-key-rollover", ZONE, "ksk").returncode == 0
    wait_for(lambda: len(entry_keys(primary)) > 1)
    wait_for(lambda: "KSK submission check: negative" in told_since(primary, "confirmed"))
    primary.stop(kill=True)
    primary.start()
    wait_for(lambda: primary.serial(ZONE) > 0)
    held.wait_served(ZONE)
    assert [len(entry_keys(m)) for m in hosts_of_zone] == [2] * 3
    assert [entry_keys(m) >= {first} for m in hosts_of_zone] == [True] * 3
    assert named(parent) == {first}

    # and goes on where it stood
    publish(held, publish_ds=True)
    wait_for(lambda: first not in named(parent) != set())
    wait_for(lambda: [entry_keys(m) for m in hosts_of_zone] == [named(parent)] * 3)


def told_since(machine: Machine, word: str) -> str:
    """What a daemon logged after it last said a word; nothing before it said it."""
    _, found, rest = machine.log.rpartition(word)
    return rest if found else ""


def test_killed_while_signing_it_comes_back_with_all_of_the_zone(travel):
    begin(travel)
    travel.put(ZONE, travel.zone_text(ZONE) + MANY)
    assert travel.primary.knotc("zone-reload", ZONE).returncode == 0
    wait_for(lambda: "signing started" in told_since(travel.primary, "serial updated"))
    travel.primary.stop(kill=True)
    # whoever asks meanwhile is answered as before
    for server in travel.servers.values():
        assert server.answer(f"www.{ZONE}", "A") == ["203.0.113.10"]
    travel.primary.start()
    for server in travel.servers.values():
        wait_for(lambda server=server: server.answer(f"n9999.{ZONE}", "A") != [])
    travel.wait_served(ZONE)


def test_on_a_full_disk_the_old_zone_is_served_and_the_change_comes_with_room(travel):
    disk = travel.primary.ground / "var/lib/knot"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(disk)], check=True)
    try:
        begin(travel)
        filler = disk / "filler"
        before = travel.primary.serial(ZONE)
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(b"\0" * 11_000_000)
        text = travel.zone_text(ZONE)
        travel.put(ZONE, text + MANY)
        assert travel.load(ZONE).returncode != 0
        assert "not enough space" in travel.primary.log
        assert travel.primary.serial(ZONE) == before
        assert travel.servers["par1"].answer(f"www.{ZONE}", "A") == ["203.0.113.10"]
        filler.unlink()
        travel.put(ZONE, text + "new 300 IN A 203.0.113.12\n")
        assert travel.load(ZONE).returncode == 0
        travel.wait_served(ZONE)
        assert travel.servers["par1"].answer(f"new.{ZONE}", "A") == ["203.0.113.12"]
    finally:
        travel.primary.stop()
        subprocess.run(["umount", str(disk)], check=True)


def test_keys_that_are_lost_come_back_from_their_backup(travel):
    begin(travel)
    primary = travel.primary
    backup = primary.ground / "var/lib/knot/backup"
    before = sorted(primary.answer(ZONE, "DNSKEY"))
    words = ("+backupdir", "/var/lib/knot/backup", "+keysonly", "+nozonefile")
    done = primary.knotc("-b", "zone-backup", *words)
    assert done.returncode == 0, done.stderr
    kept = primary.ground / "kept"
    shutil.move(backup, kept)
    primary.stop()
    shutil.rmtree(primary.ground / "var/lib/knot")
    (primary.ground / "var/lib/knot").mkdir()
    primary.start()
    # without the backup, other keys: every validating resolver would refuse the zone
    wait_for(lambda: primary.serial(ZONE) > 0)
    assert not set(before) & set(primary.answer(ZONE, "DNSKEY"))
    shutil.move(kept, backup)
    restored = primary.knotc("-b", "-f", "zone-restore", *words)
    assert restored.returncode == 0, restored.stderr
    assert primary.knotc("-b", "zone-sign", ZONE).returncode == 0
    wait_for(lambda: sorted(primary.answer(ZONE, "DNSKEY")) == before)


def test_who_has_the_wrong_key_gets_nothing_and_says_nothing(travel):
    """A name server that was told another secret stays without zones, and refuses to answer."""
    path = travel.servers["par1"].ground / "etc/nsd/nsd.conf"
    text = path.read_text()
    lines = [line for line in text.splitlines() if line.lstrip().startswith("secret:")]
    path.write_text(text.replace(lines[0], f'  secret: "{DS_SECRET}"'))
    for machine in (travel.primary, *travel.servers.values()):
        machine.start()
    wait_for(lambda: travel.primary.serial(ZONE) > 0)
    travel.primary.knotc("zone-notify")
    travel.wait_served(ZONE, "fra1")
    wait_for(lambda: "'BADSIG'" in travel.primary.log)
    wait_for(lambda: "tsig error (Bad Signature)" in travel.servers["par1"].log)
    told = travel.servers["par1"].ask(ZONE, "SOA")
    assert (told["rcode"], told["answer"]) == ("REFUSED", [])


def test_a_zone_that_is_not_what_was_digested_is_refused_by_knot(travel):
    """Altered on its way: the primary hands out a zone under the digest of another."""
    path = travel.primary.ground / "etc/knot/knot.conf"
    text = path.read_text().replace("dnssec-signing: on", "dnssec-signing: off")
    text = text.replace("zonemd-generate: zonemd-sha384", "zonemd-generate: none")
    path.write_text(text.replace("zonefile-load: difference-no-serial", "zonefile-load: whole"))
    travel.put(ZONE, travel.zone_text(ZONE) + f"@ ZONEMD 1 1 1 {'00' * 48}\n")
    for machine in (travel.primary, *travel.servers.values()):
        machine.start()
    wait_for(lambda: travel.primary.serial(ZONE) > 0)
    travel.primary.knotc("zone-notify")
    travel.wait_served(ZONE, "par1")
    wait_for(lambda: "ZONEMD" in travel.servers["fra1"].log)
    assert travel.servers["fra1"].answer(ZONE, "SOA") == []
