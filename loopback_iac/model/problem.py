"""What is wrong with an input, as a value; its text is made here and nowhere else."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

KINDS = {
    "pools": "pool",
    "pops": "PoP",
    "prefixes": "prefix",
    "vips": "vip",
    "workers": "worker",
}  # of a section, in an operator's words
FIX_COLUMN_MAX = 70  # a single long fix does not push every rule id off the screen


@dataclass(frozen=True, order=True)
class Problem:
    """One reason to refuse an input: where, what came, what is needed, how to mend it.

    `rule` is a permanent kebab-case id; documents and tests name it. `need` reads after
    "expected" and may be empty.
    """

    path: str
    got: str
    need: str
    fix: str
    rule: str
    place: str = ""


def unknown_name(path: str, section: str, name: str, known: Iterable[str], rule: str) -> Problem:
    """A reference to something that was never declared.

    In: where it is written, the section it should stand in, the name, the names there are.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return Problem(
        path,
        f"there is no {KINDS[section]} {name!r}",
        f"one of {', '.join(names)}" if names else "",
        f"did you mean {close[0]!r}?" if close else f"declare it under {section}",
        rule,
    )


class InputRejected(ValueError):  # noqa: N818  # named for what happened
    """Every problem of one input at once; `str()` is the text for the operator."""

    def __init__(self, title: str, problems: tuple[Problem, ...]) -> None:
        self.title = title
        self.problems = problems
        super().__init__(problems_text(title, problems))


def problems_text(title: str, problems: tuple[Problem, ...]) -> str:
    """Text of all problems of one input.

    In: problems in the order in which they are to be read.
    Out: lines without a final newline; the rule ids stand in one column.
    """
    count = len(problems)
    width = min(FIX_COLUMN_MAX, max((len(p.fix) for p in problems), default=0))
    lines = [f"{title}: {count} problem{'' if count == 1 else 's'}"]
    for problem in problems:
        needed = f"; expected {problem.need}" if problem.need else ""
        place = f"at: {problem.place}   " if problem.place else ""
        lines.append(f"  - {problem.path}: {problem.got}{needed}")
        lines.append(f"      fix: {problem.fix:<{width}}     {place}rule: {problem.rule}")
    return "\n".join(lines)
