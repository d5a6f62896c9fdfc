"""One run of a drill of names as a picture: what became of the questions, and what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from loopback_iac.lab.names.story import Sample, Story

COLOURS = {
    "secure": ("answered, with its flag", "#9db4d0"),
    "insecure": ("answered without", "#8b4fa8"),
    "bogus": ("bogus", "#c8372d"),
    "failed": ("another error", "#e08a1e"),
    "silent": ("no answer", "#5b6675"),
}


def draw_story(story: Story, title: str, path: Path) -> None:
    """Write a PNG: a row for each who asked, questions a second over the time of the run."""
    whos = list(dict.fromkeys(sample.who for sample in story.samples))
    figure = Figure(figsize=(13, 1.6 + 2.6 * len(whos)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(whos), 1, squeeze=False, sharex=True)
    for (axes,), who in zip(grid, whos, strict=True):
        _draw_samples(axes, [sample for sample in story.samples if sample.who == who])
        axes.set_ylabel(f"{who}:\nquestions a second", fontsize=8)
        for at_s, words in ((story.fault_s, "fault"), (story.repair_s, "repair")):
            if at_s is not None:
                axes.axvline(at_s, color="#1c2430", linewidth=1.2)
                axes.annotate(words, (at_s, 0.92), xycoords=("data", "axes fraction"), fontsize=8,
                              xytext=(3, 0), textcoords="offset points")  # fmt: skip
        if story.found is not None and story.fault_s is not None:
            at_s = story.fault_s + story.found.after_s
            axes.axvline(at_s, color="#2f8f4e", linewidth=1.2, linestyle="--")
            axes.annotate(f"found {story.found.after_s:.1f} s", (at_s, 0.8), fontsize=8,
                          xycoords=("data", "axes fraction"), color="#2f8f4e",
                          xytext=(3, 0), textcoords="offset points")  # fmt: skip
    grid[-1][0].set_xlabel("s since the begin")
    marks, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(marks, labels, loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    figure.suptitle(title, fontsize=10, wrap=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def _draw_samples(axes: Axes, samples: list[Sample]) -> None:
    """A bar as wide as the time between two looks, whatever that was."""
    shown = [s for s in samples if s.ended_s > s.begun_s]
    floor = [0.0] * len(shown)
    for kind, (words, colour) in COLOURS.items():
        heights = [s.counts[kind] / (s.ended_s - s.begun_s) for s in shown]
        axes.bar(
            [s.begun_s for s in shown],
            heights,
            [s.ended_s - s.begun_s for s in shown],
            floor,
            align="edge",
            color=colour,
            label=words,
        )
        floor = [low + high for low, high in zip(floor, heights, strict=True)]
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
