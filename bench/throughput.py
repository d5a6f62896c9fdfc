"""What the edge path costs: HAProxy with PROXY protocol v2 beside HAProxy without, beside routing.

All three lead from one client through one PoP and one tunnel to one worker, where the same HAProxy
answers every request itself; `edge` and `no PROXY` are two more sections of the PoP's own HAProxy.
Over WireGuard first, then the same over VXLAN. Client, router, PoP and worker share this machine's
cores: the ratios mean something, the figures themselves are this machine's.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.standing import ROOT, standing
from bench.tunnels import do, take_vxlan

if TYPE_CHECKING:
    from loopback_iac.lab import Lab

POP, WORKER, CLIENT = "fra1", "w1", "c-fra"
VIP, ROUTED = "203.0.113.10", "203.0.113.200"
EDGE, NO_PROXY, BULK = 9001, 9002, 9003
PATHS = {"edge": (VIP, EDGE), "no PROXY": (VIP, NO_PROXY), "routed": (ROUTED, NO_PROXY)}
BULKS = {"edge": VIP, "routed": ROUTED}  # 28 bytes of PROXY header a connection are no bulk
SECONDS, CONNECTIONS = 3, 32

AT_WORKER = f"""
global
  nbthread 1
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend bench
  bind :{EDGE} accept-proxy
  bind :{NO_PROXY}
  http-request return status 200 content-type text/plain string answered
"""


def prepare(lab: Lab) -> None:
    """Two more sections at the PoP, a server at the worker, and a routed address of its own."""
    tunnel = do(lab, POP, f"cat /etc/wireguard/lb-{WORKER}.conf")
    near = re.findall(r"^Address = ([^/]*)/31", tunnel, re.MULTILINE)[0]
    far = re.findall(rf"server {WORKER} (\S+):", do(lab, POP, "cat /etc/haproxy/haproxy.cfg"))[0]
    ports = f"{EDGE}-{BULK}"
    do(lab, WORKER, "cat > /run/bench.cfg", AT_WORKER)
    do(
        lab,
        WORKER,
        f"""systemd-run --quiet --unit=bench-http haproxy -f /run/bench.cfg -db
        systemd-run --quiet --unit=bench-bulk iperf3 --server --port {BULK}
        nft insert rule inet loopback tunnels tcp dport {ports} accept
        sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lb-{POP}.rp_filter=0
        ip address add {ROUTED}/32 dev lo
        ip rule add from {ROUTED} table 77
        ip route add default via {near} dev lb-{POP} table 77
        ! wg show lb-{POP} > /run/shown 2>&1 ||
        wg set lb-{POP} peer "$(wg show lb-{POP} peers)" allowed-ips 0.0.0.0/0""",
    )
    do(
        lab,
        POP,
        f"""cat >> /etc/haproxy/haproxy.cfg
        systemctl reload haproxy
        nft insert rule inet loopback input tcp dport {ports} accept
        nft insert rule inet loopback input tcp sport {ports} accept
        nft insert rule inet loopback forward accept
        sysctl -qw net.ipv4.ip_forward=1
        ip route add {ROUTED}/32 via {far} dev lb-{WORKER}
        ip rule add pref 1 to {ROUTED} table main # before the rule that ends own prefixes here
        ! wg show lb-{WORKER} > /run/shown 2>&1 ||
        wg set lb-{WORKER} peer "$(wg show lb-{WORKER} peers)" allowed-ips {far}/31,{ROUTED}/32""",
        "".join(
            f"listen bench.{port}\n  bind {VIP}:{port}\n  timeout connect 2s\n"
            f"  server {WORKER} {far}:{port} {proxy}\n"
            for port, proxy in (
                (EDGE, f"send-proxy-v2 set-proxy-v2-tlv-fmt(0xE0) {POP}"),
                (NO_PROXY, ""),
                (BULK, ""),
            )
        ),
    )


def ask(lab: Lab, address: str, port: int, *words: str) -> float:
    """Answers a second to as many connections as fill two cores.

    Raises: SystemExit when an answer was missing or not the one that was asked for.
    """
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", *words, f"http://{address}:{port}/"]
    done = lab.exec(CLIENT, argv, timeout_s=60)
    found = re.search(r"^Requests/sec: +([0-9.]+)", done.stdout, re.MULTILINE)
    wrong = re.search(r"Non-2xx|connect [1-9]|timeout [1-9]", done.stdout)
    if done.returncode or not found or wrong or not float(found.group(1)):
        raise SystemExit(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
    return float(found.group(1))


def pour(lab: Lab, address: str, streams: int) -> float:
    """Gbit/s from the client to the worker."""
    argv = ["iperf3", "--json", "-c", address, "-p", str(BULK), "-t", str(SECONDS)]
    done = lab.exec(CLIENT, [*argv, "-P", str(streams)], timeout_s=60)
    told = json.loads(done.stdout or "{}")
    if done.returncode or "error" in told:
        raise SystemExit(f"{' '.join(argv)}: {told.get('error', done.stderr)}")
    return float(told["end"]["sum_received"]["bits_per_second"]) / 1e9


def measure(lab: Lab, rounds: int) -> dict[str, dict[str, list[float]]]:
    """By path, each figure once a round; paths take turns, so that noise meets them all."""
    found: dict[str, dict[str, list[float]]] = {path: defaultdict(list) for path in PATHS}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for path, (address, port) in PATHS.items():
            found[path]["requests/s"].append(ask(lab, address, port))
            close = ask(lab, address, port, "-H", "Connection: close")
            found[path]["connections/s"].append(close)
        for path, address in BULKS.items():
            found[path]["Gbit/s, 1 stream"].append(pour(lab, address, 1))
            found[path]["Gbit/s, 4 streams"].append(pour(lab, address, 4))
    return found


def main(rounds: int = 3) -> None:
    """Print the table."""
    tables = {}
    for tunnel, swap in (("wireguard-go", None), ("VXLAN", take_vxlan)):
        with standing("demo") as fleet:
            _, done = fleet.run(["loopback", "up", "-C", str(ROOT), "--yes"])
            if done.returncode:
                raise SystemExit(done.stderr)
            if swap:
                swap(fleet.lab)
            prepare(fleet.lab)
            tables[tunnel] = measure(fleet.lab, rounds)
    figures = ["requests/s", "connections/s", "Gbit/s, 1 stream", "Gbit/s, 4 streams"]
    table = Table("tunnel", "path", *figures, box=None)
    for tunnel, found in tables.items():
        for path, values in found.items():
            table.add_row(tunnel, path, *(_told(found, path, values, name) for name in figures))
    Console(width=150).print(f"medians of {rounds}; in brackets the share of `routed`")
    Console(width=150).print(table)


def _told(
    found: dict[str, dict[str, list[float]]],
    path: str,
    values: dict[str, list[float]],
    figure: str,
) -> str:
    if not values[figure]:
        return "-"
    middle, whole = (statistics.median(v[figure]) for v in (values, found["routed"]))
    digits = 2 if "Gbit" in figure else 0
    share = "" if path == "routed" else f" ({middle / whole:.0%})"
    return f"{middle:,.{digits}f}{share}"
