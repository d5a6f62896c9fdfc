"""Who shall hold an address of a provider: pure, one look at a time.

The API's word is the only truth about who holds it now. It moves when its holder does not answer
and another member does; it never moves back by itself; and an arbiter that sees nobody takes that
for its own loss and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# After a move everything gets this long to settle before another one.
SETTLE_S = 10.0
# So many times `fall` looks in which the holder answers and its address does not: the provider said
# that it moved the address, and did not.
SILENT_FALLS = 3
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0


class Rules(NamedTuple):
    """Looks in a row that change a verdict."""

    fall: int
    rise: int


class Health(NamedTuple):
    """What is known of a member: nothing (None) until enough looks agree."""

    up: bool | None = None
    last: bool = False
    looks: int = 0  # in a row with the answer `last`


class Sight(NamedTuple):
    """One look, and what the API said of one address."""

    at_s: float
    answers: Mapping[str, bool]  # by member
    holder: str | None  # server or card; empty: nobody; None: the API has not said
    silent: int = 0  # looks in a row in which only the address itself did not answer
    moved_at_s: float | None = None
    wish: str | None = None  # a member that an operator asks for
    deaf: frozenset[str] = frozenset()  # members that would not learn that they hold it


class Choice(NamedTuple):
    """Who shall be given the address, or None: it stays. `reason` tells why, without numbers."""

    target: str | None
    reason: str


def note_answers(
    before: Mapping[str, Health], answers: Mapping[str, bool], rules: Rules
) -> dict[str, Health]:
    """Count one look.

    In:  members that were heard of before; who answered now.
    Out: by member. When nobody answered nothing is counted: this host may be the one cut off.
    """
    kept = {name: before.get(name, Health()) for name in answers}
    if not any(answers.values()):
        return kept
    return {name: _count(kept[name], answer, rules) for name, answer in answers.items()}


def _count(health: Health, answer: bool, rules: Rules) -> Health:  # noqa: FBT001 - one of two answers
    looks = health.looks + 1 if answer is health.last or not health.looks else 1
    enough = looks >= (rules.rise if answer else rules.fall)
    return Health(answer if enough else health.up, answer, min(looks, 1_000_000))


def choose(
    servers: Mapping[str, str], healths: Mapping[str, Health], sight: Sight, rules: Rules
) -> Choice:
    """Who shall hold one address after this look.

    In:  members and their servers in the order of preference; `healths` with this look counted.
    """
    if sight.holder is None:
        return Choice(None, "the API has not said who holds it")
    if not any(sight.answers.values()):
        return Choice(None, "no member answers; this host may be the one cut off: nothing is moved")
    current = next((name for name, server in servers.items() if server == sight.holder), None)
    ready = [
        name
        for name in servers
        if healths[name].up and sight.answers[name] and name not in sight.deaf
    ]
    if sight.wish in ready and sight.wish != current:
        return Choice(sight.wish, f"{sight.wish} was asked for")
    if sight.holder and current is None:
        return Choice(None, f"server {sight.holder} holds it, which is no member: left alone")
    if current is not None:
        kept = _keep(current, healths[current], sight, rules)
        if kept is not None:
            return kept
    reason = f"{current} does not answer" if current else "nobody holds it"
    return _move(reason, [name for name in ready if name != current], sight)


def _keep(current: str, health: Health, sight: Sight, rules: Rules) -> Choice | None:
    """Out: None when its holder is lost."""
    if health.up is False and not sight.answers[current]:
        return None
    if health.up is None:
        return Choice(None, f"{current} holds it and was not looked at long enough yet")
    if health.up and sight.silent >= SILENT_FALLS * rules.fall and _settled(sight):
        return Choice(current, f"{current} answers and the address does not: assigned once more")
    return Choice(None, f"{current} holds it")


def _move(reason: str, ready: Sequence[str], sight: Sight) -> Choice:
    if not ready:
        return Choice(None, f"{reason}, and no other member is known to serve")
    if not _settled(sight):
        return Choice(None, f"{reason}; it was moved a moment ago and has to settle first")
    return Choice(ready[0], reason)


def _settled(sight: Sight) -> bool:
    return sight.moved_at_s is None or sight.at_s - sight.moved_at_s >= SETTLE_S


def wait_s(failures: int, asked_s: float = 0.0) -> float:
    """How long to leave the API alone after so many failures in a row.

    In:  asked_s, what the API itself asked for.
    Units: seconds.
    """
    grown = _FIRST_WAIT_S * 2.0 ** min(max(failures - 1, 0), 16)
    return min(max(grown, asked_s), _LONGEST_WAIT_S)
