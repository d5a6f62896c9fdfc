"""A control as a record: what it says and why; the laws it serves stand in data of their own."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from loopback_iac.model.fields import Int, Line, LineList, Several, Value
from loopback_iac.model.law import LawText

HERE = Path(__file__).parent
Severity = Literal["critical", "high", "medium", "low"]
Level = Literal["resource", "stack", "rendered", "outside"]
# the C loader where PyYAML has one: the pack reads all of this before it answers
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Parameter(Value):
    """A threshold or list somebody may set otherwise, and why it is what it is."""

    type: Literal["integer", "string", "boolean", "array", "object"]
    default: Any = None
    why: Line
    minimum: Int | None = None
    maximum: Int | None = None

    def as_schema(self) -> dict[str, Any]:
        """As a policy's configuration schema has it."""
        bounds = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": self.type} | {k: v for k, v in bounds.items() if v is not None}


class Manual(Value):
    """Why no program decides it here, and who answers for it how often."""

    because: Line
    owner: Line
    every_days: Int


class Control(Value):
    """One control. A `manual` one has no check; every other one has exactly one."""

    id: Line
    name: Line
    """Permanent, in kebab case: the policy's name."""
    title: Line
    statement: Line
    rationale: Line
    severity: Severity
    level: Level
    mandatory: bool = False
    """What the pack does with it unless told otherwise: refuse, or tell."""
    params: dict[str, Parameter] = Field(default_factory=dict)
    inputs: LineList
    evidence: Line
    remediation: Line
    residual: Line = "nothing"
    """What stays with people even where the check passes."""
    manual: Manual | None = None
    exceptable: bool = True
    since: Line = "0.1.0"
    changed: LineList = ()

    def settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """Parameters as set, or their defaults; Pulumi's protocol knows doubles only."""
        found = {name: each.default for name, each in self.params.items()}
        for name, value in given.items():
            if name in found and value is not None:
                whole = isinstance(value, float) and value.is_integer()
                found[name] = int(value) if whole else value
        return found


class Point(Value):
    """One point of a law a control serves."""

    point: Line
    strength: Literal["full", "partial", "indicative"]
    because: Line


class Law(LawText):
    """One version of one law, and which control serves which of its points."""

    follows: Line | None = None
    """Another law whose points it repeats under numbers of its own: `points` has them."""
    points: dict[str, str] = Field(default_factory=dict)
    controls: dict[str, Several[Point]] = Field(default_factory=dict)


@cache
def load_controls() -> dict[str, Control]:
    """Every control by its id, in the order of the catalogue."""
    trees = [tree for path in sorted((HERE / "catalogue").glob("*.yaml")) for tree in _read(path)]
    found = [Control.model_validate(tree) for tree in trees]
    controls = {control.id: control for control in found}
    if len(controls) != len(found) or len({c.name for c in found}) != len(found):
        raise ValueError("an id or a name of a control stands there twice")
    return controls


@cache
def load_laws() -> dict[str, Law]:
    """Every law by its id, with what follows from another one filled in."""
    paths = sorted((HERE / "laws").glob("*.yaml"))
    laws = {law.id: law for law in (Law.model_validate(_read(path)) for path in paths)}
    return {name: _followed(law, laws) for name, law in laws.items()}


def mappings_of(control: str) -> list[tuple[Law, Point]]:
    """Points of every law that a control serves."""
    return [(law, p) for law in load_laws().values() for p in law.controls.get(control, ())]


def _followed(law: Law, laws: dict[str, Law]) -> Law:
    if law.follows is None:
        return law
    led = laws[law.follows].controls
    own = {
        control: [p.model_copy(update={"point": law.points[p.point]}) for p in points]
        for control, points in led.items()
    }
    return law.model_copy(update={"controls": {key: tuple(ps) for key, ps in own.items()}})


def _read(path: Path) -> Any:  # noqa: ANN401  # a tree of our own
    return yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506  # a safe one
