"""A failover address in the lab: the stack that declares it, its members and its arbiter."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import yaml
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)

from loopback_iac.lab.cloud.book import Shelf
from loopback_iac.lab.cloud.switches import Fault, Switches, set_switches
from tests.lab.project import change_project, run_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_iac.lab import Lab

HERE = Path(__file__).parent
PLUGINS = HERE.parents[2] / "loopback_iac/lab/plugins"
AGENT = "/usr/local/sbin/loopback-agent"
APP = (
    "import http.server,socket\n"
    "class A(http.server.BaseHTTPRequestHandler):\n"
    "  def do_GET(self):\n"
    "    self.send_response(200); self.end_headers()\n"
    "    self.wfile.write(socket.gethostname().encode())\n"
    "class S(http.server.ThreadingHTTPServer): address_family = socket.AF_INET6\n"
    "S(('::', 8080), A).serve_forever()\n"
)


@dataclass
class Stack(ABC):
    """The stack in the lab, deployed by the command a user types."""

    lab: Lab
    folder: Path
    outputs: dict[str, Any] = field(default_factory=dict)

    cloud: ClassVar[str]
    endpoint: ClassVar[str]
    program: ClassVar[str]

    def write(self, token: str = "") -> None:
        """In: another token than the project's own."""
        paths = self.lab.paths
        document = yaml.safe_load(paths.stack_config.read_text())
        public = load_ssh_private_key(paths.operator_key.read_bytes(), password=None).public_key()
        mine = {
            "fleetSecret": "abcdefghijklmnopqrstuvwxyz0123456789",
            "deployKey": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
            "arbiterToken": token or self.token.read_text(),
            "endpoint": self.endpoint,
            "authority": paths.ca_certificate.read_text(),
        }
        document["config"] |= {f"loopback-edge:{key}": value for key, value in mine.items()}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(document))

    @property
    def token(self) -> Path:
        """The token that the project's API takes."""
        return self.lab.paths.keys / f"token-{self.cloud}"

    def loopback(self, *words: str) -> tuple[int, str, dict[str, Any]]:
        """Out: exit code, what it said, the result."""
        return run_project(self.lab, self.folder, *words)

    def up(self) -> list[tuple[str, str]]:
        """What was done to which resource."""
        result, changes = change_project(self.lab, self.folder, "up", "--yes")
        self.outputs = result["outputs"]
        return changes

    def switch(self, *faults: Fault) -> None:
        set_switches(Shelf(self.lab.paths), Switches(list(faults), {}))

    @abstractmethod
    def holder(self) -> str:
        """The member that has the address, as the cloud's book says."""

    def says(self, host: str, *argv: str) -> str:
        done = self.lab.exec(host, list(argv))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def serve(self, host: str) -> None:
        """A service on all addresses of a member, as a haproxy of the customer's would be."""
        unit = ["systemd-run", "--quiet", "--collect", "--unit=app"]
        self.says(host, *unit, "python3", "-c", APP)

    def told(self) -> dict[str, Any]:
        """What the arbiter sees."""
        report: dict[str, Any] = json.loads(self.says("arb", AGENT, "report"))["arbiter"]
        return report

    def await_up(self, **up: bool) -> None:
        self.wait(lambda: self.told()["up"] == up, "the arbiter's verdict")

    def await_logged(self, text: str, since: str) -> None:
        read = ("journalctl", "-u", "loopback-arbiter", "-o", "cat", "--since", since)
        self.wait(lambda: text in self.says("arb", *read), text)

    def now(self) -> str:
        """A time that journalctl reads."""
        return self.says("arb", "date", "+%F %T")

    def wait(self, holds: Any, what: str) -> None:
        deadline = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < deadline, (what, self.told(), self.log())
            time.sleep(0.1)

    def log(self) -> str:
        return self.says("arb", "journalctl", "-u", "loopback-arbiter", "-o", "cat", "-n", "60")

    def answers(self) -> str:
        """Who answers a new connection of a client far away; empty: nobody."""
        ask = ["curl", "--silent", "--max-time", "1", f"http://{self.outputs['address']}:8080/"]
        return self.lab.exec("c-fra", ask).stdout

    def await_served(self, member: str) -> float:
        """Wait until a member answers at the address; out: seconds since the call."""
        began = time.monotonic()
        self.wait(lambda: self.answers() == member, f"{member} at the address")
        return time.monotonic() - began


def stands(stack: type[Stack], lab: Lab, folder: Path) -> Iterator[Stack]:
    """Two members that serve, an arbiter that knows both; the first one holds the address."""
    names = ("command", "hcloud", "ionoscloud")
    project = {
        "name": "loopback-edge",
        "runtime": "python",
        "main": str(HERE / "programs" / stack.program),
        "plugins": {"providers": [{"name": n, "path": str(PLUGINS / n)} for n in names]},
    }
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    made = stack(lab, folder)
    made.write()
    made.up()
    for member in ("m1", "m2"):
        made.serve(member)
    made.await_up(m1=True, m2=True)
    yield made
    made.switch()
    made.write()
    code, said, _ = made.loopback("destroy", "--yes")
    assert code == 0, said[-3000:]


def check_token_hidden(vip: Stack) -> None:
    """It lies where root of the arbiter reads it, and nowhere else."""
    token = vip.token.read_text()
    at = "/etc/loopback/arbiter-token"
    assert vip.says("arb", "cat", at) == token
    assert vip.says("arb", "stat", "-c", "%a %U", at) == "600 root"
    main = vip.says("arb", "systemctl", "show", "-p", "MainPID", "--value", "loopback-arbiter")
    for of in ("cmdline", "environ"):
        assert token not in vip.says("arb", "cat", f"/proc/{main}/{of}")
    assert vip.says("arb", "stat", "-c", "%u", f"/proc/{main}") != "0"
    assert token not in vip.says("arb", "journalctl", "-b", "-o", "cat")
    kept = [file for file in (vip.folder / "state").rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if token in file.read_text(errors="replace")]
    for member in ("m1", "m2"):
        found = vip.lab.exec(member, ["grep", "-rlsF", token, "/etc", "/var/lib", "/run"])
        assert found.stdout == ""


def check_power_loss(vip: Stack) -> float:
    """Its holder m1 dies and comes back; out: seconds until m2 answered."""
    vip.await_served("m1")
    vip.lab.power_off("m1")
    gone_s = vip.await_served("m2")
    vip.lab.power_on("m1")
    vip.serve("m1")
    vip.await_up(m1=True, m2=True)
    # the arbiter starts anew, the program runs again: neither brings it back
    vip.says("arb", "systemctl", "restart", "loopback-arbiter")
    assert vip.up() == []
    vip.await_up(m1=True, m2=True)
    vip.wait(lambda: set(vip.told()["holders"].values()) == {"m2"}, "who holds it")
    assert vip.holder() == "m2"
    assert set(vip.told()["moves"].values()) == {1}
    vip.await_served("m2")
    return gone_s
