"""The fleet's tunnels as VXLAN instead of WireGuard, on a lab that is thrown away afterwards.

`wireguard-go` encrypts in user space, on the cores that everything else here runs on too. VXLAN is
in every kernel and encrypts nothing: what is left of a figure over VXLAN is not the tunnel's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loopback_iac.lab.topology import Role

if TYPE_CHECKING:
    from loopback_iac.lab import Lab

PORT = 4789  # RFC 7348
FOLDER = "/etc/wireguard"


def do(lab: Lab, host: str, script: str, text: str | None = None) -> str:
    """What a shell on a host printed; SystemExit with its complaint when it failed."""
    done = lab.exec(host, ["sh", "-ec", script], text=text, timeout_s=60)
    if done.returncode:
        raise SystemExit(f"{host}: {script}: {done.stdout}{done.stderr}")
    return done.stdout


def take_vxlan(lab: Lab) -> None:
    """Each WireGuard interface becomes a VXLAN of the same name, addresses, ends and MTU."""
    pops, workers = (lab.topology.having(role) for role in (Role.POP, Role.WORKER))
    number = {h.name: n for n, h in enumerate((*pops, *workers), 1)}
    for host in (*pops, *workers):
        for file in do(lab, host.name, f"ls {FOLDER}/*.conf").split():
            name = file.rpartition("/")[2].removesuffix(".conf")
            far = name.split("-", 1)[1]
            low, high = sorted((number[host.name], number[far]))
            do(lab, host.name, _replace(name, low * 100 + high, do(lab, host.name, f"cat {file}")))
    for pop in pops:
        do(lab, pop.name, f"nft insert rule inet loopback input udp dport {PORT} accept")


def _replace(name: str, number: int, text: str) -> str:
    addresses = re.findall(r"^Address = (.*)$", text, re.MULTILINE)[0].split(", ")
    far = re.findall(r"^Endpoint = (.*):\d+$", text, re.MULTILINE)[0]
    mtu = re.findall(r"^MTU = (\d+)$", text, re.MULTILINE)[0]
    lines = [
        f"systemctl stop wg-quick@{name}",
        f"ip link add {name} mtu {mtu} type vxlan id {number} remote {far} dstport {PORT}",
        *(f"ip address add {address} nodad dev {name}" for address in addresses),
        f"ip link set {name} up",
    ]
    return "\n".join(line.replace(" nodad", "" if "." in line else " nodad") for line in lines)
