"""Zones on hosts: brought by `up`, signed on one that nobody sees, answered by two that stay."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.controls import load_controls
from tests.lab.kept_names import HOME, Keeper
from tests.lab.name_service import AGENT, HOSTS, NameService, deployed
from tests.lab.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopback_iac.lab import Lab

ZONE = """\
$TTL 300
@ NS ns1
@ NS ns2
ns1 A 198.51.100.2
ns2 A 198.18.250.12
www A 203.0.113.10
"""
OTHER = "$TTL 300\n@ NS ns1.example.net.\n@ NS ns2.example.net.\n"


def until(fact: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def service(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameService]:
    keeper = Keeper(lab, tmp_path_factory.mktemp("keeper"))
    more = keeper.configuration()
    try:
        with deployed(lab, tmp_path_factory.mktemp("names"), more, example_net=ZONE) as made:
            made.keeper = keeper
            yield made
    finally:
        keeper.close()


def test_both_name_servers_answer_and_the_primary_is_not_there(service):
    for host in ("c-fra", "svc2"):
        until(service.served(host, "www.example.net.", "203.0.113.10"))
        assert service.ask(host, "example.net.", "SOA")["nsid"] == HOSTS[host]
    assert "error" in service.ask("svc1", "example.net.", "SOA")
    # what its operator carries to the registrar
    zone = service.report()["zones"]["example.net."]
    assert zone["serial"] > 1
    assert [line.split()[1:3] for line in zone["ds"]] == [["13", "2"]]


def test_zones_change_and_come_by_the_primary_alone(service):
    service.write(example_net=ZONE.replace("203.0.113.10", "203.0.113.11"), example_org=OTHER)
    assert service.up() == {"dns", "dns-primary-apply", "dns-primary-confirm"}
    for host in ("c-fra", "svc2"):
        until(service.served(host, "www.example.net.", "203.0.113.11"))
        until(lambda host=host: service.ask(host, "example.org.", "SOA")["rcode"] == "NOERROR")


def test_who_was_down_has_the_change_when_it_comes_back(service):
    """Nobody tells it again; the zone's own refresh would be ten minutes away."""
    daemons = {"c-fra": "knot", "svc2": "nsd"}
    for host, daemon in daemons.items():
        service.says(host, "systemctl", "stop", daemon)
    service.write(example_net=ZONE.replace("203.0.113.10", "203.0.113.12"))
    (service.zones / "example.org.zone").unlink()
    service.up()
    for host, daemon in daemons.items():
        service.says(host, "systemctl", "start", daemon)
        until(service.served(host, "www.example.net.", "203.0.113.12"))
        until(lambda host=host: service.ask(host, "example.org.", "SOA")["rcode"] == "REFUSED")


def test_a_zone_that_knot_refuses_changes_nothing(service):
    path = "/etc/loopback/zones/example.net.zone"
    before = service.says("svc1", "cat", path)
    standing = service.report()["active"]
    code, said = service.apply_by_hand({path: before + "\nwww CNAME ns1\n"})
    assert code != 0
    assert "knot refuses" in said
    assert "CNAME" in said
    assert service.says("svc1", "cat", path) == before
    assert service.report()["active"] == standing
    assert service.report()["pending"] is None
    until(service.served("svc2", "www.example.net.", "203.0.113.12"))


LOOK = "loopback-dns-check"


