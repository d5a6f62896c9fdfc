"""A firewall of ours in a namespace, and the world around it that owns every other address."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from tests.accept.network import cable, namespaces, wait_for
from tests.accept.parsers import stage
from tests.golden import case as golden

SILENT_S, PATIENCE_S = 0.4, 20.0
PROBE = Path(__file__).parent / "probe.py"
NFT = "/etc/loopback/nftables.conf"
ADMIN, STRANGER, CARRIER = "198.18.251.2", "198.51.100.2", "192.0.2.0"
ADMIN6, STRANGER6 = "2001:db8:fb::2", "2001:db8:c1::2"
PROMETHEUS, PROMETHEUS6 = "198.18.250.11", "2001:db8:fa::11"
HOST, HOST6, VIP, VIP6 = "198.18.1.11", "2001:db8:1::11", "203.0.113.10", "2001:db8:100::10"


def hear(space, address, port, kind="tcp"):
    space.start(sys.executable, str(PROBE), "hear", address, str(port), kind)
    flag = "-Hlnt" if kind == "tcp" else "-Hlnu"
    shown = f"[{address}]:{port} " if ":" in address else f"{address}:{port} "
    wait_for(lambda: shown in space.run("ss", flag).stdout)


def tracked(space):
    """Entries of the connection table."""
    return int(space.run("cat", "/proc/sys/net/netfilter/nf_conntrack_count").stdout)


def reach(space, address, port, source, kind="tcp", *, source_port=0, likely="silent"):
    """In: what is to come; who is to be heard may be late on a busy machine, silence is brief."""
    patience_s = SILENT_S if likely == "silent" else PATIENCE_S
    words = [sys.executable, str(PROBE), "reach", address, str(port), kind, source]
    words += [str(source_port), str(patience_s)]
    told = space.run(*words)
    return told.stdout.strip() or told.stderr


def is_heard(*where, **more):
    """As `reach`, of who is to be heard."""
    return reach(*where, **more, likely="heard") == "heard"


def nft(image, space, *words):
    """The hosts' own nft, in a namespace."""
    return space.run("chroot", str(image.root), "nft", *words)


def load(image, space, host, case=None, change=lambda text: text):
    """In: a golden case's values; what to do with the text before it is loaded."""
    files = golden.render(case or golden.load("two-pops"))[host]
    stage(image, files)
    image.write("/loaded.nft", change(files.files[NFT].text))
    for _ in range(2):  # twice: the second replaces the first
        told = nft(image, space, "-f", "/loaded.nft")
        assert told.returncode == 0, told.stderr


@contextlib.contextmanager
def edge_and_world(image):
    """fra1 and the world; the world owns every other address. No firewall is loaded yet."""
    with namespaces("fra1", "world") as (fra1, world):
        cable(fra1, "eth0", world, "w0")
        cable(fra1, "up0", world, "w1")
        for address in (f"{HOST}/24", f"{HOST6}/64"):
            fra1.ip(f"addr add {address} dev eth0 {'nodad' * (':' in address)}".strip())
        fra1.ip("addr add 192.0.2.1/31 dev up0")
        for address in (f"{VIP}/32", f"{VIP6}/128"):
            fra1.ip(f"addr add {address} dev lo")
        world.ip("addr add 198.18.1.1/24 dev w0")
        world.ip("addr add 2001:db8:1::1/64 dev w0 nodad")
        world.ip("addr add 192.0.2.0/31 dev w1")
        for address in (
            ADMIN,
            STRANGER,
            "198.18.11.21",
            ADMIN6,
            STRANGER6,
            PROMETHEUS,
            PROMETHEUS6,
        ):
            world.ip(f"addr add {address} dev lo")
        fra1.ip("route add default via 198.18.1.1")
        fra1.ip("-6 route add default via 2001:db8:1::1")
        world.ip("route add 203.0.113.0/24 via 198.18.1.11")
        world.ip("-6 route add 2001:db8:100::/48 via 2001:db8:1::11")
        yield fra1, world


def counters(image, space):
    """Packets of each named counter."""
    told = json.loads(
        nft(image, space, "-j", "list", "counters", "table", "inet", "loopback").stdout
    )
    return {c["counter"]["name"]: c["counter"]["packets"] for c in told["nftables"][1:]}
