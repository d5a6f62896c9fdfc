"""A guard on the card: what Cilium's tunnel left untranslated, and nothing translated since, stays.

Cilium marks what its tunnel hands to a card, and a program of its own on the card translates it. A
filter stands behind that program, which ends the matter wherever it is there. Where it is not, as
on a card that `devices` leaves out, the filter drops what bears the mark. Cilium takes filters off
when it has loaded its own program, so this one is put back again and again.

Sources: Cilium 1.20.1, bpf/lib/common.h (MARK_MAGIC_EGW_DONE, MARK_MAGIC_HOST_MASK), bpf_overlay.c,
pkg/datapath/loader/tc.go; Linux 6.6, net/core/dev.c (sch_handle_egress), linux/filter.h
(SKF_AD_MARK); tc-bpf(8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .addresses import read_addresses
from .programs import run
from .refusal import RefusedError

if TYPE_CHECKING:
    from .gatewayfile import Gateway

GUARD_EVERY_S = 0.5
_PREFERENCE = "50000"  # behind whatever else is there
_AD_MARK = 0xFFFFF000 + 20
_MASK, _UNTRANSLATED = 0x0F00, 0x0500
_DROP, _GO_ON = 2, 0xFFFFFFFF
# load the mark; and; is it Cilium's? drop; go on
_PROGRAM = ((0x20, 0, 0, _AD_MARK), (0x54, 0, 0, _MASK), (0x15, 0, 1, _UNTRANSLATED),
            (0x06, 0, 0, _DROP), (0x06, 0, 0, _GO_ON))  # fmt: skip
BYTECODE = ",".join([str(len(_PROGRAM)), *(" ".join(map(str, step)) for step in _PROGRAM)])


def guard_cards(kept: Gateway) -> None:
    """Have the guard stand on every card that a group's addresses may leave by.

    Raises: RefusedError with tc's words of every card that has none; OSError.
    """
    own = {group.address_of(kept.node) for group in kept.groups}
    cards = {held.device for held in read_addresses() if held.address in own}
    cards |= {group.interface for group in kept.groups if group.interface}
    if bare := list(filter(None, map(_guard, sorted(cards)))):
        raise RefusedError("; ".join(bare))


def _guard(card: str) -> str:
    """Out: why none stands on it; the other cards still get theirs."""
    where = ("dev", card, "egress", "pref", _PREFERENCE)
    try:
        if BYTECODE in run("tc", "filter", "show", *where).out:
            return ""
        run("tc", "qdisc", "add", "dev", card, "clsact")  # it may be there
        done = run("tc", "filter", "replace", *where, "handle", "1", "bpf", "direct-action",
                   "bytecode", BYTECODE)  # fmt: skip
    except RefusedError as refused:
        return f"no guard stands on {card}: {refused.what}"
    return f"no guard stands on {card}: {done.complaint}" if done.code else ""
