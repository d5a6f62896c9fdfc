"""The marginal line as a picture: what a month costs over the number of PoPs, workers, TB."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from loopback_iac.cost.bill import Bill, bill_of
from loopback_iac.cost.margin import with_copies, without

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from loopback_iac.cost.inventory import Inventory
    from loopback_iac.cost.table import PriceTable

MORE = 6  # how many more of each are drawn
LINE, HERE, SOFT = "#2b62b5", "#e08a1e", "#5b6675"
LEAST_TB, STEPS_TB = 20, 20
Point = tuple[float, Bill]


def draw_cost(inventory: Inventory, table: PriceTable, tb: Decimal | None, path: Path) -> None:
    """Write SVG or PNG, as the name of `path` ends; the same input gives the same bytes."""
    lines = cost_lines(inventory, table, tb)
    figure = Figure(figsize=(4.4 * len(lines), 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    row = figure.subplots(1, len(lines), squeeze=False)[0]
    now = bill_of(inventory, table, tb)
    for axes, (title, here, points) in zip(row, lines, strict=True):
        _draw(axes, title, here, points)
    least = f", lower bound: {len(now.unknown)} prices unknown" if now.unknown else ""
    row[0].set_ylabel(f"{now.currency} a month, VAT {now.vat}")
    figure.suptitle(f"{now.total} {now.currency} a month now{least}", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    stamp = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
    with mpl.rc_context({"svg.hashsalt": "loopback", "svg.fonttype": "none"}):
        figure.savefig(path, metadata=stamp)


def cost_lines(
    inventory: Inventory, table: PriceTable, tb: Decimal | None
) -> list[tuple[str, float, list[Point]]]:
    """Title, where the fleet stands, and the points of each line; every point is a whole bill."""
    found: list[tuple[str, float, list[Point]]] = []
    for what, names in (("PoPs", list(inventory.pops)), ("workers", list(inventory.workers))):
        if names:
            title = f"{what}, more of them like {names[0]}"
            found.append((title, len(names), _by_count(inventory, table, tb, names)))
    if inventory.pops:
        most = max(LEAST_TB, int(2 * (tb or 0)))
        steps = [Decimal(most) * n / STEPS_TB for n in range(STEPS_TB + 1)]
        points = [(float(step), bill_of(inventory, table, step)) for step in steps]
        found.append(("TB sent to clients a month", float(tb or 0), points))
    return found


def _by_count(
    inventory: Inventory, table: PriceTable, tb: Decimal | None, names: Sequence[str]
) -> list[Point]:
    fewer = [without(inventory, set(names[n:])) for n in range(1, len(names))]
    more = [with_copies(inventory, names[0], n) for n in range(MORE + 1)]
    return [(n, bill_of(each, table, tb)) for n, each in enumerate([*fewer, *more], start=1)]


def _draw(axes: Axes, title: str, here: float, points: Sequence[Point]) -> None:
    xs, ys = [x for x, _ in points], [float(bill.total) for _, bill in points]
    axes.plot(xs, ys, color=LINE, marker="o", markersize=3, linewidth=1.4)
    now = [(x, y) for x, y in zip(xs, ys, strict=True) if x == here]
    axes.plot([x for x, _ in now], [y for _, y in now], "o", color=HERE, markersize=8)
    axes.set_title(title, fontsize=9, color=SOFT)
    axes.set_ylim(bottom=0, top=max(ys) * 1.1 or 1)
    axes.grid(visible=True, color="#e4e8ee", linewidth=0.6)
