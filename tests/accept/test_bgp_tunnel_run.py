"""A PoP whose upstreams are tunnels: what its firewall makes of segments, and of ways out."""

from __future__ import annotations

import re
import sys

import pytest

from tests.accept.firewall import (
    ADMIN,
    HOST,
    HOST6,
    STRANGER,
    STRANGER6,
    VIP,
    VIP6,
    hear,
    is_heard,
    load,
    reach,
)
from tests.accept.network import cable, namespaces, wait_for
from tests.golden import case as golden

CLIENT = "import socket, sys\ns = socket.create_connection((sys.argv[1], 443), 5)\ninput()"
OPTIONS = 12  # of each segment, the timestamps of both ends


@pytest.fixture
def par1(image):
    """par1 and the world; what stands for the tunnel is a cable of a link's MTU."""
    with namespaces("par1", "world") as (pop, world):
        cable(pop, "eth0", world, "w0")
        cable(pop, "up-carrier", world, "w1")
        for space, end, addresses in (
            (pop, "eth0", ("198.18.2.11/24", "2001:db8:2::11/64")),
            (pop, "up-carrier", ("172.20.1.2/30", "2001:db8:fe:1::2/126")),
            (pop, "lo", (f"{VIP}/32", f"{VIP6}/128")),
            (world, "w0", ("198.18.2.1/24", "2001:db8:2::1/64")),
            (world, "w1", ("172.20.1.1/30", "2001:db8:fe:1::1/126")),
            (world, "lo", tuple(f"{a}" for a in (STRANGER, STRANGER6, ADMIN, HOST, HOST6))),
        ):
            for address in addresses:
                space.ip(f"addr add {address} dev {end} {'nodad' * (':' in address)}".strip())
        world.ip(f"route add {VIP}/32 via 172.20.1.2")
        world.ip(f"-6 route add {VIP6}/128 via 2001:db8:fe:1::2")
        load(image, pop, "par1", golden.load("tunnelled-pop"))
        yield pop, world


def through(pop, device):
    """Send everything one way."""
    way = {
        "eth0": ("198.18.2.1", "2001:db8:2::1"),
        "up-carrier": ("172.20.1.1", "2001:db8:fe:1::1"),
    }
    pop.ip(f"route replace default via {way[device][0]} dev {device}")
    pop.ip(f"-6 route replace default via {way[device][1]} dev {device}")


@pytest.mark.parametrize(("vip", "fits"), [(VIP, 1280), (VIP6, 1260)])
def test_neither_end_sends_more_than_the_narrowest_tunnel_carries(par1, vip, fits):
    pop, world = par1
    through(pop, "up-carrier")
    hear(pop, vip, 443)
    world.start(sys.executable, "-c", CLIENT, vip)

    def segments(space):
        told = space.run("ss", "-Htin", "state", "established").stdout
        return [int(found) for found in re.findall(r"\bmss:(\d+)", told)]

    wait_for(lambda: segments(pop) and segments(world))
    assert segments(pop) == segments(world) == [fits - OPTIONS]


def test_own_addresses_leave_through_the_tunnel_and_by_nothing_else(par1):
    pop, world = par1
    hear(world, ADMIN, 5000, "udp")
    through(pop, "eth0")  # as if rules or routes of ours were gone
    assert is_heard(pop, ADMIN, 5000, "198.18.2.11", "udp")
    assert reach(pop, ADMIN, 5000, VIP, "udp") == "forbidden"
    through(pop, "up-carrier")
    assert reach(pop, ADMIN, 5000, VIP, "udp") == "silent"  # it left; answers are HAProxy's alone


def test_the_router_reaches_bgp_inside_the_tunnel_only(par1):
    pop, world = par1
    through(pop, "up-carrier")
    hear(pop, "172.20.1.2", 179)
    hear(pop, "172.20.1.2", 3784, "udp")
    assert is_heard(world, "172.20.1.2", 179, "172.20.1.1")
    assert is_heard(world, "172.20.1.2", 3784, "172.20.1.1", "udp")
    world.ip("route replace 172.20.1.2/32 via 198.18.2.11")
    pop.ip("route add 172.20.1.1/32 via 198.18.2.1")
    assert reach(world, "172.20.1.2", 179, "172.20.1.1") == "silent"
    assert reach(world, "172.20.1.2", 3784, "172.20.1.1", "udp") == "silent"
