"""A PoP's name server under load: answers a second beside a bare Knot with the same zone; floods.

The PoPs are whole: BIRD, HAProxy, the watch, the firewall and the limit of answers, as rendered.
The bare Knot has the zone's file, one address and nothing else. Every one of them has one core to
itself while it is asked, the loader the other; CPU is the server's own, per answer.

In a flood the flooded server shares a core with whoever floods it, and the other PoP's has the
other core: as if each PoP were a machine.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from loopback_iac.lab.names import volley
from loopback_iac.lab.names.asker import Asker
from loopback_iac.lab.names.image import writable_image
from loopback_iac.lab.names.machine import Machine
from loopback_iac.lab.names.space import Namespace, cable, namespaces, wait_for
from tests.accept.pop_names import opened, site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.accept.pop_names import Site

ANYCAST = "198.51.100.53"
SERVER_CORE, LOADER_CORE = 0, 1
WINDOW = 192  # a socket of Knot's holds about 270 questions; more at once would be lost
CROWD = "10.0.0.0/8"
ZONE = "example.net."
A = 1
NAMES = {"a record": [f"www.{ZONE}"], "a name that is not": [f"@.{ZONE}"]}
FLOODS = {"10.99.7.7/32": "one address", CROWD: "everywhere"}
FLOOD_RATE, CLIENT_RATE = 100_000, 100
BARE_CONF = f"""\
server:
    listen: {ANYCAST}@53
log:
  - target: stderr
    any: warning
database:
    storage: /var/lib/knot
mod-rrl:
  - id: default
    rate-limit: 200
    instant-limit: 400
    slip: 2
template:
  - id: default
MODULESzone:
  - domain: {ZONE}
    storage: /etc/loopback
    file: zone
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
"""
# what of a PoP costs what
BARE = {
    "bare Knot": "",
    "with the limit": "    global-module: mod-rrl/default\n",
    "and counters": "    global-module: [mod-rrl/default, mod-stats]\n",
}


@dataclass(frozen=True)
class Asked:
    """A name server as the loader sees it."""

    what: str
    end: str
    pids: tuple[int, ...]


def main(count: int = 100_000, runs: int = 7, flood_s: int = 5) -> None:
    """Print the tables: the median of each, and its ratio to the bare Knot of the same round; what
    clients of either PoP have while one is flooded.
    """
    with writable_image() as image, tempfile.TemporaryDirectory(dir=image.root.parent) as name:
        ground = Path(name)
        image.write("/usr/local/sbin/loopback-agent", "")  # where a PoP's own is mounted
        with site(image, ground) as made, namespaces("crowd", "b0", "b1", "b2") as (crowd, *spaces):
            opened(made)
            servers = list(connect(made, spaces, crowd))
            for what, names in NAMES.items():
                tell(what, measure(servers, crowd, names, count, runs))
            with namespaces("east", "west") as regions:
                tell_floods(list(flood_each(made, servers, crowd, regions, flood_s)))


def start_bare(made: Site, space: Namespace, name: str) -> Machine:
    """Knot and a zone, signed as the PoPs have it, and what a row of `BARE` says."""
    ground = made.primary.ground.parent / name.replace(" ", "-")
    machine = Machine(name, space, ground, made.primary.image, ANYCAST)
    machine.prepare()
    space.ip(f"addr add {ANYCAST}/32 dev lo")
    signed = made.pops["fra1"].run("knotc", "-f", "zone-read", ZONE).stdout
    rows = [line.split("] ", 1)[1] for line in signed.splitlines() if line.startswith("[")]
    (machine.ground / "etc/loopback/zone").write_text("".join(f"{row}\n" for row in rows))
    (machine.ground / "etc/knot/knot.conf").write_text(BARE_CONF.replace("MODULES", BARE[name]))
    machine.start()
    wait_for(lambda: machine.ask(ZONE, "SOA").get("rcode") == "NOERROR", 30)
    return machine


def connect(made: Site, spaces: list[Namespace], crowd: Namespace) -> Iterator[Asked]:
    """A cable from the crowd to each server; who is asked is told by the route."""
    crowd.ip(f"route add local {CROWD} dev lo")
    for name, space in zip(BARE, spaces, strict=True):
        bare = start_bare(made, space, name)
        yield link(crowd, name, space, family(bare.daemon.pid if bare.daemon else 0))
    for name, unit in (("fra1", "knot"), ("par1", "nsd")):
        pids = family(made.daemons[name, unit].pid)
        yield link(crowd, f"PoP with {unit}", made.pops[name].space, pids)


def link(crowd: Namespace, what: str, space: Namespace, pids: tuple[int, ...]) -> Asked:
    """In: the server's namespace, its processes."""
    end = what.replace(" ", "-").lower()[:15]
    cable(crowd, end, space, "crowd")
    # the crowd's addresses are nobody's network here: no ARP for each, and no filter by path
    space.ip("route add 192.0.2.250 dev crowd")
    crowd.ip(f"addr add 192.0.2.250/32 dev {end}")
    space.ip(f"route add {CROWD} via 192.0.2.250 dev crowd onlink")
    space.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.crowd.rp_filter=0")
    return Asked(what, end, pids)


