"""Zones on hosts: brought by `up`, signed on one that nobody sees, answered by two that stay."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.lab.project import change_project, close_ssh, open_ssh, run_project, says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopback_iac.lab import Lab

HERE = Path(__file__).parent
RESOLVER = HERE.parents[1] / "tests/accept/resolver.py"
STACK = HERE.parents[1] / "stacks/dns"
PLUGINS = HERE.parents[1] / "loopback_iac/lab/plugins"
AGENT = "/usr/local/sbin/loopback-agent"
# hosts of the lab that belong to no fleet, and what they are called in the name service
HOSTS = {"svc1": "primary", "c-fra": "fra1", "svc2": "par1"}
ZONE = """\
$TTL 300
@ NS ns1
@ NS ns2
ns1 A 198.51.100.2
ns2 A 198.18.250.12
www A 203.0.113.10
"""
OTHER = "$TTL 300\n@ NS ns1.example.net.\n@ NS ns2.example.net.\n"


@dataclass
class NameService:
    """The stack, deployed by the command a user types."""

    lab: Lab
    folder: Path

    def address(self, host: str) -> str:
        end = self.lab.topology.uplink(host)
        return str(end.v4.ip)

    def configure(self) -> None:
        """As an operator would: machines, and which of them does what."""
        document = yaml.safe_load(self.lab.paths.stack_config.read_text())
        known = {k.partition(":")[2]: v for k, v in document["config"].items()}
        machines = {
            host: {"ipv4": self.address(host), "host_key": open_ssh(self.lab, host)}
            for host in HOSTS
        }
        servers = {"fra1": {"machine": "c-fra"}, "par1": {"machine": "svc2", "software": "nsd"}}
        config = {
            "machines": machines,
            "primary": "svc1",
            "servers": servers,
            "zones": str(self.zones),
            "adminSources": known["adminSources"],
            "sshPrivateKey": known["sshPrivateKey"],
            "transferSecret": known["fleetSecret"],
        }
        document["config"] = {f"loopback-dns:{key}": value for key, value in config.items()}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(document))

    @property
    def zones(self) -> Path:
        return self.folder / "zones"

    def write(self, **zones: str) -> None:
        """In: zone files by name, dots of the name as underscores."""
        for name, text in zones.items():
            (self.zones / f"{name.replace('_', '.')}.zone").write_text(text)

    def loopback(self, *words: str) -> tuple[int, str, dict[str, Any]]:
        return run_project(self.lab, self.folder, *words)

    def up(self) -> set[str]:
        """Out: names of what changed."""
        return {name for name, _ in change_project(self.lab, self.folder, "up", "--yes")[1]}

    def says(self, host: str, *argv: str) -> str:
        return says(self.lab, host, *argv)

    def report(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.says("svc1", AGENT, "report"))
        return told

    def ask(self, host: str, name: str, kind: str, source: str = "ops") -> dict[str, Any]:
        """One question of a host far away."""
        wanted = json.dumps({"server": self.address(host), "name": name, "type": kind})
        done = self.lab.exec(source, [sys.executable, str(RESOLVER)], wanted + "\n")
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def served(self, host: str, name: str, text: str) -> Callable[[], bool]:
        """Whether an answer has this data, signed."""

        def holds() -> bool:
            answer = " ".join(self.ask(host, name, "A").get("answer", []))
            return f" A {text}" in answer and " RRSIG A 13 " in answer

        return holds

    def apply_by_hand(self, changes: dict[str, str]) -> tuple[int, str]:
        """What stands on the primary, with other texts: a bundle that no program of ours makes."""
        digest = self.report()["active"]
        kept = json.loads(self.says("svc1", "cat", f"/var/lib/loopback/sets/{digest}.json"))
        files = {
            path: {**file, "mode": f"{file['mode']:04o}"} for path, file in kept["files"].items()
        }
        for path, text in changes.items():
            files[path]["text"] = text
        ops = [str(end.ip) + "/32" for end in (self.lab.topology.uplink("ops").v4,) if end]
        bundle = {
            "format": 1, "host": "primary", "role": "primary", "files": files, "secrets": {},
            "admin_sources": ops, "drain_s": 0, "confirm_s": 30, "ssh_port": 22,
            "digest": "0123456789abcdef",
        }  # fmt: skip
        words = [AGENT, "apply", "host=primary", "digest=0123456789abcdef"]
        done = self.lab.exec("svc1", words, json.dumps(bundle))
        return done.returncode, done.stderr


def until(fact: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def service(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameService]:
    made = NameService(lab, tmp_path_factory.mktemp("names"))
    project = yaml.safe_load((STACK / "Pulumi.yaml").read_text())
    project |= {"main": str(STACK)}
    project["runtime"]["options"]["virtualenv"] = str(HERE.parents[1] / ".venv")
    project["plugins"] = {"providers": [{"name": "command", "path": str(PLUGINS / "command")}]}
    (made.folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    made.zones.mkdir()
    made.configure()
    made.write(example_net=ZONE)
    try:
        assert {"dns-primary-confirm", "dns-fra1-confirm", "dns-par1-confirm"} <= made.up()
        yield made
    finally:
        code, said, _ = made.loopback("destroy", "--yes")
        assert code == 0, said[-3000:]
        for host in HOSTS:
            found = made.lab.exec(host, ["systemctl", "is-active", "knot", "nsd"]).stdout.split()
            assert "active" not in found
            close_ssh(made.lab, host)


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
    assert "stdin has a private key" in refused.stderr
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


def test_without_the_primary_name_servers_answer_on(service):
    service.says("svc1", "systemctl", "stop", "knot")
    try:
        for host in ("c-fra", "svc2"):
            assert service.served(host, "www.example.net.", "203.0.113.12")()
    finally:
        service.says("svc1", "systemctl", "start", "knot")
