"""Zones that change by dynamic update: Knot keeps what came, the agent sets SOA and NS alone.

No file holds such a zone, so nothing that is applied here may take what is in it: the top is
changed in a transaction, and the zone itself goes only when the bundle says by name that it ended.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from .programs import run
from .refusal import RefusedError
from .zones import ENDED, LOAD_S, ZONES, top_of, zone_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .bundle import HostSet

Held = dict[tuple[str, str], tuple[str, list[str]]]
"""Owner and type -> TTL and values, as Knot prints them."""
TOP = ("NS", "SOA")
EMPTY = "(not exists)"
"""What Knot says where neither a journal nor a file has the zone."""
# what the signer makes, and nobody brings
_SIGNED = ("RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "ZONEMD")


def parse_top(content: bytes) -> dict[str, Any]:
    """The file of one zone: what its SOA and NS shall be, and the types that updates bring.

    Raises: RefusedError.
    """
    try:
        tree = json.loads(content)
        values = {kind: [*map(_line, tree[kind]["values"])] for kind in TOP}
        whole = all(int(tree[kind]["ttl_s"]) >= 0 and values[kind] for kind in TOP)
        whole = whole and [len(soa.split()) for soa in values["SOA"]] == [7]
        types = [*map(_line, tree["updated"])]
    except (ValueError, KeyError, TypeError) as broken:
        raise RefusedError(f"it is no top of a zone: {broken!r}") from broken
    if not whole or not types:
        raise RefusedError("it is no top of a zone: its SOA, its NS or its types are not whole")
    return dict(tree)


def _line(value: object) -> str:
    if not (isinstance(value, str) and value and value.isprintable()):
        raise ValueError(f"{value!r} is no line")
    return value


def check_ended(before: HostSet | None, coming: HostSet) -> None:
    """Refuse that a zone goes whose content came by update, unless the bundle names it.

    Raises: RefusedError; nothing was changed.
    """
    named = set(coming.files[ENDED].text.split()) if ENDED in coming.files else set()
    gone = [top_of(path) for path in (before.files if before else {}) if path not in coming.files]
    lost = sorted(zone for zone in gone if zone and zone not in named)
    if lost:
        raise RefusedError(
            f"{', '.join(lost)} would go with what updates brought, and no file has that",
            fix="declare the zone again, or name it in ended_zones to let it go",
        )


def seed_zones(zones: Sequence[str]) -> None:
    """Give each zone the SOA and NS of its file; what else its types allow stays.

    Raises: RefusedError; the zone is as it was.
    """
    for zone in zones:
        with open(f"{ZONES}/{zone}json", "rb") as stream:
            top = parse_top(stream.read())
        # from the journal, where it is not loaded yet: else it would be taken for a new one
        loaded = run("knotc", "-b", "-t", str(LOAD_S), "zone-reload", zone, timeout_s=LOAD_S + 5)
        held = read_held(run("knotc", "zone-read", zone).out)
        if loaded.code and not held and EMPTY not in loaded.complaint:
            raise RefusedError(f"knot does not load {zone}: {loaded.complaint}")
        steps = plan_top(top, held, zone, int(time.time()))
        if steps:
            _commit(zone, steps)


def read_held(out: str) -> Held:
    """What `knotc zone-read` printed."""
    held: Held = {}
    for line in out.splitlines():
        words = line.split(" ", 4)
        if len(words) == 5:
            _, owner, ttl, kind, value = words
            held.setdefault((owner, kind), (ttl, []))[1].append(value)
    return held


def plan_top(top: Mapping[str, Any], held: Held, zone: str, now_s: int) -> list[tuple[str, ...]]:
    """Words of `knotc` within a transaction; none where nothing differs.

    In: now_s, the serial of a zone that is new, as the signer's own serials are.

    A set goes as a whole before it comes again: of one whose records differ in their TTL Knot 3.4
    does not load the journal any more.
    """
    steps: list[tuple[str, ...]] = []
    for owner, kind in held:
        at_top = owner == zone and kind in TOP
        if not at_top and kind not in (*_SIGNED, *top["updated"]):
            steps.append(("zone-unset", owner, kind))
    for kind in TOP:
        before = held.get((zone, kind))
        values = list(top[kind]["values"])
        if kind == "SOA":
            serial = int(before[1][0].split()[2]) if before else now_s
            values = [_with_serial(values[0], serial)]
        if before and (int(before[0]), sorted(before[1])) == (top[kind]["ttl_s"], sorted(values)):
            continue
        if kind == "SOA" and before:
            values = [_with_serial(values[0], serial + 1)]
        steps += [("zone-unset", "@", kind)] if before else []
        steps += [("zone-set", "@", str(top[kind]["ttl_s"]), kind, value) for value in values]
    return steps


def _with_serial(declared: str, serial: int) -> str:
    """A SOA with another serial than the declared one: that is the signer's."""
    words = declared.split()
    words[2] = str(serial % (1 << 32))
    return " ".join(words)


def _commit(zone: str, steps: Sequence[tuple[str, ...]]) -> None:
    # refused while somebody else's is open, which is not ours to end
    _knotc("zone-begin", zone)
    try:
        for verb, *words in steps:
            _knotc(verb, zone, *words)
        _knotc("-b", "zone-commit", zone)
    except RefusedError:
        # an open one keeps updates out
        run("knotc", "zone-abort", zone)
        raise
    run("knotc", "zone-notify", zone)


def _knotc(*words: str) -> None:
    done = run("knotc", "-t", str(LOAD_S), *words, timeout_s=LOAD_S + 5)
    if done.code:
        raise RefusedError(f"knotc {' '.join(words)}: {done.complaint}")


def updated_zones(kept: HostSet) -> list[str]:
    """Zones of a set that change by update, sorted."""
    return sorted(zone for zone in map(top_of, kept.files) if zone)


def parse_ended(content: bytes) -> None:
    """Names, one a line.

    Raises: RefusedError.
    """
    for name in content.decode("ascii", "replace").split():
        if not zone_of(f"{ZONES}/{name}zone"):
            raise RefusedError(f"{name!r} is no name of a zone")