def family(pid: int) -> tuple[int, ...]:
    """A process and all below it: NSD answers from a child."""
    below = [
        int(found)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for found in (thread / "children").read_text().split()
    ]
    return (pid, *(each for child in below for each in family(child)))


def measure(
    servers: list[Asked], crowd: Namespace, names: list[str], count: int, runs: int
) -> dict[str, list[dict[str, Any]]]:
    """Every server in turns."""
    found: dict[str, list[dict[str, Any]]] = {asked.what: [] for asked in servers}
    for asked in servers:
        pin(asked.pids, SERVER_CORE)
        point(crowd, asked)
        load(crowd, names, 1000)  # whoever is first waits for ARP
    for _ in range(runs):
        for asked in servers:
            before = spent_s(asked.pids)
            point(crowd, asked)
            told = load(crowd, names, count)
            found[asked.what].append(told | {"server_s": spent_s(asked.pids) - before})
    return found


def point(crowd: Namespace, asked: Asked) -> None:
    """Have the crowd ask this one from here on."""
    crowd.ip(f"route replace {ANYCAST} dev {asked.end}")


def pin(pids: tuple[int, ...], core: int) -> None:
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def load(
    crowd: Namespace, names: list[str], count: int, sources: str = CROWD, rate: int = 0
) -> dict[str, Any]:
    """One volley, to its end."""
    words = ["taskset", "-c", str(LOADER_CORE), sys.executable, volley.__file__]
    running = crowd.start(*words)
    wanted = {"server": ANYCAST, "names": names, "type": A, "sources": sources, "count": count,
              "rate": rate, "window": WINDOW, "pool": 16384}  # fmt: skip
    out, _ = running.communicate(json.dumps(wanted) + "\n", timeout=300)
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


@dataclass(frozen=True)
class Flood:
    """What became of one flood, and of the clients of both PoPs meanwhile."""

    what: str
    told: dict[str, Any]
    clients: dict[str, dict[str, Any]]
    gates: str


