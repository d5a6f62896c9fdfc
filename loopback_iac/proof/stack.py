"""What of a stack the proof rests on: fleets, and where their machines stand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Tree = Mapping[str, Any]
EDGE = "loopback-iac:index:AnycastEdge"
HOSTS = tuple(f"loopback-iac:index:{kind}Host" for kind in ("BareMetal", "Hetzner", "Ionos"))
PLANNED = "(known after apply)"
"""What stands in a plan for a value that is not known yet."""
SAID = ("provider", "site", "country")
"""What every host is asked for; what it does not say it shares with all who do not say it."""


@dataclass(frozen=True)
class Place:
    """Where a machine stands and whose it is, as far as that is declared."""

    provider: str = ""
    site: str = ""
    country: str = ""
    owner: str = ""
    domains: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    """Fields with a value that only `up` will know."""


@dataclass(frozen=True)
class Stack:
    """Everything of one stack the proof looks at."""

    fleets: Mapping[str, Tree] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    late: tuple[str, ...] = ()
    """Fleets of whose facts something is known after `up` only: half a fleet is not proved."""


def read_stack(resources: Iterable[Tree]) -> Stack:
    """
    What the proof rests on.

    In: resources with `type`, `name` and `inputs`; a host's output `host` may stand in its inputs.
    Out: hosts by their component's name, which a program gives to host, PoP and worker alike.
    """
    fleets: dict[str, Tree] = {}
    places: dict[str, Place] = {}
    late: list[str] = []
    for tree in resources:
        inputs = tree.get("inputs") or {}
        if tree["type"] == EDGE and _planned_in(inputs.get("fleet")):
            late.append(str(tree["name"]))
        elif tree["type"] == EDGE and isinstance(inputs.get("fleet"), Mapping):
            fleets[str(tree["name"])] = inputs["fleet"]
        elif tree["type"] in HOSTS:
            places[str(tree["name"])] = _place(inputs)
    return Stack(dict(sorted(fleets.items())), dict(sorted(places.items())), tuple(sorted(late)))


def _planned_in(tree: object) -> bool:
    if isinstance(tree, Mapping):
        return any(_planned_in(value) for value in tree.values())
    if isinstance(tree, list | tuple):
        return any(_planned_in(value) for value in tree)
    return tree == PLANNED


def _place(inputs: Tree) -> Place:
    found: dict[str, Any] = {}
    for part in (inputs, inputs.get("machine"), inputs.get("host")):
        if isinstance(part, Mapping):
            found |= {key: value for key, value in part.items() if value is not None}
    if found.get("site") is None:
        found["site"] = found.get("location")
    named = found.get("failure_domains") or ()
    listed = [str(each) for each in named] if not isinstance(named, str) else [named]
    if inputs.get("host") == PLANNED:
        # where the whole output comes late, each fact of it does that is not said elsewhere
        listed.append(PLANNED)
        found |= {key: PLANNED for key in SAID if found.get(key) is None}
    fields = {key: found.get(key) for key in (*SAID, "legal_owner")}
    unknown = [key for key, value in fields.items() if value == PLANNED]
    unknown += ["failure_domains"] if PLANNED in listed else []
    said = {k: _word(v) for k, v in fields.items() if v and v != PLANNED}
    # an ordered machine names its location as a domain too: one cause is enough
    own = f"{said.get('provider')}-{said.get('site')}"
    return Place(
        said.get("provider", ""),
        said.get("site", ""),
        said.get("country", "").upper(),
        str(fields["legal_owner"]) if "legal_owner" in said else "",
        tuple(sorted({_word(each) for each in listed if each != PLANNED} - {own})),
        tuple(unknown),
    )


def _word(value: object) -> str:
    """One spelling: a supplier written in two ways would pass for two."""
    return " ".join(str(value).split()).lower()
