"""What the name server of this host counts of questions and answers, in one set of words for both
programs.
"""

from __future__ import annotations

from typing import NamedTuple

from .programs import run
from .refusal import RefusedError

COMMANDS = {
    "knot": ("knotc", "-t", "2", "-f", "stats"),
    # without `_noreset` it would count from 0 again
    "nsd": ("nsd-control", "stats_noreset"),
}
PATIENCE_S = 4.0  # one that hangs delays a look, never the watch
RCODES = ("NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED")
"""Those that are told from the first look on, so that a rate over them has a beginning."""
_KNOT_MODULE = "mod-stats."


class NameCounts(NamedTuple):
    """Since the program's start."""

    questions: dict[str, int]  # by transport: udp4, udp6, tcp4, tcp6
    answers: dict[str, int]  # by rcode
    limited: dict[str, int]  # by what became of it: `truncated`, `dropped`


def read_name_counts(unit: str) -> NameCounts | None:
    """Ask the program itself; None when it does not tell."""
    try:
        told = run(*COMMANDS[unit], timeout_s=PATIENCE_S)
    except RefusedError:
        return None
    if told.code:
        return None
    return parse_knot(told.out) if unit == "knot" else parse_nsd(told.out)


def parse_knot(text: str) -> NameCounts | None:
    """Read `knotc -f stats`; None when it counts nothing: its module is not loaded."""
    counted = _pairs(text, " = ")
    questions = {
        f"{kind}{family}": counted.get(f"{_KNOT_MODULE}request-protocol[{kind}{family}]", 0)
        for kind in ("udp", "tcp")
        for family in (4, 6)
    }
    if not any(name.startswith(_KNOT_MODULE) for name in counted):
        return None
    begin = f"{_KNOT_MODULE}response-code["
    answers = {
        name.removeprefix(begin).rstrip("]"): count
        for name, count in counted.items()
        if name.startswith(begin)
    }
    limited = {
        word: counted[f"mod-rrl.{name}"]
        for word, name in (("truncated", "slipped"), ("dropped", "dropped"))
        if f"mod-rrl.{name}" in counted
    }
    return NameCounts(questions, _worth_telling(answers), limited)


def parse_nsd(text: str) -> NameCounts | None:
    """Read `nsd-control stats_noreset`; None when it is none.

    Out: `dropped` has everything that it gave no answer to, above its limit or no question at all;
    it does not count apart what the limit truncated.
    """
    counted = _pairs(text, "=")
    if "num.queries" not in counted:
        return None
    questions = {
        f"{kind}{family}": counted.get(f"num.{kind}{'6' if family == 6 else ''}", 0)
        for kind in ("udp", "tcp")
        for family in (4, 6)
    }
    answers = {
        name.removeprefix("num.rcode."): count
        for name, count in counted.items()
        if name.startswith("num.rcode.")
    }
    return NameCounts(
        questions, _worth_telling(answers), {"dropped": counted.get("num.dropped", 0)}
    )


def _worth_telling(answers: dict[str, int]) -> dict[str, int]:
    return {name: n for name, n in sorted(answers.items()) if n or name in RCODES}


def _pairs(text: str, between: str) -> dict[str, int]:
    """Lines that give a whole number to a name."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(between)
        if value.isdigit():
            found[name.strip()] = int(value)
    return found