def flood_each(
    made: Site, servers: list[Asked], crowd: Namespace, regions: list[Namespace], flood_s: int
) -> Iterator[Flood]:
    """Either PoP's name server, from one address and from everywhere."""
    pops = dict(zip(made.pops, servers[len(BARE) :], strict=True))
    askers = {}
    for number, (name, space) in enumerate(zip(pops, regions, strict=True)):
        own = f"192.0.2.{240 + number}"
        cable(space, "in0", made.pops[name].space, "region")
        space.ip(f"addr add {own}/32 dev in0")
        space.ip(f"route add {ANYCAST} dev in0 src {own}")
        made.pops[name].space.ip(f"route add {own} dev region")
        askers[name] = Asker(space, ANYCAST, [[f"www.{ZONE}", "A"]], CLIENT_RATE, "AA")
    for flooded, asked in pops.items():
        point(crowd, asked)
        for name, each in pops.items():
            pin(each.pids, LOADER_CORE if name == flooded else SERVER_CORE)
        for sources, words in FLOODS.items():
            said = {name: len(pop.said) for name, pop in made.pops.items()}
            for asker in askers.values():
                asker.mark()
            told = load(crowd, NAMES["a name that is not"], FLOOD_RATE * flood_s, sources,
                        FLOOD_RATE)  # fmt: skip
            clients = {name: asker.mark() for name, asker in askers.items()}
            lines = "".join(pop.said[said[name] :] for name, pop in made.pops.items())
            moved = [line for line in lines.splitlines() if line.startswith(("names4", "v4"))]
            what = f"{asked.what}, from {words}"
            yield Flood(what, told, {("flooded" if n == flooded else "other"): c
                                     for n, c in clients.items()}, "; ".join(moved))  # fmt: skip
            opened(made)
    for asker in askers.values():
        asker.end()


def tell_floods(floods: list[Flood]) -> None:
    """One row a flood."""
    title = f"flood of random names; each PoP's clients ask {CLIENT_RATE} a second"
    table = Table(title, "sent/s", "in full/s", "truncated", "not answered",
                  "clients there", "clients of the other", "gates")  # fmt: skip
    for flood in floods:
        told, seconds = flood.told, max(flood.told["seconds"], 0.001)
        full = told["answered"] - told["truncated"]
        table.add_row(
            flood.what,
            f"{told['sent'] / seconds:,.0f}",
            f"{full / seconds:,.0f}",
            f"{told['truncated'] / told['sent']:.0%}",
            f"{(told['sent'] - told['answered']) / told['sent']:.0%}",
            *(tell_clients(flood.clients[which]) for which in ("flooded", "other")),
            flood.gates or "stayed",
        )
    Console(width=170).print(table)


def tell_clients(counts: dict[str, Any]) -> str:
    """Answered of asked, how many over TCP, and the slow ones."""
    times = sorted(counts["times_ms"])
    p95 = times[int(len(times) * 0.95)] if times else float("nan")
    return f"{counts['secure']} of {counts['asked']}, TCP {counts['again']}, 95 % {p95:.1f} ms"


def spent_s(pids: tuple[int, ...]) -> float:
    """Processor time, user and system."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def tell(what: str, found: dict[str, list[dict[str, Any]]]) -> None:
    title = f"{what}: answers a second"
    columns = ("median", "least", "most", "to bare", "CPU us each", "to bare", "server busy",
               "loader busy", "lost", "rcodes")  # fmt: skip
    table = Table(title, *columns)
    bare = found["bare Knot"]
    for name, rows in found.items():
        rates = [row["answered"] / row["seconds"] for row in rows]
        costs = [row["server_s"] / row["answered"] * 1e6 for row in rows]
        own = [rate / (b["answered"] / b["seconds"]) for rate, b in zip(rates, bare, strict=True)]
        dear = [
            cost / (b["server_s"] / b["answered"] * 1e6)
            for cost, b in zip(costs, bare, strict=True)
        ]
        busy = [row["server_s"] / row["seconds"] for row in rows]
        loader = [row["cpu_s"] / row["seconds"] for row in rows]
        table.add_row(
            name,
            *(f"{f(rates):,.0f}" for f in (statistics.median, min, max)),
            f"{statistics.median(own):.2f}",
            f"{statistics.median(costs):.2f}",
            f"{statistics.median(dear):.2f}",
            *(f"{statistics.median(shares):.0%}" for shares in (busy, loader)),
            f"{sum(row['sent'] - row['answered'] for row in rows):,}",
            str({key for row in rows for key in row["rcodes"]}),
        )
    Console(width=150).print(table)
