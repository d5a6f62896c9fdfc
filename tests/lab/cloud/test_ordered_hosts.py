"""stacks/edge over three suppliers: a tunnelled PoP at Hetzner, workers at IONOS and on metal."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
import yaml

from loopback_iac.lab.bgp_tunnel import TunnelEnd
from loopback_iac.lab.paths import LabError
from tests.lab.project import change_project, run_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopback_iac.lab import Lab

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PLUGINS = ROOT / "loopback_iac/lab/plugins"
GATE = "/run/loopback/gate/gate4-v4.conf"
USER_DATA = "http://169.254.169.254/hetzner/v1/userdata"
NAMES = ("command", "hcloud", "ionoscloud")
ORDERED = {
    "cp": {"kind": "hetzner", "location": "fsn1", "server_type": "cx23", "protection": False},
    "cw": {"kind": "ionos", "location": "de/txl", "cores": 2, "ram_mb": 2048, "ipv6": True}
    | {"protection": False},
}
WORKERS = ("cw", "w2")
CARRIER = TunnelEnd("t2", "cp")
OWN = TunnelEnd(
    "t1",
    "cp",
    port=51822,
    v4=IPv4Interface("100.64.0.2/31"),
    v6=IPv6Interface("2001:db8:fe::2/127"),
    outer_family=6,
    own_asn=4200000001,
)
ROUTERS = {"t2": CARRIER, "own": OWN}  # by upstream
FREE_PORT = {"own": {"listen_port": 52844}}  # the second that ordered machines' firewalls let in
CLIENTS = {"t2": "c-par", "t1": "c-fra"}  # by the router they are behind
TRANSFER = HERE / "transfer.py"
SIZE = 3_000_000
VIPS = ("203.0.113.10", "2001:db8:100::10")
INNER_MTU = 1420  # 1500 of the path without 80 for WireGuard
# own addresses on their way out, by where they leave; and pieces of packets that were too large
WAYS = """
table inet ways {
  counter inside { }
  counter outside { }
  counter pieces { }
  chain out {
    type filter hook postrouting priority 200; policy accept;
    ip saddr 203.0.113.0/24 oifname { "up-t2", "up-own" } counter name "inside"
    ip6 saddr 2001:db8:100::/48 oifname { "up-t2", "up-own" } counter name "inside"
    ip saddr 203.0.113.0/24 oifname != { "lo", "up-t2", "up-own" } counter name "outside"
    ip6 saddr 2001:db8:100::/48 oifname != { "lo", "up-t2", "up-own" } counter name "outside"
    ip frag-off & 0x3fff != 0x0 counter name "pieces"
  }
  chain in {
    type filter hook prerouting priority -450; policy accept;
    ip frag-off & 0x3fff != 0x0 counter name "pieces"
  }
}
"""


@dataclass
class Ordered:
    """A stack of its own in the lab, deployed by the command a user types."""

    lab: Lab
    folder: Path
    host_key_epoch: int = 1

    def write(self, **more: dict[str, Any]) -> None:
        """In: by machine, the args that differ from what stands."""
        document = yaml.safe_load(self.lab.paths.stack_config.read_text())
        metal = document["config"]["loopback-edge:machines"]["w2"]
        # no BGP session is sold where it stands: BGP over WireGuard with routers elsewhere, one
        # of a carrier over IPv4, one of the fleet's owner over IPv6
        ups = {}
        for up, router in ROUTERS.items():
            ups[up] = router.offer(self.lab) | {"md5_waived_because": "WireGuard knows both ends"}
            ups[up]["tunnel"] |= FREE_PORT.get(up, {})
        mine = {
            "machines": {
                name: {**args, "host_key_epoch": self.host_key_epoch, **more.get(name, {})}
                for name, args in ORDERED.items()
            }
            | {"w2": metal},
            "links": {"cp": ups},
            "pops": {"cp": {"node_id": 9}},
            "workers": {name: {"node_id": n} for n, name in enumerate(WORKERS, 8)},
        }
        document["config"] |= {f"loopback-edge:{key}": value for key, value in mine.items()}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(document))

    def loopback(self, *words: str) -> tuple[int, str, dict[str, Any]]:
        """Out: exit code, what it said, the result."""
        return run_project(self.lab, self.folder, *words)

    def changes(self, *words: str) -> list[tuple[str, str]]:
        """What was done to which resource, in the order in which it was."""
        return change_project(self.lab, self.folder, *words)[1]

    def outputs(self, name: str) -> dict[str, Any]:
        argv = ["loopback", "output", name, "-C", str(self.folder), "--json"]
        done = self.lab.exec("ops", [*argv, "--state-dir", str(self.folder / "state")])
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def says(self, host: str, *argv: str) -> str:
        return self.lab.exec(host, list(argv)).stdout.strip()


@pytest.fixture(scope="module")
def ordered(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ordered]:
    """The fleet, ordered and converged; each test leaves it as the program has it."""
    folder = tmp_path_factory.mktemp("ordered")
    plugins = [{"name": name, "path": str(PLUGINS / name)} for name in NAMES]
    project = {
        "name": "loopback-edge",
        "runtime": "python",
        "main": str(ROOT / "stacks/edge"),
        "plugins": {"providers": plugins},
    }
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    made = Ordered(lab, folder)
    made.write()
    done = made.changes("up", "--yes")
    assert {("cp-server", "create"), ("edge-cp-confirm", "create")} <= set(done)
    yield made
    code, said, _ = made.loopback("destroy", "--yes")
    for router in ROUTERS.values():
        router.leave(lab)
    assert code == 0, said[-3000:]


def wait_for(happened: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
        time.sleep(0.1)


@pytest.fixture
def established(ordered: Ordered) -> Iterator[Ordered]:
    """Routers were told the PoP's key; workers send back what they get, for the time being."""
    lab = ordered.lab
    told = ordered.outputs("bgp_tunnels")["cp"]
    assert told["t2"]["endpoint"].endswith(":51820")
    assert told["own"]["endpoint"].startswith("[")
    assert told["own"]["endpoint"].endswith("]:52844")
    serve = ["python3", "/run/transfer.py", "serve", "8443"]
    for worker in WORKERS:
        lab.exec(worker, ["tee", "/run/transfer.py"], TRANSFER.read_text())
        ordered.says(worker, "systemctl", "stop", "demo-app")
        ordered.says(worker, "systemd-run", "--quiet", "--unit=transfer", *serve)
    for up, router in ROUTERS.items():
        router.enter(lab, told[up])
    try:
        for at in CLIENTS:
            wait_for(lambda at=at: sessions(lab, at) == [True, True], f"BGP in {at}'s tunnel")
        yield ordered
    finally:
        for worker in WORKERS:
            ordered.says(worker, "systemctl", "stop", "transfer")
            ordered.says(worker, "systemctl", "start", "demo-app")
        lab.exec("cp", ["nft", "destroy", "table", "inet", "ways"])


