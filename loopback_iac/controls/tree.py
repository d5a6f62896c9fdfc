"""Facts as a plan has them: a value is known, not known yet, or not there, and these never mix.

A rule that reads "not known yet" as "not there" refuses a good plan; one that reads it as "fine"
passes a bad one. So every look at a fact goes through `at`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

Tree = Mapping[str, Any]
MARK = "4dabf18193072939515e22adb298388d"
"""The key of special values in Pulumi's protocol (sdk/go/common/resource/properties.go)."""
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  # the signature of one, not a secret
# pulumi_policy/proxy.py: boolean, number, string, list, asset, archive, map
SENTINELS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
        "(known after apply)",  # as the trees of a plan of our own engine show it
        "[secret]",  # what `pulumi policy analyze` shows of what it cannot decrypt
    }
)


class Access(Enum):
    """What a look at a fact finds where it finds no value."""

    UNKNOWN = "not known here"
    ABSENT = "absent"


UNKNOWN, ABSENT = Access.UNKNOWN, Access.ABSENT


class UndecidedError(Exception):
    """A fact that decides is not known yet; `path` says which. Never leaves this room."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def at(tree: object, *path: str | int) -> Any:  # noqa: ANN401  # any value of JSON, or Access
    """
    The value under a path; null is absent, and so is everything under it.

    Out: the value, UNKNOWN as soon as one step is, or ABSENT. A secret's value stands for itself:
    whoever shows what he read here shows it.
    """
    here = _open(tree)
    for step in path:
        if here is UNKNOWN or here is ABSENT:
            return here
        if isinstance(here, Mapping):
            here = _open(here.get(str(step)))
        elif isinstance(here, Sequence) and not isinstance(here, str) and isinstance(step, int):
            here = _open(here[step]) if step < len(here) else ABSENT
        else:
            return ABSENT
    return here


def need(tree: object, *path: str | int) -> Any:  # noqa: ANN401  # as above, without UNKNOWN
    """
    As `at`, for what decides.

    Raises: UndecidedError when it is not known yet.
    """
    found = at(tree, *path)
    if found is UNKNOWN:
        raise UndecidedError(".".join(str(step) for step in path))
    return found


def items(tree: object, *path: str | int) -> Iterator[tuple[str, Any]]:
    """
    Entries of a map, of an absent one none; entries themselves may be UNKNOWN.

    Raises: UndecidedError when the map as a whole is not known yet.
    """
    found = need(tree, *path)
    if isinstance(found, Mapping):
        for key in found:
            yield str(key), _open(found[key])


def each(tree: object, *path: str | int) -> Iterator[Any]:
    """
    Entries of a list, of an absent one none; entries themselves may be UNKNOWN.

    Raises: UndecidedError when the list as a whole is not known yet.
    """
    found = need(tree, *path)
    if isinstance(found, Sequence) and not isinstance(found, str):
        for one in found:
            yield _open(one)


def is_marked(tree: object, *path: str) -> bool:
    """Whether a value, or what holds it, is marked as a secret."""
    here = tree
    for step in ("", *path):
        here = here.get(step) if step and isinstance(here, Mapping) else here
        if isinstance(here, Mapping) and here.get(MARK) == SECRET:
            return True
    return False


@dataclass(frozen=True)
class Counted:
    """Different values of one fact over several things, and where the fact is not known yet."""

    values: frozenset[str]
    late: tuple[str, ...] = ()

    def reaches(self, count: int) -> bool | None:
        """Whether there are so many, whatever the late ones turn out to be; None: they decide."""
        if len(self.values) >= count:
            return True
        return False if len(self.values) + len(self.late) < count else None


def _open(value: object) -> object:
    if isinstance(value, str):
        return UNKNOWN if value in SENTINELS else value
    if value is None:
        return ABSENT
    if isinstance(value, Mapping) and value.get(MARK) == SECRET:
        # an exported state has the ciphertext alone
        return _open(value["value"]) if "value" in value else UNKNOWN
    return value
