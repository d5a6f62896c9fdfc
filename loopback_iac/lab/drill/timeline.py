"""One run as a picture: what became of the connections, 20 ms by 20 ms, around fault and repair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from loopback_iac.lab.drill.measure import Attempt
    from loopback_iac.lab.drill.runner import Run

BIN_US = 20_000
COLOURS = {
    "answered": "#9db4d0",
    "slow (> 25 ms)": "#f0cf8a",
    "saved by a retransmission": "#e08a1e",
    "failed": "#c8372d",
}
POP_COLOURS = ("#2b62b5", "#2f8f4e", "#8b4fa8", "#b5762b")
LEAD_US, LEAST_TAIL_US = 400_000, 900_000


def draw_timeline(run: Run, title: str, path: Path) -> None:
    """Write a PNG: a row per address family, a column each around the fault and the return."""
    fault = run.evidence.fault
    start = run.records.clock.monotonic_ns
    marks = {
        "at": (fault.begun.monotonic_ns - start) // 1000,
        "undone": (fault.restored_ns - start) // 1000,
    }
    families = sorted(run.evidence.figures.families)
    figure = Figure(figsize=(13, 3.6 * len(families)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(families), 2, squeeze=False, width_ratios=(3, 2))
    for row, family in zip(grid, families, strict=True):
        attempts = [a for a in run.records.attempts if a.family == family]
        pops = sorted({a.pop for a in attempts if a.pop})
        for axes, (window, zero) in zip(row, (
            (_fault_window(run, family, marks), marks["at"]),
            (_return_window(run, family, marks), marks["undone"]),
        ), strict=True):  # fmt: skip
            _draw_window(axes, attempts, window, zero)
            _draw_pops(axes, [a for a in attempts if _within(a, window)], pops, zero)
        _mark_fault(row[0], run, family)
        _mark_return(row[1], run, family)
        row[0].set_ylabel(f"IPv{family}: connections due per 20 ms")
    grid[-1][0].set_xlabel("ms since the fault was begun")
    grid[-1][1].set_xlabel("ms since the repair was begun")
    figure.legend(*_legend(grid), loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    figure.suptitle(title, fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def _fault_window(run: Run, family: int, marks: dict[str, int]) -> tuple[int, int]:
    figures = run.evidence.figures.families[family]
    last_ms = max(figures.recovery_ms or 0, figures.last_hit_ms or 0, figures.proved_ms or 0)
    tail = max(LEAST_TAIL_US, int(last_ms * 1000) + 300_000)
    return marks["at"] - LEAD_US, min(marks["at"] + tail, marks["undone"])


def _return_window(run: Run, family: int, marks: dict[str, int]) -> tuple[int, int]:
    """Around the moment the route came back, which may be long after the repair began."""
    moment = marks["undone"] + int((run.evidence.route_back_ms[family] or 0) * 1000)
    return moment - LEAD_US, moment + LEAST_TAIL_US


def _draw_window(
    axes: Axes, attempts: Sequence[Attempt], window: tuple[int, int], zero: int
) -> None:
    """Stacked bars of what became of the connections."""
    first, last = window
    # no bin straddles the moment itself
    bins = range(zero - -(-(zero - first) // BIN_US) * BIN_US, last, BIN_US)
    shown = [a for a in attempts if _within(a, window)]
    words = {name: [0] * len(bins) for name in COLOURS}
    for attempt in shown:
        words[_fate(attempt)][(attempt.due_us - bins[0]) // BIN_US] += 1
    edges = [(b - zero) / 1000 for b in bins]
    floor = [0] * len(bins)
    for name, counts in words.items():
        axes.bar(edges, counts, BIN_US / 1000, floor, align="edge", color=COLOURS[name], label=name)
        floor = [f + c for f, c in zip(floor, counts, strict=True)]
    axes.set_xlim((first - zero) / 1000, (last - zero) / 1000)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _fate(attempt: Attempt) -> str:
    if attempt.failed:
        return "failed"
    if attempt.hit:
        return "saved by a retransmission"
    return "slow (> 25 ms)" if attempt.slow else "answered"


def _within(attempt: Attempt, window: tuple[int, int]) -> bool:
    return window[0] <= attempt.due_us < window[1]


def _draw_pops(axes: Axes, shown: Sequence[Attempt], pops: Sequence[str], zero: int) -> None:
    """A row for each PoP below the bars, with a dot when it is known to have answered."""
    top = max(2.0, axes.get_ylim()[1])
    step = top * 0.11
    ticks = {t: f"{t:g}" for t in axes.get_yticks() if 0 <= t <= top and t == int(t)}
    for n, pop in enumerate(pops):
        dots = [(a.due_us - zero) / 1000 for a in shown if a.pop == pop and not a.failed]
        colour, height = POP_COLOURS[n % len(POP_COLOURS)], -step * (n + 1)
        axes.plot(dots, [height] * len(dots), "|", markersize=7, color=colour)
        ticks[height] = pop
    axes.set_ylim(-step * (len(pops) + 0.8), top * 1.3)
    axes.set_yticks(list(ticks), list(ticks.values()))


def _mark_fault(axes: Axes, run: Run, family: int) -> None:
    figures = run.evidence.figures.families[family]
    _line(axes, 0, "fault", "#1c2430")
    left = run.evidence.route_left_ms[family]
    if left is not None:
        _line(axes, left, f"route moved {left:.0f} ms", "#5b6675", 0.84)
    if figures.recovery_ms is not None:
        _line(axes, figures.recovery_ms, f"recovered {figures.recovery_ms:.0f} ms", "#2f8f4e", 0.74)


def _mark_return(axes: Axes, run: Run, family: int) -> None:
    if axes.get_xlim()[0] < 0:
        _line(axes, 0, "repair", "#1c2430")
    back = run.evidence.route_back_ms[family]
    if back is not None:
        _line(axes, back, f"route back {back:.0f} ms", "#5b6675", 0.84)


def _line(axes: Axes, at_ms: float, words: str, colour: str, height: float = 0.94) -> None:
    low, high = axes.get_xlim()
    if not low <= at_ms <= high:
        return  # words beside the picture would leave no room for it
    axes.axvline(at_ms, color=colour, linewidth=1.2)
    axes.annotate(words, (at_ms, height), xycoords=("data", "axes fraction"), fontsize=8,
                  xytext=(3, 0), textcoords="offset points", color=colour)  # fmt: skip


def _legend(grid: Any) -> tuple[list[Any], list[str]]:  # noqa: ANN401 - matplotlib is untyped here
    marks, labels = grid[0][0].get_legend_handles_labels()
    ticks = Line2D([], [], linestyle="", marker="|", color="#1c2430")
    return [*marks, ticks], [*labels, "a sampled answer came through this PoP"]
