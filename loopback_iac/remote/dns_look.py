"""Every zone of a hidden primary on all its servers, once: what the timer on its host starts.

It runs there on Debian's own Python, dnspython and cryptography: `render` sends this module, and
those it needs, as they are. So none of them may import more.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loopback_iac.dns.rdata import parse_rdata
from loopback_iac.dns.refusal import Refusal
from loopback_iac.dns.served.check import Expected, Report, check_served
from loopback_iac.dns.served.signatures import Served, make_ds
from loopback_iac.dns.served.texts import finding_lines, render_metrics
from loopback_iac.dns.served.view import Server, read_answer
from loopback_iac.dns.zone import DEFAULT_TTL_S, Zone, make_zone
from loopback_iac.dns.zonefile import parse_zone_file
from loopback_iac.remote.dns_served import Probe, probe_zone
from loopback_iac.remote.dns_transfer import parse_tsig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loopback_iac.dns.served.view import View
    from loopback_iac.remote.dns_transfer import Tsig

FORMAT = 1
DIFFERENT = 3  # 1 is what Python ends with when it fails
SUFFIX = ".prom"


class Look(NamedTuple):
    """One zone, as it is told on the host."""

    zone: Zone
    updated: tuple[str, ...]
    """Types that come by update; then only its top is declared."""
    parent: Server | None


def main(argv: Sequence[str]) -> int:
    """In: the list of zones and servers, the file with the key, the folder for metrics.

    Out: 0: all servers have what is declared; 2: a zone could not be looked at; 3: one server has
         something else.
    Raises: Refusal, OSError: nothing could be looked at.
    """
    listed, key, folder = map(Path, argv)
    tree = json.loads(listed.read_text())
    if tree["format"] != FORMAT:
        sys.stderr.write(f"{listed} has format {tree['format']}, not {FORMAT}\n")
        return 2
    tsig = parse_tsig(key.read_text())
    signer = Server(tree["signer"]["name"], "", tree["signer"]["address"], 53)
    audited: list[Server] = [signer]
    foreign: list[Server] = []
    for one in tree["servers"]:
        server = Server(one["name"], one["nsid"], one["address"], 53)
        (audited if one["audited"] else foreign).append(server)
    blind = differs = False
    for entry in tree["zones"]:
        try:
            look = read_look(entry)
        except (OSError, Refusal, ValueError) as cause:
            sys.stderr.write(f"{entry['name']}: {cause}\n")
            blind = True
            continue
        report = look_at(look, audited, foreign, tsig)
        write_whole(folder / metrics_name(entry["name"]), render_metrics(report))
        for line in finding_lines(report.findings):
            sys.stderr.write(f"{entry['name']} {line}\n")
        differs |= not report.equal
    drop_others(folder, (entry["name"] for entry in tree["zones"]))
    if blind:
        return 2
    return DIFFERENT if differs else 0


def read_look(entry: Mapping[str, str]) -> Look:
    """A zone from the file that its primary has of it.

    Raises: OSError, Refusal, ValueError (InputRejected is one).
    """
    name, file = entry["name"], Path(entry["file"])
    above = entry.get("parent")
    parent = Server("parent", "", above, 53) if above else None
    if file.suffix == ".zone":
        return Look(parse_zone_file(file.read_text(), name, title=name), (), parent)
    top = json.loads(file.read_text())
    updated = tuple(top.pop("updated"))
    found = {
        (name, kind): (told["ttl_s"], [parse_rdata(kind, text, name) for text in told["values"]])
        for kind, told in top.items()
    }
    return Look(make_zone(name, DEFAULT_TTL_S, found), updated, parent)


def look_at(look: Look, audited: Sequence[Server], foreign: Sequence[Server], tsig: Tsig) -> Report:
    """One look at all servers of a zone; keys that count are those of the first, which signs.

    In: servers that let the key transfer, and others.
    """
    now = int(time.time())
    probe = Probe(look.zone, now, tsig)
    views, above = probe_zone(probe, audited, look.parent)
    if foreign:
        views += probe_zone(probe._replace(tsig=None), foreign)[0]
    held = signer_ds(look.zone.name, views[0])
    expected = Expected(look.zone, now, signed=True, updated=look.updated, signer_ds=held)
    return check_served(expected, views, above)


def signer_ds(zone: str, view: View) -> tuple[bytes, ...]:
    """The DS of each key with the SEP bit that the signer has; none while it is silent."""
    for seen in view.looks.values():
        found = read_answer(seen.dnskey, (zone, "DNSKEY"))
        if isinstance(found, Served):
            return make_ds(zone, found.rdata)
    return ()


def metrics_name(zone: str) -> str:
    """The file that has a zone's metrics."""
    return f"{zone.removesuffix('.')}{SUFFIX}"


def drop_others(folder: Path, zones: Iterable[str]) -> None:
    """Remove metrics of zones that are declared no more: they would grow old, and an alert tell."""
    known = set(map(metrics_name, zones))
    for file in folder.glob(f"*{SUFFIX}"):
        if file.name not in known:
            file.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Whole or not at all: a collector reads it at any moment.

    Raises: OSError.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)
