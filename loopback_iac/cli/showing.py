"""How runs of the engine look on a terminal."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any, Self

from rich.text import Text

from loopback_iac.engine.paths import render_path
from loopback_iac.engine.results import (
    SYMBOLS,
    Change,
    Diagnostic,
    Event,
    Op,
    Progress,
    PropertyChange,
    Result,
    Severity,
    Violation,
)
from loopback_iac.engine.values import iter_leaves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.status import Status

_STYLES = {
    Op.CREATE: "green",
    Op.UPDATE: "yellow",
    Op.REPLACE: "magenta",
    Op.DELETE: "red",
    Op.READ: "cyan",
    Op.SAME: "dim",
}
_LINE_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_DONE = {
    Op.CREATE: "created",
    Op.UPDATE: "updated",
    Op.REPLACE: "replaced",
    Op.DELETE: "deleted",
    Op.READ: "read",
    Op.SAME: "unchanged",
}
_SHORT = 160


class Screen:
    """Talks to a person on standard error while a run goes on."""

    def __init__(self, console: Console, *, details: bool, sames: bool = False) -> None:
        self._console, self._details, self._sames = console, details, sames
        self._status: Status | None = None
        self._running: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, event: Event) -> None:
        """Show one event of the engine."""
        if isinstance(event, Progress):
            self._show_progress(event)
        elif isinstance(event, Violation):
            style = "yellow" if event.level == "advisory" else "red"
            who = event.urn.rpartition("::")[2]
            self._say(f"policy {event.level}: {event.pack} {event.policy} {who}".rstrip(), style)
            self._say(_indent(event.message))
        elif event.severity is Severity.ERROR:
            self._say(f"error: {_about(event)}{event.message}", "bold red")
        elif event.severity is Severity.WARNING:
            self._say(f"warning: {_about(event)}{event.message}", "yellow")
        elif self._status is not None:
            self._status.update(Text(f"{_about(event)}{event.message}"[:_SHORT]))

    def _show_progress(self, event: Progress) -> None:
        change = event.change
        if event.phase == "start":
            self._running[change.urn] = change.name
        else:
            self._running.pop(change.urn, None)
        if event.phase == "done":
            self.show_change(change)
        elif event.phase == "failed":
            self._say(f"! {change.type} {change.name}: {change.op.value} failed", "red")
        if self._status is not None:
            self._status.update(Text("running: " + ", ".join(list(self._running.values())[:6])))

    def show_change(self, change: Change) -> None:
        """Show what happens, or happened, to one resource."""
        if change.undecided:
            listed = ", ".join(change.undecided)
            self._say(f"? {change.type} {change.name}: the passphrase decides: {listed}", "cyan")
        if change.op in (Op.SAME, Op.READ) and not self._sames:
            return
        note = f" ({change.note})" if change.note else ""
        symbol = SYMBOLS[change.op]
        self._say(f"{symbol:>2} {change.type} {change.name}{note}", _STYLES[change.op])
        if self._details and change.op is not Op.DELETE:
            self.show_properties(change.properties, short=change.op is Op.CREATE)

    def show_properties(
        self, properties: tuple[PropertyChange, ...], *, short: bool = False
    ) -> None:
        """Show the properties of a change; `short`: new long texts as their number of lines."""
        for part in properties:
            for line in render_property(part, short=short):
                self._say("     " + line, _LINE_STYLES.get(line[:1], ""))

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)


def _about(event: Diagnostic) -> str:
    name = event.urn.rpartition("::")[2]
    return f"{name}: " if name else ""


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def show_result(console: Console, result: Result) -> None:
    """Say what a run came to."""
    planned = result.verb == "plan"
    _show_outputs(console, result, planned=planned)
    if result.deferred_config:
        console.print("unknown in this plan, for want of their secret text:", style="cyan")
        for key in result.deferred_config:
            console.print(Text(f"  {key}"))
    for each in result.diagnostics:
        # said where it happened as well, which may be screens ago
        if each.severity is Severity.ERROR and not result.ok:
            text = f"error: {_about(each)}{each.message}"
            console.print(Text(text, style="bold red"), soft_wrap=True)
    _show_undone(console, result)
    words = [
        f"{count} {'to ' + op if planned and op != 'same' else _DONE[Op(op)]}"
        for op, count in result.counts.items()
    ]
    skipped = sum(bool(item.because) for item in result.undone)
    words += [f"{len(result.undone) - skipped} failed"] if result.undone else []
    words += [f"{skipped} skipped"] if skipped else []
    end = "ok" if result.ok else "FAILED"
    console.print(
        Text(f"{result.verb} {end}: {', '.join(words) or 'nothing'} in {result.duration_s:.1f} s"),
        style="bold" if result.ok else "bold red",
    )


def _show_undone(console: Console, result: Result) -> None:
    """What was skipped, by what failed; failures themselves have just been said as errors."""
    for cause in dict.fromkeys(item.because for item in result.undone if item.because):
        names = [item.name for item in result.undone if item.because == cause]
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        text = f"skipped, as they rest on {cause.rpartition('::')[2]}: {', '.join(names[:6])}{more}"
        console.print(Text(text, style="yellow"), soft_wrap=True)


def _show_outputs(console: Console, result: Result, *, planned: bool) -> None:
    """What components will hand out, or handed out; news of what was just made only in a plan."""
    screen = Screen(console, details=True)
    for change in result.changes:
        made = change.op is Op.CREATE
        # A component often registers its inputs as outputs too: once is enough.
        outputs = tuple(part for part in change.outputs if part not in change.properties)
        if outputs and (planned or not made):
            title = f" {'+' if made else '~'} {change.type} {change.name}, outputs"
            console.print(Text(title, style="green" if made else "yellow"), soft_wrap=True)
            screen.show_properties(outputs, short=made)


def render_property(part: PropertyChange, *, short: bool = False) -> Iterator[str]:
    """
    One changed property as lines a person can read.

    In: short: a text that is only new is named with its size instead of shown.
    A text of several lines becomes a unified diff; a JSON map is compared key by key.
    """
    forced = " (replaces)" if part.replaces else ""
    for path, old, new in _spread(part.path, part.old, part.new):
        sign = "+" if old is None else "-" if new is None else "~"
        if _is_long(old) or _is_long(new):
            if short and old is None:
                yield f"+ {path}: {len(str(new).splitlines())} lines"
            else:
                yield f"{sign} {path}{forced}"
                yield from _unified(path, old, new)
        elif old is None or new is None:
            yield f"{sign} {path}: {_brief(new if old is None else old)}{forced}"
        else:
            yield f"~ {path}: {_brief(old)} => {_brief(new)}{forced}"


def _spread(path: str, old: object, new: object) -> Iterator[tuple[str, Any, Any]]:
    """A value with parts, or a text that is a JSON map, as its leaves side by side."""
    olds, news = _open_map(old), _open_map(new)
    if olds is None and news is None:
        yield path, old, new
        return
    left, right = (dict(iter_leaves(side)) if side is not None else {} for side in (olds, news))
    for key in sorted({**left, **right}, key=render_path):
        if left.get(key) != right.get(key) or (key in left) != (key in right):
            inner = render_path(key)
            joint = "" if inner.startswith("[") or not inner else "."
            yield f"{path}{joint}{inner}", left.get(key), right.get(key)


def _open_map(value: object) -> Any:  # noqa: ANN401  # a JSON value
    if isinstance(value, (dict, list)) and value:
        return value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            loaded = json.loads(value)
        except ValueError:
            return None
        return loaded if isinstance(loaded, dict) and loaded else None
    return None


def _is_long(value: object) -> bool:
    return isinstance(value, str) and "\n" in value.rstrip("\n")


def _unified(path: str, old: object, new: object) -> Iterator[str]:
    left = str(old if old is not None else "").splitlines()
    right = str(new if new is not None else "").splitlines()
    lines = difflib.unified_diff(left, right, f"{path} (now)", f"{path} (then)", lineterm="", n=2)
    yield from list(lines)[2:]


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = text.rstrip("\n")
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}... ({len(text)} characters)"
