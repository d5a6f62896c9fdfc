"""What the name server of this host counts of questions and answers, in one set of words for both
programs.

Who may ask the program may have all of it: its control socket tells the secrets of keys and takes
any order. So a process of the program's own user asks, and what it is told lies in a file; who
makes metrics reads that file, and has no way to the socket.
"""

from __future__ import annotations

import os
import sys
import time
from typing import NamedTuple

from .gates import write_plain
from .programs import run
from .refusal import RefusedError
from .state import AGENT

COMMANDS = {
    "knot": ("knotc", "-t", "2", "-f", "stats"),
    # without `_noreset` it would count from 0 again
    "nsd": ("nsd-control", "stats_noreset"),
}
TOLD = "/run/loopback-names/told"
PATIENCE_S = 4.0
EVERY_S = 5.0
STALE_S = 30.0  # since the program told anything: it hangs, or is gone
RCODES = ("NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED")
"""Those that are told from the first look on, so that a rate over them has a beginning."""
_KNOT_MODULE = "mod-stats."


class NameCounts(NamedTuple):
    """Since the program's start."""

    questions: dict[str, int]  # by transport: udp4, udp6, tcp4, tcp6
    answers: dict[str, int]  # by rcode
    limited: dict[str, int]  # by what became of it: `truncated`, `dropped`


def count_for_ever(unit: str) -> None:
    """Write down what the program tells; end when the agent was replaced."""
    own, silent = os.path.realpath(AGENT), False
    while os.path.realpath(AGENT) == own:
        trouble = _count(unit)
        # once: complaints have the time in them, so no two are the same
        if bool(trouble) != silent:
            sys.stderr.write(f"{trouble or f'{unit} tells again'}\n")
        silent = bool(trouble)
        time.sleep(EVERY_S)


def _count(unit: str) -> str:
    """Out: why nothing was written down; empty when it was."""
    try:
        told = run(*COMMANDS[unit], timeout_s=PATIENCE_S)
        if told.code:
            return f"{unit} does not tell: {told.complaint}"
        write_plain(TOLD, told.out)
    except (RefusedError, OSError) as failed:
        return f"{unit} does not tell: {failed}"
    return ""


def read_name_counts(unit: str) -> NameCounts | None:
    """What the program told last; None when that is long ago, or nothing."""
    try:
        with open(TOLD, encoding="utf-8") as stream:
            if time.time() - os.fstat(stream.fileno()).st_mtime > STALE_S:
                return None
            text = stream.read()
    except FileNotFoundError:
        return None
    return parse_knot(text) if unit == "knot" else parse_nsd(text)


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
