"""Who shall hold the addresses of a group: pure, one look at a time.

The lease in the API is the only truth. A holder that cannot renew it lets go before anybody may
take it, unless every other node has just said that it sees no API either: then nobody can. A node
that takes it does so after a whole lease without renewal, or at once when the holder said that it
let go. It never moves back by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .gatewayfile import Timing

NEVER_S = float("-inf")
HOLD, TAKE, LET_GO, STAND_BY = "hold", "take", "let-go", "stand-by"
_NOT_READY = "the Cilium agent of this node does not answer"
_NO_CARD = "the card of this node does not take the addresses"


class Said(NamedTuple):
    """Another node's word of itself; `at_s` of our clock is no later than when it was true."""

    at_s: float
    epoch: int  # of the lease as it knows it
    api: bool  # it sees the API
    ready: bool  # its own Cilium agent answers
    holds: bool  # the addresses are on its card
    settled: bool = False  # and policies name it
    gone: bool = False  # it held them under this epoch, and let go
    prepared: bool = False  # they are on its card, and wait to be handed over
    offer: str = ""  # to whom it wants to hand them over


class Known(NamedTuple):
    """The lease as it was read last."""

    holder: str
    epoch: int
    seen_s: float  # when this version of it was seen first


class Sight(NamedTuple):
    """All that one node knows at one moment."""

    at_s: float
    known: Known | None
    renewed_s: float  # when our last renewal began
    api_since_s: float | None  # since when the API answers without a gap
    ready: bool
    holds: bool
    said: Mapping[str, Said]
    blind_s: Mapping[str, float]  # by node: when it was last true that it sees no API
    card: bool = True  # it takes the addresses, or was not tried


class Choice(NamedTuple):
    """What to do; `reason` tells why, without numbers."""

    act: str
    reason: str


def choose(node: str, names: tuple[str, ...], sight: Sight, timing: Timing) -> Choice:
    """What one node shall do with the addresses.

    In: nodes of the group, the preferred first.
    """
    known = sight.known
    if known is None:
        return Choice(STAND_BY, "the API has not said who holds it")
    if known.holder == node:
        return _own(node, names, sight, timing)
    if sight.holds:
        return Choice(LET_GO, f"{known.holder or 'nobody'} holds it")
    if sight.api_since_s is None:
        return Choice(STAND_BY, "the API does not answer")
    if not (sight.card and sight.ready):
        return Choice(STAND_BY, _NOT_READY if sight.card else _NO_CARD)
    return _other(node, names, known, sight, timing)


def _own(node: str, names: tuple[str, ...], sight: Sight, timing: Timing) -> Choice:
    if not sight.card:
        return Choice(LET_GO if sight.holds else STAND_BY, _NO_CARD)
    if sight.at_s - sight.renewed_s < timing.give_up_s:
        return Choice(HOLD, "the lease is renewed")
    if not sight.holds or sight.renewed_s == NEVER_S:
        if sight.api_since_s is None:
            return Choice(STAND_BY, "the API does not answer")
        return Choice(TAKE, "the lease is this node's")
    blind_s = [sight.blind_s.get(name, NEVER_S) for name in names if name != node]
    if sight.at_s - min(blind_s) < timing.trust_s:
        return Choice(HOLD, "no other node sees the API, or has for long enough to take it")
    return Choice(LET_GO, "the lease cannot be renewed, and another node may see the API")


def _other(node: str, names: tuple[str, ...], known: Known, sight: Sight, timing: Timing) -> Choice:
    said = sight.said.get(known.holder)
    left = (
        said is not None
        and said.gone
        and said.epoch == known.epoch
        and said.at_s >= known.seen_s
        and sight.at_s - said.at_s < timing.trust_s
    )
    # one that nobody holds may have been made anew, and who held it does not know yet
    wait_s = 0.0 if left else timing.lease_s
    # the preferred ones first; should two begin at once, the API takes one
    wait_s += [name for name in names if name != known.holder].index(node) * timing.interval_s
    since_s = max(known.seen_s, sight.api_since_s or known.seen_s)
    if sight.at_s - since_s < wait_s:
        return Choice(STAND_BY, f"{known.holder or 'nobody'} holds it")
    if not known.holder:
        return Choice(TAKE, "nobody holds it")
    return Choice(TAKE, f"{known.holder} {'let it go' if left else 'does not renew the lease'}")