def sessions(lab: Lab, at: str) -> list[bool]:
    """Of the tunnel, as its router sees them."""
    return [up for name, up in lab.bgp()[at].items() if name.startswith("tunnel_cp_")]


def ways(ordered: Ordered) -> dict[str, int]:
    """Bytes of own addresses, by where they left the PoP."""
    told = json.loads(ordered.says("cp", "nft", "-j", "list", "counters", "table", "inet", "ways"))
    found = [entry["counter"] for entry in told["nftables"] if "counter" in entry]
    return {counter["name"]: counter["bytes"] for counter in found}


def best(ordered: Ordered, at: str, vip: str) -> str:
    return ordered.says(at, "birdc", "-r", "show", "route", "for", vip, "primary")


def pass_whole(lab: Lab, client: str) -> None:
    """Full segments both ways in both families, between a client and a worker behind the PoP."""
    lab.exec(client, ["tee", "/run/transfer.py"], TRANSFER.read_text())
    for vip in VIPS:
        headers = (60 if ":" in vip else 40) + 12  # the timestamps of both ends
        ask = ["python3", "/run/transfer.py", "ask", vip, "443", str(SIZE)]
        done = lab.exec(client, ask)
        assert done.returncode == 0, f"{client} {vip}: {done.stderr}"
        assert json.loads(done.stdout) == {"same": True, "segment": INNER_MTU - headers}


