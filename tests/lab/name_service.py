"""The stack of names, deployed in a lab by the command a user types."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from loopback_iac.lab.names import asking
from tests.lab.project import change_project, close_ssh, open_ssh, run_project, says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopback_iac.lab import Lab
    from tests.lab.kept_names import Keeper

HERE = Path(__file__).parent
STACK = HERE.parents[1] / "stacks/dns"
PLUGINS = HERE.parents[1] / "loopback_iac/lab/plugins"
AGENT = "/usr/local/sbin/loopback-agent"
# hosts of the lab that belong to no fleet, and what they are called in the name service
HOSTS = {"svc1": "primary", "c-fra": "fra1", "svc2": "par1"}
OWNED = {"provider": "near", "site": "the lab", "country": "DE"}


@dataclass
class NameService:
    """The stack, deployed by the command a user types."""

    lab: Lab
    folder: Path
    more: dict[str, Any] = field(default_factory=dict)
    """Of the configuration, beside what every name service has."""
    keeper: Keeper | None = None
    """Who keeps its backups, where somebody does."""

    def address(self, host: str) -> str:
        end = self.lab.topology.uplink(host)
        return str(end.v4.ip)

    def configure(self) -> None:
        """As an operator would: machines, and which of them does what."""
        document = yaml.safe_load(self.lab.paths.stack_config.read_text())
        known = {k.partition(":")[2]: v for k, v in document["config"].items()}
        machines = {
            host: {"ipv4": self.address(host), "host_key": open_ssh(self.lab, host), **OWNED}
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
        config |= self.more
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

    def output(self, name: str) -> str:
        argv = ["loopback", "output", name, "-C", str(self.folder)]
        return self.says("ops", *argv, "--state-dir", str(self.folder / "state"))

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
        done = self.lab.exec(source, [sys.executable, asking.__file__], wanted + "\n")
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


@contextmanager
def deployed(
    lab: Lab, folder: Path, more: dict[str, Any] | None = None, **zones: str
) -> Iterator[NameService]:
    """The stack with these zones; gone afterwards, and hosts as the lab delivered them.

    In: folder, for project and state; more of the configuration; zones as `write` takes them.
    """
    made = NameService(lab, folder, more or {})
    project = yaml.safe_load((STACK / "Pulumi.yaml").read_text())
    project |= {"main": str(STACK)}
    project["runtime"]["options"]["virtualenv"] = str(HERE.parents[1] / ".venv")
    project["plugins"] = {"providers": [{"name": "command", "path": str(PLUGINS / "command")}]}
    (made.folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    made.zones.mkdir()
    made.configure()
    made.write(**zones)
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
