"""Keys replaced under load: what a strict validating resolver makes of it.

A parent, a hidden primary, two name servers and an Unbound that takes the first answer for the
last, in namespaces of this machine. The DS is in caches for DS_TTL_S, as a parent's DS is for a
day; everything else is quick. Beside it the same without waiting, as by hand: a new KSK in place of
the old one, and its DS at the parent at once.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dns.dnssec
import dns.name
import dns.rdata
from rich.console import Console
from rich.table import Table

from loopback_iac.lab.names.image import writable_image
from loopback_iac.lab.names.space import wait_for
from loopback_iac.lab.names.tree import ZONE, Hierarchy, hierarchy

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 40
DS_TTL_S = 5
LONGEST_S = 120
# of Unbound: for so long it holds a key for wrong once it found it so
HELD_WRONG_S = 60
COUNTED = ("asked", "secure", "insecure", "bogus", "failed", "silent", "late")


def main(count: int = 20, by_hand: int = 3) -> None:
    """Print the table: `count` rollovers by the primary, KSK and ZSK in turns, some by hand."""
    table = Table("rollovers under load", "times", "s each", *COUNTED, "bogus for, s")
    with (
        writable_image() as image,
        tempfile.TemporaryDirectory(dir=image.root.parent) as ground,
        hierarchy(image, Path(ground), ds_ttl_s=DS_TTL_S) as tree,
    ):
        tree.resolver.load(RATE)
        for kind, times in (("ksk", (count + 1) // 2), ("zsk", count // 2)):
            rows = [measured(tree, lambda kind=kind: roll(tree, kind)) for _ in range(times)]
            add(table, f"by the primary, {kind.upper()}", rows)
        rows = [measured(tree, lambda: replace(tree)) for _ in range(by_hand)]
        add(table, "by hand, KSK and DS at once", rows)
    Console(width=150).print(table)


def measured(tree: Hierarchy, act: Callable[[], None]) -> dict[str, Any]:
    """What became of the questions from a rollover's begin until all is well again."""
    tree.set_ds(*tree.parent.answer(ZONE, "DS"), ttl_s=DS_TTL_S)
    tree.resolver.begin_anew()
    tree.resolver.after(RATE)
    begun = time.monotonic()
    act()
    ended = tree.resolver.mark()
    return ended | {"seconds": time.monotonic() - begun}


def roll(tree: Hierarchy, kind: str) -> None:
    """The primary does it; caches are outlasted before the last look."""
    wait_for(tree.begin_roll(kind), LONGEST_S)
    time.sleep(DS_TTL_S)


def replace(tree: Hierarchy) -> None:
    """As one does who knows keys and DS, and nothing of caches; until all is well again."""
    (old,) = tree.keys(tree.primary, "ksk")
    keymgr = f"keymgr -c /etc/knot/knot.conf {ZONE}"
    steps = (
        f"{keymgr} generate ksk=yes zsk=no algorithm=13",
        f"{keymgr} delete {tag(old)}",
        f"knotc zone-keys-load {ZONE}",
        f"knotc -b zone-sign {ZONE}",
    )
    done = tree.primary.run("sh", "-c", " && ".join(steps))
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    (new,) = tree.keys(tree.primary, "ksk")
    if new == old:
        raise SystemExit("the key is the one before")
    tree.set_ds(ds_of(new), ttl_s=DS_TTL_S)
    time.sleep(DS_TTL_S + HELD_WRONG_S)
    wait_for(lambda: tree.resolver.ask("www." + ZONE, "A")["rcode"] == "NOERROR", LONGEST_S)


def tag(key: str) -> str:
    return str(dns.dnssec.key_id(dns.rdata.from_text("IN", "DNSKEY", key)))


def ds_of(key: str) -> str:
    """The text of a key's DS."""
    found = dns.rdata.from_text("IN", "DNSKEY", key)
    return dns.dnssec.make_ds(dns.name.from_text(ZONE), found, "SHA256").to_text()


def add(table: Table, what: str, rows: list[dict[str, Any]]) -> None:
    sums = Counter[str]()
    for row in rows:
        sums.update({kind: row[kind] for kind in COUNTED})
    spans = [row["bogus_span_s"] for row in rows]
    seconds = f"{statistics.median(row['seconds'] for row in rows):.0f}"
    figures = [f"{sums[kind]:,}" for kind in COUNTED]
    table.add_row(what, str(len(rows)), seconds, *figures, f"{statistics.median(spans):.1f}")
