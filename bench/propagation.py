"""From a changed record to every name server: `loopback up` with a hidden primary and two servers.

Beside it `octodns-sync` of the same zone, over dynamic update (RFC 2136) to one Knot that signs and
answers itself: nothing has to be carried any further there. Then a new zone, and many at once.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from rich.console import Console
from rich.table import Table

from bench.rivals import ensure_environment
from bench.standing import standing
from bench.zone import NAME, records
from loopback_iac.dns import parse_zone, render_octodns, render_zone_file
from loopback_iac.lab.namespaces import enter
from tests.lab.name_service import NameService, deployed
from tests.lab.project import says

if TYPE_CHECKING:
    from loopback_iac.lab import Lab

PEER_HOST = "c-par"
SERVERS = ("c-fra", "svc2")
KEY = "bG9vcGJhY2sgYmVuY2gga2V5LCBub2JvZHkgZWxzZSdz"  # of this bench
PEER = f"""\
server:
    listen: ADDRESS@53
    rundir: /run/peer
    user: root
key:
  - id: peer
    algorithm: hmac-sha256
    secret: {KEY}
acl:
  - id: peer
    key: peer
    action: [transfer, update]
policy:
  - id: p
    algorithm: ecdsap256sha256
template:
  - id: default
    storage: /run/peer
zone:
  - domain: {NAME}
    file: zone
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: changes
    dnssec-signing: on
    dnssec-policy: p
    acl: peer
"""


class Change(NamedTuple):
    """One change: seconds until served, from the command and from the primary's own start."""

    command_s: float
    host_s: float | None = None


class Awaiting:
    """A process on the workstation that asks for what is expected."""

    def __init__(self, lab: Lab) -> None:
        argv = [*enter(lab.paths, "ops"), sys.executable, "-m", "bench.awaited"]
        self.running = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.running.terminate()
        self.running.wait(10)

    def expect(self, servers: list[str], name: str, text: str) -> None:
        assert self.running.stdin  # noqa: S101  # a pipe
        wanted = {"servers": servers, "name": name, "text": text}
        self.running.stdin.write(json.dumps(wanted) + "\n")
        self.running.stdin.flush()

    def served(self) -> float:
        """When the last of them had it, in seconds of the real-time clock."""
        assert self.running.stdout  # noqa: S101  # a pipe
        return max(json.loads(self.running.stdout.readline())) / 1e9


def main(count: int = 10_000, runs: int = 15, zones: int = 500) -> None:
    """Print the tables: seconds of each change, and of zones that are new."""
    with tempfile.TemporaryDirectory() as name, standing("demo") as fleet:
        folder = Path(name)
        (folder / "ours").mkdir()
        small = {"example_org": new_zone("203.0.113.10")}
        given = {"example_net": zone_text(count, 0), **small}
        with deployed(fleet.lab, folder / "ours", **given) as made, Awaiting(fleet.lab) as awaiting:
            ours = [change(made, awaiting, count, at) for at in range(1, runs + 1)]
            few = [change_small(made, awaiting, at) for at in range(1, runs + 1)]
            fresh = [add_zones(made, awaiting, f"new{at}", 1) for at in range(5)]
            many = [add_zones(made, awaiting, "many", zones)]
            theirs = peer(fleet.lab, folder, awaiting, count, runs)
    table = Table("until served, seconds", "runs", "median", "95 %", "most")
    for what, found in (
        (f"one of {count:,}, two servers: `loopback up`", [one.command_s for one in ours]),
        ("  from the login at the primary", [one.host_s for one in ours if one.host_s]),
        ("one of 6, two servers: `loopback up`", [one.command_s for one in few]),
        ("  from the login at the primary", [one.host_s for one in few if one.host_s]),
        (f"one of {count:,}, one server: `octodns-sync`", theirs),
        ("a new zone, signed, two servers: `loopback up`", [one.command_s for one in fresh]),
        (f"{zones} new zones, the same", [one.command_s for one in many]),
    ):
        row = sorted(found)
        late = row[min(len(row) - 1, round(0.95 * len(row)))]
        figures = [f"{value:.2f}" for value in (statistics.median(row), late, row[-1])]
        table.add_row(what, str(len(row)), *figures)
    Console(width=110).print(table)


def zone_text(count: int, at: int) -> str:
    given = records(count - 1, ours=True)
    given["h0"] = {"A": [f"10.200.{at >> 8}.{at & 255}"]}
    return render_zone_file(parse_zone("bench", {"name": NAME, "records": given}))


