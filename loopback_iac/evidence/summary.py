"""The management summary: one page for those who answer for it, with what it does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopback_iac.evidence.log import changes_text, who_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SHOWN = 20
MEANING = {
    "pass": "looked at, and it holds",
    "fail": "looked at, and it does not hold",
    "open": "what decides could not be seen here",
    "excepted": "fails, and somebody took the risk up to a day",
    "manual": "left to a person",
    "error": "the rule itself broke",
    "not applicable": "there is nothing it is about",
}
NOT_SHOWN = (
    "Whether the entity meets a law: this produces evidence for points of laws, and people judge.",
    "That the mappings to points of laws are right: no lawyer has seen them.",
    "What servers really did: controls look at the state of the stack, not at machines.",
    "Who sat at the keyboard: names are git's and the signer's word, held together by the key.",
    "That nothing happened between two records. Only recorded updates are in the chain.",
    "A chain that its own signer wrote anew: only a head kept elsewhere shows that.",
)


def render_summary(
    head: Mapping[str, Any],
    results: Mapping[str, Any],
    suppliers: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
) -> str:
    """Markdown; made from the documents beside it and from nothing else."""
    lines = [
        f"# Evidence of {head['project']}, stack {head['stack']}",
        "",
        f"Record {head['number']} of {head['made']}, signed by {head['signer']}.",
        f"State: {head['state']['resources']} resources, SHA-256 `{head['state']['sha256']}`.",
        "",
        *_pending(head),
        *_controls(results),
        *_to_mend(results),
        *_people(results),
        *_redundancy(head),
        *_drills(head),
        *_suppliers(suppliers),
        *_changes(rows),
        "## What this does not show",
        "",
        *(f"- {line}" for line in NOT_SHOWN),
    ]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """One line of a table, whatever stands in it."""
    plain = " ".join(str(text).split())
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _pending(head: Mapping[str, Any]) -> Iterator[str]:
    if count := head["pending_operations"]:
        yield f"{count} operations were interrupted; what came of them is not known."
        yield ""


def _controls(results: Mapping[str, Any]) -> Iterator[str]:
    yield "## Controls"
    yield ""
    yield f"{len(results['controls'])} controls of pack {results['pack']['version']}:"
    yield ""
    yield "| outcome | controls | meaning |"
    yield "|---|---|---|"
    for outcome, meaning in MEANING.items():
        if count := results["counts"].get(outcome):
            yield f"| {outcome} | {count} | {meaning} |"
    yield ""


def _to_mend(results: Mapping[str, Any]) -> Iterator[str]:
    actions = results["plan_of_action"]
    yield "## To be mended"
    yield ""
    if not actions:
        yield "Nothing fails."
    else:
        yield "| until | control | severity | what | owner |"
        yield "|---|---|---|---|---|"
    for each in actions[:SHOWN]:
        owner = cell(each["owner"]) or "nobody yet"
        row = (each["due"], each["control"], each["severity"], cell(each["what"]), owner)
        yield f"| {' | '.join(row)} |"
    if len(actions) > SHOWN:
        yield ""
        yield f"and {len(actions) - SHOWN} more in exceptions.json."
    yield ""


def _people(results: Mapping[str, Any]) -> Iterator[str]:
    yield "## Left to people"
    yield ""
    yield "| control | what | who | looks again by |"
    yield "|---|---|---|---|"
    for control in results["controls"]:
        found = control["findings"] if control["outcome"] == "manual" else ()
        for owner, due in dict.fromkeys((f.get("owner", ""), f.get("due", "")) for f in found):
            late = " (past)" if due and due < results["today"] else ""
            who = cell(owner) or "nobody named"
            row = (control["id"], cell(control["title"]), who, f"{due}{late}" or "never looked")
            yield f"| {' | '.join(row)} |"
    yield ""


def _redundancy(head: Mapping[str, Any]) -> Iterator[str]:
    yield "## Redundancy"
    yield ""
    found = head["redundancy"]
    if found is None:
        yield "No fleet, so nothing was proved."
    else:
        for name, survives in found["survives"].items():
            yield f"- {cell(name)}: survives {_losses(survives)}, in the declared model"
        yield ""
        met = "what was demanded is met" if found["met"] else "LESS than was demanded"
        yield f"Altogether: {met}; certificate.json has the model, its assumptions and its limits."
    yield ""


def _losses(survives: int) -> str:
    if survives < 0:
        return "nothing: it is down as declared"
    return {0: "no loss", 1: "any one loss"}.get(survives, f"any {survives} losses at once")


def _drills(head: Mapping[str, Any]) -> Iterator[str]:
    yield "## Drills"
    yield ""
    if not head["drills"]:
        yield "No record of a drill was given."
    for each in head["drills"]:
        held = "held" if each["held"] else "DID NOT HOLD"
        yield f"- {cell(each['drill'])}, {cell(each['at'])}: {held}"
    yield ""


def _suppliers(suppliers: Mapping[str, Any]) -> Iterator[str]:
    used = [each for each in suppliers["suppliers"] if each["used"]]
    missing = [each["supplier"] for each in used if each["entry"] is None]
    yield "## Suppliers"
    yield ""
    yield f"In use: {cell(', '.join(each['supplier'] for each in used)) or 'nobody known'}."
    if missing:
        yield f"Not in the register: {cell(', '.join(missing))}."
    yield ""


def _changes(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## Changes"
    yield ""
    yield f"{len(rows)} updates are recorded; the last ones:"
    yield ""
    yield "| when | who | what | why |"
    yield "|---|---|---|---|"
    for row in rows[-SHOWN:]:
        why = "; ".join(filter(None, (row["reason"], row["change"], row["subject"])))
        cells = (row["made"], who_text(row), changes_text(row, 3), why)
        yield f"| {' | '.join(cell(each) for each in cells)} |"
    yield ""
