"""A fifth PoP comes: which hosts `up` touches, and which BGP sessions it resets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.standing import Standing, standing
from loopback_iac.lab.drill.witness import Since, parse_bgp_since

if TYPE_CHECKING:
    from loopback_iac.lab import Lab

OLD = 4


def main() -> None:
    """Print the table."""
    with standing("bench5") as fleet:
        rows = measure(fleet)
    table = Table("adding the fifth PoP to four PoPs and two workers", "")
    for what, found in rows.items():
        table.add_row(what, found)
    Console(width=100).print(table)


def measure(fleet: Standing) -> dict[str, str]:
    """Deploy four PoPs, add the fifth, compare what hosts and routers know."""
    fleet.configure(pops=OLD)
    fleet.loopback("up", "--yes")
    stood, ran = sessions(fleet.lab), daemons(fleet.lab)
    fleet.configure(pops=None)
    took_s, result = fleet.loopback("up", "--yes")
    stand, run = sessions(fleet.lab), daemons(fleet.lab)
    lost = [name for name, since in stood.items() if not since.stands(stand.get(name))]
    lost += [name for name, process in ran.items() if run.get(name) != process]
    touched: dict[str, set[str]] = {}
    for change in result["changes"]:
        if change["op"] != "same" and "command:remote" in change["urn"]:
            _, host, verb = change["urn"].rsplit("::", 1)[1].rsplit("-", 2)
            touched.setdefault(host, set()).add(verb)
    before = {*stood, *ran}
    new = [name for name in (*stand, *run) if name not in before]
    return {
        "seconds of `up`": f"{took_s:.1f}",
        "hosts touched": ", ".join(f"{h} ({', '.join(sorted(v))})" for h, v in touched.items()),
        "hosts not touched": ", ".join(
            h.name for h in fleet.lab.topology.hosts if h.asn == 64500 and h.name not in touched
        ),
        "sessions and daemons before": str(len(before)),
        "of these reset or restarted": f"{len(lost)} {' '.join(lost)}",
        "new ones": str(len(new)),
    }


def sessions(lab: Lab) -> dict[str, Since]:
    """Sessions at both upstreams that are up, and since when."""
    found = {}
    for router in ("t1", "t2"):
        told = parse_bgp_since(lab.exec(router, ["birdc", "show", "protocols"]).stdout)
        found |= {f"{router}/{name}": since for name, since in told.items() if since.state == "up"}
    return found


def daemons(lab: Lab) -> dict[str, str]:
    """BIRD, HAProxy and the watch of every PoP that runs them: their process ids."""
    found = {}
    for host in lab.topology.hosts:
        if host.asn == 64500:
            shown = ["systemctl", "show", "--value", "-p", "MainPID", "bird", "haproxy"]
            pids = lab.exec(host.name, [*shown, "loopback-watch"]).stdout.split()
            if "0" not in pids:
                names = ("bird", "haproxy", "watch")
                found |= {f"{host.name}/{n}": p for n, p in zip(names, pids, strict=True)}
    return found