def test_the_primary_holds_name_servers_to_what_is_declared(service):
    """By the unit that its timer starts, on the host's own Python, told by the host's exporter."""
    assert service.says("svc1", "systemctl", "is-active", f"{LOOK}.timer") == "active"
    service.says("svc1", "systemctl", "start", f"{LOOK}.service")
    metrics = f"/var/lib/{LOOK}/example.net.prom"
    assert service.says("svc1", "stat", "-c", "%U %a", metrics) == "loopback-audit 644"
    url = f"http://{service.address('svc1')}:9100/metrics"
    verdicts = {
        server
        for line in curl(service, url).splitlines()
        if line.startswith("loopback_dns_server_verdict") and 'verdict="equal"' in line
        for server in re.findall(r'server="([^"]+)"', line)
        if line.endswith(" 1")
    }
    assert verdicts == {"primary", "fra1/fra1", "par1/par1"}
    refused = service.lab.exec("c-fra", ["curl", "--silent", "--max-time", "1", url])
    assert refused.returncode == 28
    # one that has something else is named, and the unit did what it is there for
    path = "/etc/loopback/zones/example.net.zone"
    service.says("svc1", "sed", "-i", "s/203.0.113.12/203.0.113.66/", path)
    service.says("svc1", "systemctl", "start", f"{LOOK}.service")
    service.says("svc1", "sed", "-i", "s/203.0.113.66/203.0.113.12/", path)
    said = service.says("svc1", "journalctl", "-u", LOOK, "-n", "20", "-o", "cat")
    assert "www.example.net. A" in said
    # blind is another matter
    service.says("svc1", "mv", path, f"{path}.away")
    blind = service.lab.exec("svc1", ["systemctl", "start", f"{LOOK}.service"])
    service.says("svc1", "mv", f"{path}.away", path)
    assert blind.returncode != 0
    service.says("svc1", "systemctl", "start", f"{LOOK}.service")


def curl(service: NameService, url: str) -> str:
    return service.says("ops", "curl", "--silent", url)


def test_drift_names_a_zone_that_somebody_altered(service):
    path = "/etc/loopback/zones/example.net.zone"
    code, _, told = service.loopback("drift")
    assert (code, told["differences"]) == (0, [])
    service.says("svc1", "sed", "-i", "s/203.0.113.12/203.0.113.66/", path)
    code, _, told = service.loopback("drift")
    assert code == 1
    assert [(d["host"], path in str(d)) for d in told["differences"]] == [("primary", True)]
    service.says("svc1", "sed", "-i", "s/203.0.113.66/203.0.113.12/", path)


