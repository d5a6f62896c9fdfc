"""The lines of a zone file: entries of words, each with the number of the line it begins on.

Quotes, escapes, comments and parentheses are understood here and nowhere else (RFC 1035 5.1). What
cannot be read is one problem; reading goes on at the next entry, so that all are told at once.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from loopback_iac.dns.refusal import Refusal, shown

_SPECIAL = re.compile(r'[()";\\]')
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f\v]+)
      | (?P<end>\n)
      | (?P<comment>;[^\n]*)
      | (?P<open>\()
      | (?P<close>\))
      | (?P<word>(?:[^\s()";\\]|\\[0-9]{3}|\\[^0-9\n]|"(?:[^"\\\n]|\\[0-9]{3}|\\[^0-9\n])*")+)
    """,
    re.VERBOSE | re.ASCII,
)
_STARTS_ENTRY = re.compile(r"^[A-Za-z0-9@*_$\\]", re.MULTILINE)


class Entry(NamedTuple):
    """One entry: where it begins, whether its first word is an owner, its words as written."""

    line: int
    owned: bool
    words: list[str]


class Unread(NamedTuple):
    """Something that is no entry, and why."""

    line: int
    refusal: Refusal


def read_entries(text: str) -> Iterator[Entry | Unread]:
    """All entries of a text, in order; lines count from 1."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if _SPECIAL.search(line) or not line.isascii():  # split() knows spaces that are none here
            found, at = _read_special(lines, at - 1)
            if not isinstance(found, Entry) or found.words:
                yield found
        elif words := line.split():
            yield Entry(at, line[0] not in " \t\r", words)


def _read_special(lines: list[str], first: int) -> tuple[Entry | Unread, int]:
    """The entry that begins on a line with quotes, escapes, comments or parentheses.

    Out: what was read, and the index of the line after it.
    """
    words: list[str] = []
    at, depth, opened = first, 0, first
    while at < len(lines):
        here = 0
        line = lines[at]
        at += 1
        while here < len(line):
            token = _TOKEN.match(line, here)
            if token is None:
                return Unread(at, _unreadable(line[here:])), _after(lines, at, depth)
            here = token.end()
            if token.lastgroup == "word":
                words.append(token[0])
            elif token.lastgroup == "open":
                depth, opened = depth + 1, opened if depth else at
            elif token.lastgroup == "close":
                depth -= 1
            if depth < 0:
                return Unread(at, _unopened()), at
        if depth == 0:
            return Entry(first + 1, lines[first][:1] not in (" ", "\t", "\r"), words), at
    return Unread(opened, _unclosed()), _next_owner(lines, opened)


def _after(lines: list[str], at: int, depth: int) -> int:
    """Where to go on after an unreadable word: behind the parentheses it stands in."""
    return _next_owner(lines, at) if depth else at


def _next_owner(lines: list[str], at: int) -> int:
    while at < len(lines) and not _STARTS_ENTRY.match(lines[at]):
        at += 1
    return at


def _unreadable(rest: str) -> Refusal:
    if '"' in rest and rest.count('"') % 2:
        return Refusal(
            "quote-unclosed",
            f"{shown(rest)} opens a quote that this line does not close",
            "a closing quote on the same line",
            r"close it; a quote within a string is written \"",
        )
    return Refusal(
        "rdata-escape",
        f"{shown(rest)} has an escape that is none",
        r"\DDD with DDD from 000 to 255, or a backslash and one character",
        r"correct the escape; a backslash itself is written \\",
    )


def _unopened() -> Refusal:
    got, need = "a parenthesis closes that was not opened", "as many ( as )"
    return Refusal("parenthesis-unopened", got, need, "remove it, or open one before it")


def _unclosed() -> Refusal:
    got, need = "a parenthesis opens that nothing closes", "a ) after the entry's last word"
    return Refusal("parenthesis-unclosed", got, need, "close it where the entry ends")