class GateWatch:
    """Notes each position of a PoP's gate, while its machine is replaced."""

    def __init__(self, lab: Lab, host: str) -> None:
        self.seen: list[str] = []
        self._lab, self._host, self._over = lab, host, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            try:
                text = self._lab.exec(self._host, ["cat", GATE]).stdout
            except (KeyError, LabError):
                text = ""  # the lab has no such host at this moment
            now = "absent" if not text else "closed" if text.startswith("#") else "announcing"
            if not self.seen or self.seen[-1] != now:
                self.seen.append(now)


def test_a_machine_forgot_what_it_was_told_and_its_services_cannot_ask_again(ordered):
    private = ordered.says("cp", "sed", "-n", "5p", "/etc/ssh/ssh_host_ed25519_key")
    copies = ["grep", "-rlsF", private, "/var/lib/cloud", "/run/cloud-init", "/var/log", "/run/log"]
    assert len(private) > 40
    assert ordered.says("cp", *copies) == ""
    ask = ["curl", "--silent", "--max-time", "3", USER_DATA]
    assert "ssh_keys" in ordered.says("cp", *ask)
    refused = ordered.lab.exec("cp", ["runuser", "-u", "nobody", "--", *ask])
    assert refused.returncode != 0
    assert refused.stdout == ""


def test_a_pop_where_no_bgp_is_sold_serves_through_two_tunnels(established):
    """One over IPv4 to a carrier, one over IPv6 to an own router; each serves alone."""
    ordered, lab = established, established.lab
    told = json.loads(ordered.says("cp", "/usr/local/sbin/loopback-agent", "report"))
    for up in ROUTERS:
        end = told["upstream_tunnels"][f"up-{up}"]
        assert end["public_key"] == ordered.outputs("bgp_tunnels")["cp"][up]["public_key"]
        assert end["handshake_age_s"] is not None
    for at in CLIENTS:
        for vip in VIPS:
            wait_for(lambda a=at, v=vip: "tunnel_cp_" in best(ordered, a, v), f"{at} has {vip}")
    lab.exec("cp", ["nft", "-f", "-"], WAYS)
    for client in CLIENTS.values():
        pass_whole(lab, client)
    seen = ways(ordered)
    assert seen["inside"] > 4 * SIZE
    assert (seen["outside"], seen["pieces"]) == (0, 0)
    # an interface that vanished is set up again, and its sessions with it
    lab.exec("cp", ["ip", "link", "delete", "up-t2"])
    wait_for(lambda: False in sessions(lab, "t2"), "the router notices")
    wait_for(lambda: sessions(lab, "t2") == [True, True], "the tunnel stands again")
    # whose router is still there is served, also when answers left through the other one
    for away, left, router in (("t2", "t1", CARRIER), ("t1", "t2", OWN)):
        lab.exec(away, ["systemctl", "stop", f"wg-quick@{router.interface}"])
        wait_for(lambda at=left: one_way(ordered, at), f"the PoP notices that {away} is away")
        pass_whole(lab, CLIENTS[left])
        if left == "t1":
            lab.exec(away, ["systemctl", "start", f"wg-quick@{router.interface}"])
            wait_for(lambda: sessions(lab, "t2") == [True, True], "t2 is back")
    # without tunnels own addresses have no way out at all; the machine's own still has
    lab.exec("t2", ["systemctl", "stop", f"wg-quick@{CARRIER.interface}"])
    wait_for(
        lambda: "default via" not in ordered.says("cp", "ip", "route", "show", "table", "100"),
        "the PoP notices",
    )
    ping = ["ping", "-c", "1", "-W", "2", "192.0.2.18"]
    assert lab.exec("cp", [*ping, "-I", VIPS[0]]).returncode != 0
    assert lab.exec("cp", ping).returncode == 0
    assert ways(ordered)["outside"] == 0


