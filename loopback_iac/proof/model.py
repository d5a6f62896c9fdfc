"""The structure of what has to hold: causes, gates over them, and one system per service."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from loopback_iac.proof.causes import Cause

Route = tuple[str, ...]
"""Causes that traffic passes through, from outside in."""


@dataclass(frozen=True)
class Gate:
    """Holds while at least `need` of these hold: causes by key, other gates by name."""

    need: int
    of: tuple[str, ...]


@dataclass(frozen=True)
class System:
    """A service over one family of addresses: up while each of its parts is."""

    name: str
    service: str
    demand: int
    parts: Mapping[str, str]
    """What it is called -> the gate or cause it is."""


@dataclass
class Model:
    """Built part by part; the same gate is made once, so systems that share it share its proof."""

    causes: dict[str, Cause] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)
    systems: list[System] = field(default_factory=list)
    routes: dict[str, tuple[Route, ...]] = field(default_factory=dict)
    """Of a part that needs one of its routes: each of them."""
    assumed: list[str] = field(default_factory=list)
    """What this fleet's proof takes for granted beside what every proof does."""
    open: list[str] = field(default_factory=list)
    """What is demanded of things that only `up` will know; told among what is assumed too."""
    _made: dict[Gate, str] = field(default_factory=dict)

    def cause(self, cause: Cause) -> str:
        """Key of a cause; the first to name it says how it stands."""
        self.causes.setdefault(cause.key, cause)
        return cause.key

    def gate(self, need: int, of: Iterable[str]) -> str:
        """Name of a gate; that of its only member where it has one."""
        members = tuple(dict.fromkeys(of))
        if len(members) == need == 1:
            return members[0]
        gate = Gate(need, members)
        if gate not in self._made:
            self._made[gate] = f"gate-{len(self.gates) + 1}"
            self.gates[self._made[gate]] = gate
        return self._made[gate]

    def every(self, of: Iterable[str]) -> str:
        """A gate that needs all of them."""
        members = tuple(dict.fromkeys(of))
        return self.gate(len(members), members)

    def hard(self) -> frozenset[str]:
        """Causes that the criterion counts."""
        return frozenset(key for key, cause in self.causes.items() if cause.hard)

    def titles(self, keys: Iterable[str]) -> Sequence[str]:
        """Causes as a person reads them, sorted."""
        return sorted(self.causes[key].title for key in keys)