def test_keys_leave_the_host_encrypted_and_come_back(service, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "reader.pem"
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl += ["-nodes", "-subj", "/CN=keys", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(openssl, check=True, capture_output=True)
    before = service.report()["zones"]["example.net."]["ds"]
    done = service.lab.exec("svc1", [AGENT, "backup-keys"], certificate.read_text())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("-----BEGIN CMS-----")
    refused = service.lab.exec("svc1", [AGENT, "backup-keys"], key.read_text())
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "this is a private key" in refused.stderr
    service.says(
        "svc1", "sh", "-c", "systemctl stop knot; rm -rf /var/lib/knot/*; systemctl start knot"
    )
    assert service.report()["zones"]["example.net."]["ds"] != before
    decrypt = ["openssl", "cms", "-decrypt", "-inform", "PEM", "-inkey", str(key)]
    tar = subprocess.run(decrypt, input=done.stdout.encode(), check=True, capture_output=True)
    # the lab hands text in; a shell makes bytes of it again
    packed = base64.b64encode(tar.stdout).decode()
    told = service.lab.exec("svc1", ["sh", "-c", f"base64 -d | {AGENT} restore-keys"], packed)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["restored"] == ["example.net."]
    assert service.report()["zones"]["example.net."]["ds"] == before
    assert service.says("svc1", "ls", "/run/knot", "/run/loopback").count("keys") == 0


def test_a_killed_primary_gives_a_key_that_was_replaced_its_end_before_it_starts(service):
    """Keys as it leaves them that is killed between keeping the new one and the old one's end."""

    def keymgr(*words: str) -> str:
        words = ("runuser", "-u", "knot", "--", "keymgr", "-j", "example.net.", *words)
        return service.says("svc1", *words)

    def signing() -> dict[str, Any]:
        return {key["id"]: key for key in json.loads(keymgr("list")) if key["ksk"]}

    before = service.report()["zones"]["example.net."]["ds"]
    ((old, key),) = signing().items()
    began = key["ready"] + 1  # nobody told it of its DS yet
    keymgr("set", old, f"active={began}")
    times = [f"created={began}", f"publish={began}", f"ready={began + 1}", f"active={began + 2}"]
    new = keymgr("generate", "ksk=yes", *times)
    try:
        assert signing()[old]["remove"] == 0
        service.says("svc1", "systemctl", "kill", "-s", "KILL", "knot")
        until(lambda: signing()[old]["remove"] > time.time())
        assert signing()[new]["remove"] == 0
        said = service.says("svc1", "journalctl", "-u", "knot", "-o", "cat")
        assert f"[example.net.] key {key['tag']} was replaced: its end is set" in said.splitlines()
        until(lambda: service.says("svc1", "systemctl", "is-active", "knot") == "active")
    finally:
        keymgr("set", old, "active=0", "retire_active=0", "retire=0", "remove=0")
        keymgr("delete", new)
        service.says("svc1", "systemctl", "restart", "knot")
    assert service.report()["zones"]["example.net."]["ds"] == before


def test_what_the_pack_asks_of_hosts_is_kept_by_the_deployed_fleet(service):
    """Nothing of logs, time, updates and copies fails, waits, or is left to people."""
    code, said, told = service.loopback("plan", f"--policy-pack={ROOT / 'policies'}")
    assert code == 0, said
    asked = ("LOG-02", "TIM-01", "BAK-02", "PAT-02")
    names = {load_controls()[control].name for control in asked}
    assert names & {each["policy"] for each in told["violations"]} == set()
    left = "".join(v["message"] for v in told["violations"] if v["policy"] == "controls-told")
    assert "SUP-01" in left
    assert [control for control in asked if control in left] == []


BACKUP = "loopback-backup.service"


def test_zones_and_keys_are_kept_elsewhere_and_come_back(service, tmp_path):
    """By the unit that its timer starts; the primary's disk is lost in between."""
    keeper: Keeper = service.keeper
    timers = service.says("svc1", "systemctl", "is-active", "loopback-backup.timer")
    assert timers == "active"
    refused = service.lab.exec("svc1", ["systemctl", "start", BACKUP])
    assert refused.returncode != 0  # nobody let it in yet
    assert service.report()["backups"] == {}
    keeper.admit(service.output("backup_line"))
    service.says("svc1", "systemctl", "start", BACKUP)
    (name,) = keeper.kept()
    assert service.report()["backups"]["par"]["sha256"] in name
    sealed = keeper.read(name)
    assert "example.net" not in sealed
    packed = keeper.open(sealed)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        zone = archive.extractfile("zones/example.net.zone").read().decode()
    assert zone == service.says("svc1", "cat", "/etc/loopback/zones/example.net.zone") + "\n"
    before = service.report()["zones"]["example.net."]["ds"]
    service.says(
        "svc1", "sh", "-c", "systemctl stop knot; rm -rf /var/lib/knot/*; systemctl start knot"
    )
    text = base64.b64encode(packed).decode()
    told = service.lab.exec("svc1", ["sh", "-c", f"base64 -d | {AGENT} restore-keys"], text)
    assert told.returncode == 0, told.stderr
    assert service.report()["zones"]["example.net."]["ds"] == before


def test_who_takes_the_primary_over_takes_no_backup_along(service):
    keeper: Keeper = service.keeper
    (name,) = keeper.kept()
    sealed = keeper.read(name)
    # the same within the same second is the same file
    until(lambda: time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) > name)
    # whatever is asked for, what is sent is kept, and only if it is whole
    stored = keeper.ask(sealed, f"rm -rf {HOME}")
    assert stored.returncode == 0, stored.stderr
    assert stored.stdout.strip() in name
    assert [len(keeper.kept()), keeper.kept()[0]] == [2, name]
    for text in ("", "garbage\n", sealed[: len(sealed) // 2]):
        assert keeper.ask(text).returncode != 0
    assert len(keeper.kept()) == 2
    assert keeper.read(name) == sealed


def test_the_state_is_kept_there_by_the_same_line_and_comes_back_whole(service):
    keeper: Keeper = service.keeper
    before = keeper.kept()
    place = ["-C", str(service.folder), "--state-dir", str(service.folder / "state")]
    exported = service.lab.exec("ops", ["loopback", "state", "export", *place]).stdout
    assert len(json.loads(exported)["deployment"]["resources"]) > 10
    stored = keeper.ask(keeper.seal(exported))
    assert stored.returncode == 0, stored.stderr
    (name,) = set(keeper.kept()) - set(before)
    assert keeper.open(keeper.read(name)).decode() == exported


def test_without_the_primary_name_servers_answer_on(service):
    service.says("svc1", "systemctl", "stop", "knot")
    try:
        for host in ("c-fra", "svc2"):
            assert service.served(host, "www.example.net.", "203.0.113.12")()
    finally:
        service.says("svc1", "systemctl", "start", "knot")
