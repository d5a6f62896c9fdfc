"""What is demanded of a fleet, and what its stack cannot know: one small file.

Everything in it is somebody's word: the certificate repeats it as such.
"""

import yaml
from pydantic import Field

from loopback_iac.model.fields import Int, Line, LineList, Several, Value
from loopback_iac.model.origin import Day
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import collect, plain

MOST = 3
"""Losses at once that can be demanded; the search grows with a power of it."""


class Accepted(Value):
    """A cause that somebody takes the risk of, up to a day if one is given."""

    cause: Line
    because: Line
    owner: Line
    until: Day | None = None


class Shared(Value):
    """Something that several hosts fall with, which no component has a field for."""

    name: Line
    hosts: LineList = Field(min_length=1)


class Expiring(Value):
    """A signer or an authority, and how long what it made stays good without it."""

    name: Line
    bound: Line


class Name(Value):
    """How clients find a service: who answers for the name, under which names of servers."""

    services: LineList = Field(min_length=1)
    operators: dict[str, LineList] = Field(min_length=1)
    """Operator -> top-level domains its name servers are named under."""
    registrar: Line | None = None
    signer: Expiring | None = None


class ServiceDemand(Value):
    """What one service has to keep."""

    survives: Int | None = Field(None, ge=0, le=MOST)
    pops: Int = Field(1, ge=1, le=1000)
    workers: Int = Field(1, ge=1, le=1000)
    certificates: Expiring | None = None


class Demands(Value):
    """All of it; the empty file demands the default of whoever asks."""

    survives: Int | None = Field(None, ge=0, le=MOST)
    services: dict[str, ServiceDemand] = Field(default_factory=dict)
    accepted: Several[Accepted] = ()
    shared: Several[Shared] = ()
    names: dict[str, Name] = Field(default_factory=dict)

    def of(self, service: str) -> ServiceDemand:
        """What is demanded of one service beside what all have to survive."""
        return self.services.get(service) or ServiceDemand()

    def survives_of(self, service: str, default: int) -> int:
        """Losses it has to survive."""
        for found in (self.of(service).survives, self.survives):
            if found is not None:
                return found
        return default


def parse_demands(title: str, text: str) -> Demands:
    """Demands as a file has them.

    In: `title` names the file in refusals; `text` is YAML or JSON.
    Raises: InputRejected with every problem at once.
    """
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as cause:
        got = " ".join(str(cause).split())
        fix = "write it like docs/proof-example.yaml"
        problem = Problem(title, got, "a map in YAML or JSON", fix, "demands-syntax")
        raise InputRejected(title, (problem,)) from None
    return parse_demands_tree(title, {} if tree is None else tree)


def parse_demands_tree(title: str, tree: object) -> Demands:
    """Demands as a policy's configuration has them.

    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    clean = plain(tree)
    found = collect(Demands, "", clean, problems)
    if found is not None:
        problems += _check_twice(found)
    if problems or found is None:
        raise InputRejected(title, tuple(problems))
    return found


def _check_twice(found: Demands) -> list[Problem]:
    lists = {
        "accepted": [each.cause for each in found.accepted],
        "shared": [each.name for each in found.shared],
    }
    return [
        Problem(f"{part}[{at}]", f"{name} stands there twice", "", "keep one", "demands-twice")
        for part, names in lists.items()
        for at, name in enumerate(names)
        if name in names[:at]
    ]