def new_zone(address: str) -> str:
    servers = "@ NS ns1.example.net.\n@ NS ns2.example.net.\n"
    return f"$TTL 300\n{servers}www A {address}\nwww AAAA 2001:db8::1\nmail A 192.0.2.2\n"


def change(made: NameService, awaiting: Awaiting, count: int, at: int) -> Change:
    """One record of the large zone."""
    made.write(example_net=zone_text(count, at))
    return up(made, awaiting, f"h0.{NAME}", f"10.200.{at >> 8}.{at & 255}")


def change_small(made: NameService, awaiting: Awaiting, at: int) -> Change:
    """One record of the small zone, beside the large one."""
    made.write(example_org=new_zone(f"203.0.113.{at + 10}"))
    return up(made, awaiting, "www.example.org.", f"203.0.113.{at + 10}")


def add_zones(made: NameService, awaiting: Awaiting, word: str, count: int) -> Change:
    """Zones that nobody had: timed until the last is served, and seen that all are."""
    made.write(**{f"{word}-{at}_example": new_zone("203.0.113.99") for at in range(count)})
    found = up(made, awaiting, f"www.{word}-{count - 1}.example.", "203.0.113.99")
    for at in range(count):
        name = f"www.{word}-{at}.example."
        awaiting.expect([made.address(host) for host in SERVERS], name, "203.0.113.99")
        awaiting.served()
    return found


def up(made: NameService, awaiting: Awaiting, name: str, text: str) -> Change:
    servers = [made.address(host) for host in SERVERS]
    begun = time.time()
    awaiting.expect(servers, name, text)
    made.up()
    served = awaiting.served()
    return Change(served - begun, served - login(made, begun))


def login(made: NameService, since: float) -> float:
    """When the deploy key came to the primary first."""
    words = ["journalctl", "-o", "short-unix", "--no-pager", "-t", "sshd-session", "-t", "sshd"]
    told = made.says("svc1", *words, "--since", f"@{since:.6f}")
    found = re.findall(r"(?m)^(\d+\.\d+) .*Accepted publickey", told)
    return float(found[0])


def peer(lab: Lab, folder: Path, awaiting: Awaiting, count: int, runs: int) -> list[float]:
    """octodns-sync from the workstation to a Knot of its own."""
    address = str(lab.topology.uplink(PEER_HOST).v4.ip)
    soa = f"@ SOA ns1 hostmaster 1 3600 900 604800 3600\n{zone_text(count, 0)}"
    lab.exec(PEER_HOST, ["mkdir", "-p", "/run/peer"])
    for file, text in (("knot.conf", PEER.replace("ADDRESS", address)), ("zone", soa)):
        lab.exec(PEER_HOST, ["tee", f"/run/peer/{file}"], text)
    daemon = ["systemd-run", "--quiet", "--unit=peer", "knotd", "-c", "/run/peer/knot.conf"]
    says(lab, PEER_HOST, *daemon)
    place = folder / "theirs"
    place.mkdir()
    (place / "octodns.yaml").write_text(
        f"providers:\n  own:\n    class: octodns.provider.yaml.YamlProvider\n"
        f"    directory: {place}\n  knot:\n    class: octodns_bind.Rfc2136Provider\n"
        f"    host: {address}\n    key_name: peer\n    key_secret: {KEY}\n"
        f"    key_algorithm: hmac-sha256\n"
        f"zones:\n  {NAME}:\n    sources: [own]\n    targets: [knot]\n"
    )
    words = [str(ensure_environment("octodns") / "octodns-sync"), "--doit", "--quiet"]
    words += ["--config-file", str(place / "octodns.yaml")]
    found = []
    for at in range(1, runs + 1):
        given = records(count - 1, ours=True)
        given["h0"] = {"A": [f"10.201.{at >> 8}.{at & 255}"]}
        zone = parse_zone("bench", {"name": NAME, "records": given})
        (place / f"{NAME}yaml").write_text(render_octodns(zone))
        begun = time.time()
        awaiting.expect([address], f"h0.{NAME}", f"10.201.{at >> 8}.{at & 255}")
        done = lab.exec("ops", words, timeout_s=300)
        if done.returncode:
            raise SystemExit(done.stdout[-1000:] + done.stderr[-1500:])
        found.append(awaiting.served() - begun)
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
