"""What a gateway notes of itself, its metrics, and the one thing an operator may ask it."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .files import replace
from .gatewayfile import read_gateway
from .gatewayparts import Wish
from .metrics import Metric, Sample, render_metrics
from .refusal import RefusedError
from .state import LIBRARY

if TYPE_CHECKING:
    from .gatewaykeeper import Keeper

FOLDER = "/run/loopback-gateway"  # RuntimeDirectory= of the unit; read by root
STATUS = f"{FOLDER}/status.json"
METRICS = f"{FOLDER}/metrics/loopback-gateway.prom"
WISHES = f"{LIBRARY}/gateway-wishes.json"
LONGEST_S = 30.0


class Status(NamedTuple):
    """One group as this node sees it."""

    holder: str
    epoch: int
    act: str
    reason: str
    holds: bool
    settled: bool
    api: bool
    ready: bool
    moves: int
    api_errors: int
    strays: int
    trouble: str
    unnamed: int = 0
    settled_at: str = ""  # who says under this epoch that it is done


def status_of(keeper: Keeper) -> Status:
    """How a group stands."""
    known, word = keeper.known, keeper.word
    return Status(
        known.holder if known else "",
        known.epoch if known else 0,
        keeper.choice.act,
        keeper.choice.reason,
        word.holds,
        word.settled,
        word.api,
        word.ready,
        keeper.moves,
        keeper.api_errors,
        keeper.strays,
        "; ".join(keeper.names.unnamed.values()) or keeper.trouble,
        len(keeper.names.unnamed),
        _settled_at(keeper),
    )


def _settled_at(keeper: Keeper) -> str:
    word = keeper.word
    if word.settled:
        return keeper.node
    said = keeper.around.said
    return next((n for n, s in said.items() if s.settled and s.epoch == word.epoch), "")


def write_status(found: dict[str, Status], folder: str = FOLDER) -> None:
    """Note how every group stands, for `report` and for the node exporter."""
    tree = {name: status._asdict() for name, status in found.items()}
    _write(f"{folder}/status.json", json.dumps(tree, sort_keys=True))
    os.makedirs(f"{folder}/metrics", exist_ok=True)
    _write(f"{folder}/metrics/loopback-gateway.prom", render_metrics(count(found)))


def _write(path: str, text: str) -> None:
    with open(f"{path}.new", "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(f"{path}.new", path)


_COUNTED = {
    "holds": ("gauge", "Whether the group's addresses are on this node."),
    "settled": (
        "gauge",
        "Whether this node holds them and policies name it, but for unnamed ones.",
    ),
    "unnamed": ("gauge", "Policies that do not name this node, which holds the addresses."),
    "api": ("gauge", "Whether the Kubernetes API answers."),
    "ready": ("gauge", "Whether the Cilium agent of this node answers."),
    "epoch": ("gauge", "How often the lease changed its holder."),
    "moves": ("counter", "How often this node took the lease, since it was started."),
    "api_errors": ("counter", "Calls of the Kubernetes API that failed."),
    "strays": ("counter", "Policies that another hand had changed."),
}


def count(found: dict[str, Status]) -> list[Metric]:
    """Metrics of every group."""
    return [
        Metric(
            f"loopback_gateway_{name}{'_total' if kind == 'counter' else ''}",
            kind,
            about,
            [
                Sample(float(getattr(status, name)), (("group", group),))
                for group, status in sorted(found.items())
            ],
        )
        for name, (kind, about) in _COUNTED.items()
    ]


def read_status(path: str = STATUS) -> dict[str, Status] | None:
    """Out: None before the first look, or when the file is another agent's."""
    try:
        with open(path, encoding="utf-8") as stream:
            return {name: Status(**tree) for name, tree in json.load(stream).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def read_wish(group: str, path: str = WISHES) -> Wish | None:
    """What an operator asked for a moment ago."""
    try:
        if time.time() - os.stat(path).st_mtime >= LONGEST_S:
            return None
        with open(path, encoding="utf-8") as stream:
            value = json.load(stream)
        return Wish(str(value["ident"]), str(value["node"])) if value["group"] == group else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def hand_over_group(name: str, node: str) -> dict[str, Any]:
    """Have the group's addresses given to a node, and wait until it has them.

    Raises: RefusedError with what this node knows when it does not happen.
    """
    kept = read_gateway()
    group = next((each for each in kept.groups if each.name == name), None) if kept else None
    if kept is None or group is None:
        there = ", ".join(each.name for each in kept.groups) if kept else ""
        told = f"there are {there}" if there else "this host is no egress gateway"
        raise RefusedError(f"there is no group {name!r}; {told}", host="unchanged")
    if node not in group.names:
        told = ", ".join(group.names)
        raise RefusedError(f"{node!r} is no node of {name}; there are {told}", host="unchanged")
    before = (read_status() or {}).get(name)
    if before is None or not before.settled:
        holder = before.holder if before and before.holder else "nobody"
        if before is not None and before.settled_at == node:
            return {"format": 1, "group": name, "holder": node, "took_s": 0.0}
        if holder == kept.node:
            told = (before.trouble or before.reason) if before else ""
            raise RefusedError(
                f"{name} is not settled on this node yet: {told}",
                fix="`loopback-agent report` tells when it is, or who has it then",
                host="unchanged",
            )
        raise RefusedError(
            f"{holder} holds {name}, not this node", fix=f"ask {holder}", host="unchanged"
        )
    if node == kept.node:
        return {"format": 1, "group": name, "holder": node, "took_s": 0.0}
    return _await_holder(name, node)


def _await_holder(name: str, node: str) -> dict[str, Any]:
    wish = {"group": name, "node": node, "ident": os.urandom(8).hex()}
    replace(WISHES, json.dumps(wish).encode(), 0o644)
    began_s = time.monotonic()
    while time.monotonic() - began_s < LONGEST_S:
        now = (read_status() or {}).get(name)
        if now is not None and now.holder == now.settled_at == node and not now.holds:
            took_s = round(time.monotonic() - began_s, 3)
            return {"format": 1, "group": name, "holder": node, "took_s": took_s}
        time.sleep(0.05)
    raise RefusedError(
        f"{node} did not get {name} within {LONGEST_S:g} s: it does not answer this node, does not"
        " see the API, its Cilium agent is not ready, or its card does not take the addresses",
        fix=f"`loopback-agent report` on {node}; open UDP 8475 between the nodes",
        host="unchanged",
    )


def report_gateway() -> dict[str, Any] | None:
    """How every group of this host stands; None on a host that is no gateway."""
    if read_gateway() is None:
        return None
    return {name: status._asdict() for name, status in (read_status() or {}).items()}
