"""Breaking the glass: one own address is given up at once, without the program, its state or CI.

It is dropped here and announced to the upstreams that take it; what stays given up after the
next apply is told by `drift`.
"""

from __future__ import annotations

import ipaddress
import time
from typing import Any

from .holes import Hole, family_of, load_holes, read_announced, read_holes, write_by_hand
from .refusal import USAGE, RefusedError
from .routes import read_routes
from .state import changing_blackholes
from .watchfile import Watch, read_watch

ANNOUNCED_S = 5.0


def add_hole(text: str) -> dict[str, Any]:
    """Give an address up at once: dropped here, announced to the upstreams that take it.

    Out: the result line: where it is announced.
    Raises: RefusedError when it is not ours, or the upstreams agreed to no more.
    """
    address, watch = _parse_address(text), _need_watch()
    _check_own(address)
    with changing_blackholes():
        holes = read_holes()
        already = any(hole.address == address for hole in holes)
        if not already:
            _check_budget({hole.address for hole in holes}, address, watch)
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            write_by_hand([*holes, Hole(address, f"by hand since {since}", "by hand")])
        load_holes()
    announced = _wait(address, watch, there=True)
    state = "given up already" if already else "given up"
    return _result(address, state if announced else "dropped here only", watch, announced)


def remove_hole(text: str) -> dict[str, Any]:
    """Take an address back that was given up by hand, also when it is no longer ours.

    Out: the result line.
    Raises: RefusedError when the program declares it, or it was never given up.
    """
    address, watch = _parse_address(text), _need_watch()
    with changing_blackholes():
        holes = read_holes()
        mine = [hole for hole in holes if hole.address == address]
        if not mine:
            raise RefusedError(f"{address} is not given up here", host="unchanged")
        write_by_hand([hole for hole in holes if hole.address != address])
        load_holes()
    if any(hole.origin == "declared" for hole in mine):
        raise RefusedError(
            f"{address} is declared in the program ({mine[0].reason}), so it stays given up",
            fix="take it out of `blackholes`, then `loopback up`",
            host="still dropping it",
        )
    return _result(address, "taken back", watch, _wait(address, watch, there=False))


def _parse_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise RefusedError(
            f"{text!r} is no address",
            fix="blackhole add ADDRESS, for example 203.0.113.10",
            code=USAGE,
            host="unchanged",
        ) from None


def _check_own(address: str) -> None:
    own = read_routes().prefixes
    if not any(ipaddress.ip_address(address) in ipaddress.ip_network(net) for net in own):
        raise RefusedError(
            f"{address} is in no prefix of this fleet ({', '.join(own)})",
            fix="upstreams drop only what you announce",
            host="unchanged",
        )


def _need_watch() -> Watch:
    watch = read_watch()
    if watch is None or watch.role != "pop":
        raise RefusedError("this host announces nothing", fix="run it on a PoP", host="unchanged")
    return watch


def _check_budget(held: set[str], address: str, watch: Watch) -> None:
    if not watch.blackhole_sessions:
        raise RefusedError(
            f"no upstream of this PoP takes blackholes ({', '.join(watch.blackhole_refusing)})",
            fix="agree on a community and declare it; `loopback-agent drain` takes the PoP out",
            host="unchanged",
        )
    if len(held | {address}) > watch.blackhole_budget:
        raise RefusedError(
            f"{len(held)} addresses are given up here; the upstreams agreed to"
            f" {watch.blackhole_budget}: {', '.join(sorted(held))}",
            fix="take one back, or agree on more and declare limits.blackholes",
            host="unchanged",
        )


def _wait(address: str, watch: Watch, *, there: bool) -> list[str]:
    """BIRD filters after its answer to `configure`: give it five seconds, then say how it is."""
    wanted = [s for s, f in watch.blackhole_sessions.items() if f == family_of(address)]
    end = time.monotonic() + ANNOUNCED_S
    while True:
        announced = read_announced(watch).get(address, [])
        if announced == (wanted if there else []) or time.monotonic() > end:
            return announced
        time.sleep(0.05)


def _result(address: str, state: str, watch: Watch, announced: list[str]) -> dict[str, Any]:
    return {
        "format": 1,
        "address": address,
        "state": state,
        "announced_to": announced,
        "delivered_by": list(watch.blackhole_refusing),
    }
