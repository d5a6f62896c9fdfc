"""Keys are rotated by expand and contract: what would cut every flow at once is refused.

Both ends of a tunnel have to know a new key before traffic moves to it, and hosts are changed one
after the other. So the tunnel that carries traffic may only change to one that the host already
has, that answers, and beside which the old one stays.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from .allowed import POP
from .echo import read_pairs, round_trip_ms
from .keys import epochs_of, key_path
from .refusal import RefusedError
from .watchfile import WATCH, parse_watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .bundle import HostSet, SetFile

# A worker behind NAT dials: it tries every 5 s until the PoP answers (WireGuard's REKEY_TIMEOUT).
FIRST_ANSWER_S = 12.0


class Carrier(NamedTuple):
    """The tunnel that carries the traffic to one peer."""

    tunnel: str
    epoch: int


class Move(NamedTuple):
    """Traffic to one peer goes from one tunnel to another."""

    old: Carrier
    new: Carrier


def check_rotation(before: HostSet | None, coming: HostSet) -> None:
    """Refuse a set that changes keys in a way that cuts flows.

    In:  the set that stands; the one that comes.
    Raises: RefusedError before anything is changed.
    """
    lacking = sorted({e for e in epochs_of(coming.files).values() if not _exists(e)})
    if lacking:
        raise RefusedError(
            f"this host has no WireGuard key of epoch {lacking[0]}",
            fix="enroll it again; enroll makes the keys of every declared epoch",
        )
    moves = plan_moves(before.files if before else {}, coming.files)
    if coming.role == POP:
        _check_answers(moves)


def _exists(epoch: int) -> bool:
    return os.path.exists(key_path(epoch))


def plan_moves(old: Mapping[str, SetFile], new: Mapping[str, SetFile]) -> list[Move]:
    """Peers whose traffic moves to another tunnel, sorted.

    Raises: RefusedError when a move is no expand and contract.
    """
    carried, carries = carriers(old), carriers(new)
    moves = [
        Move(carried[peer], carries[peer])
        for peer in sorted(carried.keys() & carries.keys())
        if carried[peer] != carries[peer]
    ]
    for move in moves:
        stays = epochs_of(new).get(move.old.tunnel) == move.old.epoch
        stands = epochs_of(old).get(move.new.tunnel) == move.new.epoch
        if not (stays and stands):
            raise _jump(move)
    return moves


def _jump(move: Move) -> RefusedError:
    now = move.old.epoch
    then = move.new.epoch if abs(move.new.epoch - now) == 1 else now + 1
    return RefusedError(
        f"traffic would go from {move.old.tunnel} (keys of epoch {now}) to {move.new.tunnel}"
        f" (epoch {move.new.epoch}) in one step: between the change of this host and that of its"
        " peers nothing would be carried",
        fix=f"set key_epochs to [{now}, {then}], then [{then}, {now}], then [{then}], with an `up`"
        " after each",
    )


def carriers(files: Mapping[str, SetFile]) -> dict[str, Carrier]:
    """The tunnel that carries traffic, by peer: every tunnel but those declared to stand beside."""
    if WATCH not in files:
        return {}
    watch, epochs = parse_watch(files[WATCH].content), epochs_of(files)
    return {
        tunnel.partition("-")[2]: Carrier(tunnel, epochs[tunnel])
        for tunnel in watch.tunnels
        if tunnel in epochs and tunnel not in watch.beside
    }


def _check_answers(moves: list[Move]) -> None:
    """A tunnel that is silent while the one before it answers is not moved to."""
    end = time.monotonic() + FIRST_ANSWER_S
    waiting = [move for move in moves if _answers(move.old.tunnel)]
    while waiting := [move for move in waiting if not _answers(move.new.tunnel)]:
        if time.monotonic() > end:
            old, new = waiting[0].old.tunnel, waiting[0].new.tunnel
            raise RefusedError(
                f"{new} carries nothing while {old} does, and traffic would move to {new}",
                fix=f"let the UDP port of {new} through (ListenPort and Endpoint in"
                f" /etc/wireguard/{new}.conf, on both ends), then apply again",
            )
        time.sleep(0.5)


def _answers(tunnel: str) -> bool:
    return round_trip_ms(read_pairs().get(tunnel, ())) is not None
