"""The model as a picture: routes from outside to the workers, and one smallest cut marked."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from textwrap import wrap

from jinja2 import Environment, PackageLoader, StrictUndefined

from loopback_iac.proof.causes import KINDS
from loopback_iac.proof.model import Model
from loopback_iac.proof.prove import Proof, Verdict
from loopback_iac.proof.wording import cut_text

_TEMPLATES = Environment(
    loader=PackageLoader("loopback_iac.proof"),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
COLUMNS = (
    ("names", ("operator", "tld")),
    ("upstreams", ("upstream", "router")),
    ("PoPs", ("pop",)),
    ("workers", ("worker",)),
)
MOST_ROWS = 16  # a wide fleet is not read box by box; what the cut touches is always drawn
BOX, TALL, GAP, TOP, WIDTH = 185, 62, 14, 110, 1000
LETTERS, LARGE, SMALL = 125, 22, 31  # in a line across the picture, in a box


@dataclass(frozen=True)
class Box:
    """A thing traffic passes through."""

    key: str
    title: str
    below: tuple[str, ...]
    state: str
    """`lost`, `falls` with what is lost, or `stands`."""
    x: int
    y: int


@dataclass(frozen=True)
class Line:
    """A way between two boxes."""

    start: tuple[int, int]
    end: tuple[int, int]
    state: str


def render_picture(proof: Proof) -> str:
    """SVG of the whole model; the same proof gives the same bytes."""
    weakest = min(proof.verdicts, key=lambda v: (v.survives - v.system.demand, v.survives))
    cut = _cut(proof.model, weakest)
    drawn = [column for column in COLUMNS if _of_kinds(proof.model, column[1])]
    xs = [20 + at * (WIDTH - 40 - BOX) // max(len(drawn) - 1, 1) for at in range(len(drawn))]
    columns = [_column(proof.model, x, kinds, cut) for x, (_, kinds) in zip(xs, drawn, strict=True)]
    boxes = [box for column, _ in columns for box in column]
    height = TOP + max((len(column) + bool(more) for column, more in columns), default=0) * (
        TALL + GAP
    )
    marked = cut_text(proof.model, [(key,) for key in sorted(cut)]) if cut else "no cut was found"
    least = "" if weakest.exact else "at least "
    survives = max(weakest.survives, 0)
    return _TEMPLATES.get_template("picture.svg.j2").render(
        width=WIDTH,
        height=height + 20,
        box=BOX,
        tall=TALL,
        title=f"{weakest.system.name}: losses survived at once: {least}{survives}",
        marked=wrap(f"marked, a smallest cut: {marked}", LETTERS, max_lines=3),
        heads=[(x, title) for x, (title, _) in zip(xs, drawn, strict=True)],
        rest=[
            (x, TOP + len(column) * (TALL + GAP) + 24, f"and {more} more")
            for x, (column, more) in zip(xs, columns, strict=True)
            if more
        ],
        boxes=boxes,
        lines=_lines(proof.model, {box.key: box for box in boxes}, cut),
    )


def _of_kinds(model: Model, kinds: Iterable[str]) -> list[str]:
    return sorted(key for key, cause in model.causes.items() if cause.kind in kinds)


def _cut(model: Model, verdict: Verdict) -> frozenset[str]:
    """A smallest cut, of things rather than of what they share where there is one."""
    ranked = sorted(verdict.cuts, key=lambda c: (-sum(model.causes[k].node for k in c), c))
    return frozenset(ranked[0]) if ranked else frozenset()


def _column(
    model: Model, x: int, kinds: Iterable[str], cut: frozenset[str]
) -> tuple[list[Box], int]:
    """Boxes of some kinds, and how many more there are."""
    around = _around(model)
    found = []
    for key in _of_kinds(model, kinds):
        shared = around.get(key, ())
        state = "lost" if key in cut else "falls" if cut.intersection(shared) else "stands"
        found.append((state == "stands", key, shared, state))
    shown = sorted(found[:] if len(found) <= MOST_ROWS else sorted(found)[:MOST_ROWS], key=_by_key)
    boxes = [
        Box(
            key,
            _cut_to(model.causes[key].name, LARGE),
            tuple(_short([model.causes[each].name for each in shared]))
            or (KINDS[model.causes[key].kind].words,),
            state,
            x,
            TOP + row * (TALL + GAP),
        )
        for row, (_, key, shared, state) in enumerate(shown)
    ]
    return boxes, len(found) - len(boxes)


def _by_key(entry: tuple[bool, str, tuple[str, ...], str]) -> str:
    return entry[1]


def _short(names: list[str]) -> list[str]:
    """At most two lines of what a box shares with others."""
    names = sorted(names)
    lines = [", ".join(names[:2]), ", ".join(names[2:4]) + (", ..." if len(names) > 4 else "")]
    return [_cut_to(line, SMALL) for line in lines if line]


def _cut_to(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _around(model: Model) -> dict[str, tuple[str, ...]]:
    """Of each thing: hard causes that it falls with."""
    found: dict[str, tuple[str, ...]] = {}
    for gate in model.gates.values():
        members = [m for m in gate.of if m in model.causes and model.causes[m].hard]
        shared = tuple(m for m in members if not model.causes[m].node)
        if gate.need == len(gate.of):
            found |= {m: shared for m in members if model.causes[m].node}
    return found


def _lines(model: Model, boxes: dict[str, Box], cut: frozenset[str]) -> list[Line]:
    ways: dict[tuple[str, str], str] = {}
    workers: set[str] = set()
    pops: set[str] = set()
    for route in (route for routes in model.routes.values() for route in routes):
        nodes = [step for step in route if step in boxes]
        state = "lost" if cut.intersection(route) - set(nodes) else "stands"
        ways |= dict.fromkeys(pairwise(nodes), state)
        last = route[-1]
        (workers if model.causes[last].kind == "worker" else pops).add(last)
    ways |= {(p, w): "tunnel" for p in pops for w in workers if p in boxes and w in boxes}
    return [
        Line(
            (boxes[a].x + BOX, boxes[a].y + TALL // 2),
            (boxes[b].x, boxes[b].y + TALL // 2),
            "lost" if "lost" in (boxes[a].state, boxes[b].state) else state,
        )
        for (a, b), state in sorted(ways.items())
    ]
