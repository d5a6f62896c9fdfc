"""PoPs that are name servers: the rendered files under BIRD, HAProxy, Knot or NSD and the watch,
with a hidden primary and a carrier.

There is no systemd in here: `systemctl show` is answered from files with the daemons' process ids.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.lab.names.machine import MD5, Machine
from loopback_iac.lab.names.pop import PROGRAMS, Pop
from loopback_iac.model import parse_fleet, tunnel
from tests.accept.network import Namespace, be_patient, cable, namespaces, wait_for
from tests.accept.test_bird_runs import CARRIER
from tests.golden import case as golden
from tests.golden import primaries

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_iac.lab.names.image import Image

POPS = ("fra1", "par1")
HOLD_S = 1
# a busy machine must not end sessions that nobody broke: gates alone move routes in here
PATIENT = {"bfd": False, "bfd_waived_because": "of the test", "hold_time_s": 90, "keepalive_s": 30}


@dataclass
class Site:
    """The whole."""

    primary: Machine
    pops: dict[str, Pop]
    carrier: Machine
    daemons: dict[tuple[str, str], subprocess.Popen[str]]

    def heard(self) -> set[str]:
        """Prefixes that the carrier learns from fra1."""
        told = ""
        for protocol in ("pop4", "pop6"):
            told += self.carrier.run("birdc", "-r", "show", "route", "protocol", protocol).stdout
        return {line.split()[0] for line in told.splitlines() if " unicast " in line}


@contextlib.contextmanager
def site(image: Image, ground: Path) -> Iterator[Site]:
    """Everything started; gone afterwards."""
    fleet, zones = golden.load("name-service"), primaries.load("on-pops")
    fleet.fleet["roll"] = {"return_hold_s": HOLD_S}
    for name in POPS:
        for upstream in fleet.fleet["pops"][name]["upstreams"].values():
            upstream.update(PATIENT)
    be_patient(fleet.fleet)
    files, primary_files = golden.render(fleet), primaries.render(zones)["primary"]
    with namespaces("primary", "t1", *POPS) as (first, second, *rest):
        primary = Machine("primary", first, ground / "primary", image, "198.18.250.53")
        carrier = Machine("t1", second, ground / "t1", image, "192.0.2.0")
        pops = {
            name: Pop(name, space, ground / name, image, fleet.hosts[name]["ipv4"])
            for name, space in zip(POPS, rest, strict=True)
        }
        for machine in (primary, carrier, *pops.values()):
            machine.prepare()
        primary.put(primary_files)
        (carrier.ground / "etc/bird/bird.conf").write_text(CARRIER.format(password=MD5))
        for name, pop in pops.items():
            pop.put(files[name])
            pop.furnish()
            _connect(primary.space, pop, zones, fleet)
            _address(pop.space, fleet)
            guarded = pop.run("nft", "-f", "/etc/loopback/nftables.conf")
            assert guarded.returncode == 0, guarded.stderr
        _link(pops["fra1"].space, carrier.space)
        made = Site(primary, pops, carrier, {})
        primary.start()
        carrier.space.start(*carrier.words(*PROGRAMS["bird"]))
        for name, pop in pops.items():
            server = "knot" if name == "fra1" else "nsd"
            for unit in ("bird", "haproxy", server, "watch"):
                made.daemons[name, unit] = pop.run_unit(unit)
        yield made


def _connect(primary: Namespace, pop: Pop, zones: primaries.Case, fleet: golden.Case) -> None:
    cable(primary, pop.name, pop.space, "hoster")
    ours, theirs = zones.hosts["primary"], fleet.hosts[pop.name]
    for key, length in (("ipv4", 32), ("ipv6", 128)):
        nodad = "" if key == "ipv4" else " nodad"
        for space, end, own, other in (
            (primary, pop.name, ours[key], theirs[key]),
            (pop.space, "hoster", theirs[key], ours[key]),
        ):
            space.ip(f"addr add {own}/{length} dev {end}{nodad}")
            space.ip(f"route add {other} dev {end} src {own}")


def _address(space: Namespace, fleet: golden.Case) -> None:
    """Anycast addresses, and workers that answer at their ends of the tunnels."""
    for vip in fleet.fleet["vips"].values():
        for address in vip["addresses"]:
            space.ip(f"addr add {address}/{'128 nodad' if ':' in address else '32'} dev lo")
    parsed = parse_fleet(golden.NAME, fleet.fleet, golden.TODAY)
    pop = next(name for name in POPS if space.name.endswith(name))
    for worker in parsed.workers:
        address = str(tunnel(parsed, pop, worker).worker_v4)
        space.ip(f"addr add {address}/32 dev lo")
        space.serve(worker, address, 8443)


def _link(pop: Namespace, carrier: Namespace) -> None:
    cable(pop, "up0", carrier, "t")
    for end, space, v4, v6 in (
        ("up0", pop, "192.0.2.1/31", "2001:db8:ff::1/127"),
        ("t", carrier, "192.0.2.0/31", "2001:db8:ff::/127"),
    ):
        space.ip(f"addr add {v4} dev {end}")
        space.ip(f"addr add {v6} dev {end} nodad")


def counted(pop: Pop, chain: str) -> int:
    """Packets that a chain of the PoP's firewall took no rule for."""
    told = pop.run("nft", "-j", "list", "chain", "inet", "loopback", chain).stdout
    rules = [each["rule"]["expr"] for each in json.loads(told)["nftables"] if "rule" in each]
    return rules[-1][0]["counter"]["packets"]


def opened(made: Site) -> None:
    """Wait until everything is announced and served."""
    for pop in made.pops.values():
        wait_for(lambda pop=pop: pop.stand("open"))