def one_way(ordered: Ordered, left: str) -> bool:
    """Whether the PoP's answers leave towards this router alone, in both families."""
    interface = {"t1": "up-own", "t2": "up-t2"}[left]
    shown = [ordered.says("cp", "ip", f, "route", "show", "table", "100") for f in ("-4", "-6")]
    return all(f"dev {interface}" in text for text in shown)


def six(ordered: Ordered) -> dict[str, str]:
    """Each machine's own IPv6 address; the workstation reaches its SSH there."""
    found = {}
    for name in ORDERED:
        said = ordered.says(name, "ip", "-json", "-6", "address", "show", "scope", "global")
        # iproute2 leaves an empty entry for what it does not show
        card = next(one for one in json.loads(said) if one.get("ifname") == "eth0")
        (found[name],) = [shown["local"] for shown in card["addr_info"] if shown]
        dial = "import socket, sys; socket.create_connection((sys.argv[1], 22), 5)"
        done = ordered.lab.exec("ops", ["python3", "-c", dial, found[name]])
        assert done.returncode == 0, f"{name}: {done.stderr}"
    return found


def test_machines_are_replaced_after_a_drain_and_converged_again(ordered):
    """Both kinds at once; the plan says which, and addresses stay."""
    addresses = six(ordered)
    told = json.loads(ordered.says("cp", "/usr/local/sbin/loopback-agent", "report"))
    assert told["tunnels"]["lb-cw"]["handshake_age_s"] is not None
    machines = {name: ordered.says(name, "cat", "/etc/machine-id") for name in ORDERED}
    ordered.host_key_epoch = 2
    ordered.write()
    planned = ordered.changes("plan")
    replaced = {f"{name}-{part}" for name in ORDERED for part in ("server", "ready")}
    assert {name for name, op in planned if op == "replace"} == replaced
    with GateWatch(ordered.lab, "cp") as gate:
        done = ordered.changes("up", "--yes")
    for name, machine in machines.items():
        order = [
            (f"{name}-ready", "delete"),
            (f"{name}-server", "delete"),
            (f"{name}-server", "replace"),
            (f"{name}-ready", "replace"),
            (f"edge-{name}-enroll", "update"),
            (f"edge-{name}-apply", "update"),
            (f"edge-{name}-confirm", "update"),
        ]
        assert [change for change in done if change in order] == order
        assert ordered.says(name, "cat", "/etc/machine-id") != machine
    assert gate.seen[:3] == ["announcing", "closed", "absent"]
    assert six(ordered) == addresses
    assert ordered.changes("up", "--yes") == []


def test_what_is_protected_is_not_replaced_and_serves_on(ordered):
    """Refused in Pulumi nothing is drained; refused by the cloud, the way back undoes the drain."""
    ordered.write(cp={"protection": True})
    ordered.changes("up", "--yes")
    ordered.write(cp={"protection": True, "host_key_epoch": 9})
    code, said, _ = ordered.loopback("up", "--yes")
    assert code == 1
    assert "protected" in said
    assert not ordered.says("cp", "cat", GATE).startswith("#")
    # both in one step: the cloud still protects the server when it is to be deleted
    ordered.write(cp={"host_key_epoch": 9})
    code, said, _ = ordered.loopback("up", "--yes")
    assert code == 1
    assert "protected" in said
    assert ordered.says("cp", "cat", GATE).startswith("#")
    ordered.write()
    done = dict(ordered.changes("up", "--yes"))
    assert done["cp-server"] == "update"
    assert done["cp-ready"] in ("create", "replace")  # its old row was deleted by the run before
    assert not ordered.says("cp", "cat", GATE).startswith("#")
