"""Somebody's rack in the lab: a router that hides it, machines behind it, and a PoP outside.

The router is a booted Debian host with sshd, so that it can be a bastion as well.
"""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from loopback_iac.lab import Lab, boot, cgroups, namespaces
from loopback_iac.lab.image import image_path
from loopback_iac.lab.keys import Keys, ensure_keys
from loopback_iac.lab.readiness import await_host, settled
from loopback_iac.lab.seeds import render_seed
from loopback_iac.lab.topology import CORE, UPLINK, End, Host, Link, Net, Role, Topology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
POP, ROUTER, MANAGED, JOINING = "x1", "rack", "n1", "n2"
MACHINES = (POP, ROUTER, MANAGED, JOINING)
OUTSIDE = ("198.51.100.130/29", "198.51.100.131/29")
AUTHORIZED = "root/.ssh/authorized_keys"
FILTER = """\
table ip rack {
	chain out {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "eth0" masquerade random
	}
	chain pass {
		type filter hook forward priority 0; policy drop;
		iifname "lan" accept
		ct state established,related accept
	}
}
"""


def with_rack(base: Topology) -> Topology:
    """The lab's topology with the PoP, the router and what it hides."""
    hosts = (
        Host(POP, Role.POP, asn=64500, country="DE", site="dc9"),
        *(Host(name, Role.WORKER, country="DE", site="rack") for name in MACHINES[1:]),
    )
    links = (
        _cable("x1", "198.18.81.1/24", POP, "198.18.81.11/24", "2001:db8:51::"),
        _cable("rack", "198.51.100.129/29", ROUTER, OUTSIDE[0]),
        *(
            Link(
                End(ROUTER, f"p-{name}", bridge="lan"),
                End(name, UPLINK, IPv4Interface(f"100.64.7.{n}/24"), gateway4="100.64.7.1"),
            )
            for n, name in ((21, MANAGED), (22, JOINING))
        ),
    )
    lan = Net("lan", IPv4Interface("100.64.7.1/24"), host=ROUTER)
    return replace(base, hosts=base.hosts + hosts, nets=(*base.nets, lan), links=base.links + links)


def _cable(port: str, near: str, host: str, far: str, net6: str = "") -> Link:
    """A machine's uplink at the core; interfaces are named as everywhere in the lab."""
    left, right = IPv4Interface(near), IPv4Interface(far)
    six = [IPv6Interface(f"{net6}{n}/64") if net6 else None for n in ("1", "11")]
    gateway6 = str(six[0].ip) if six[0] else ""
    return Link(
        End(CORE, port, left, six[0]),
        End(host, UPLINK, right, six[1], str(left.ip), gateway6),
    )


@dataclass
class Rack:
    """The stack of its own that lives there, deployed by the command a user types."""

    lab: Lab
    keys: Keys
    folder: Path
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)
    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    epochs: tuple[int, ...] = (1,)

    def says(self, host: str, *argv: str, text: str | None = None) -> str:
        done = self.lab.exec(host, list(argv), text)
        assert done.returncode == 0, (host, argv, done.stderr)
        return done.stdout.strip()

    def loopback(self, *words: str) -> tuple[int, str, str]:
        """Out: exit code, what it said, what it printed."""
        document = yaml.safe_load(self.lab.paths.stack_config.read_text())
        ours = {"machines": self.machines, "workers": self.workers, "epochs": list(self.epochs)}
        document["config"] |= {f"loopback-edge:{key}": value for key, value in ours.items()}
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump(document))
        argv = ["loopback", *words, "-C", str(self.folder), "--config-file", str(config)]
        argv += ["--state-dir", str(self.folder / "state")]
        done = self.lab.exec("ops", argv, timeout_s=200)
        return done.returncode, done.stderr, done.stdout

    def up(self) -> dict[str, str]:
        """Out: what was done, by resource."""
        code, said, out = self.loopback("up", "--yes", "--json")
        assert code == 0, said[-4000:]
        return {c["name"]: c["op"] for c in json.loads(out)["changes"] if c["op"] != "same"}

    def differences(self, *words: str) -> list[tuple[str, str, str]]:
        _, said, out = self.loopback("drift", "--json", *words)
        assert out, said
        return [(d["host"], d["rule"], d["got"]) for d in json.loads(out)["differences"]]

    def ask(self, vip: str) -> dict[str, Any]:
        """One request of a client over TLS, certificate checked; empty when there is no answer."""
        argv = [
            "curl",
            "--silent",
            "--max-time",
            "2",
            "--cacert",
            str(self.lab.paths.ca_certificate),
        ]
        argv += ["--resolve", f"www.example.net:443:{vip}", "https://www.example.net/"]
        done = self.lab.exec("ops", argv)
        answer: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return answer

    def served_by(self, *names: str) -> bool:
        """Whether clients of both families come to each of these workers."""
        seen = {v: {self.ask(v).get("worker") for _ in range(4)} for v in VIPS}
        return all(set(names) <= workers for workers in seen.values())


VIPS = ("203.0.113.77", "[2001:db8:100::77]")


def until(fact: Callable[[], Any], within_s: float = 60.0) -> Any:
    """Wait for something that takes its time; its last answer."""
    end = time.monotonic() + within_s
    while not (answer := fact()) and time.monotonic() < end:
        time.sleep(0.2)
    return answer


@pytest.fixture(scope="session")
def lab(spare_lab: Lab) -> Lab:
    """Not the fleet's."""
    return spare_lab


@pytest.fixture(scope="module")
def rack(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """The rack, booted and dark: nothing of ours was ever on its machines."""
    grown = with_rack(lab.base)
    paths, image = lab.paths, image_path()
    keys = ensure_keys(paths, grown)
    for name in MACHINES:
        seed = render_seed(grown, grown.host(name), keys)
        if name == JOINING:
            del seed[AUTHORIZED]  # nobody ever logged in there
        boot.prepare_disk(paths, name, image, seed)
    namespaces.wire(paths, grown)
    namespaces.run(
        [*namespaces.enter(paths, ROUTER), "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]
    )
    namespaces.run([*namespaces.enter(paths, ROUTER), "nft", "-f", "-"], FILTER)
    made = Rack(Lab(paths, grown), keys, tmp_path_factory.mktemp("rack"))
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    project |= {"main": str(HERE / "program")}
    project["runtime"]["options"]["virtualenv"] = str(ROOT / ".venv")
    for plugin in project["plugins"]["providers"]:
        plugin["path"] = str(ROOT / plugin["path"])
    (made.folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    try:
        for name in MACHINES:
            boot.start(paths, name, image)
        give_up = threading.Event()
        with ThreadPoolExecutor() as pool:
            for name in (POP, ROUTER):
                pool.submit(await_host, paths, grown, grown.host(name), give_up).result()
        for name in (MANAGED, JOINING):
            assert until(lambda n=name: cgroups.leader(paths, n) and settled(paths, n))
        for vip, gateway in zip(VIPS, ("198.18.81.11", "2001:db8:51::11"), strict=True):
            made.says(CORE, "ip", "route", "replace", vip.strip("[]"), "via", gateway)
        yield made
    finally:
        for vip in VIPS:
            made.lab.exec(CORE, ["ip", "route", "del", vip.strip("[]")])
        for name in MACHINES:
            namespaces.remove_namespace(paths, grown, name)
            cgroups.kill(paths, name)
            cgroups.remove(paths, name)
            boot.remove_disk(paths, name)
