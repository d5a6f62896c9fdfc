"""docs/assurance.md, made from docs/assurance.yaml and from what it names."""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from loopback_iac.controls import load_controls, load_laws, mappings_of
from loopback_iac.lab.drill import drills
from loopback_iac.lab.names import drills as of_names

ROOT = Path(__file__).parents[2]
DRILLS = {**drills.DRILLS, **of_names.DRILLS}
PROOFS = ROOT / "tests/golden/proofs"
HEAD = """\
# Assurance: claims, arguments, evidence

What this library claims of a fleet that it deploys, why anybody should believe it, and what would
make it wrong. Each claim has an argument, and evidence that you can run or read: controls that look
at a plan, proofs, drills on real daemons, tests. The page is made from
[assurance.yaml](assurance.yaml), the controls, the laws' data, the proofs and the drills; a test
holds that it is what they say, and that all evidence named here is there.

It produces evidence for points of laws, as far as each claim says; whether an entity meets them is
judged by people, and no lawyer has seen it. It is about what is declared and what was run in the
lab; your own fleet's evidence is what `loopback evidence` writes after each update
([evidence.md](evidence.md)). [limits.md](limits.md) lists what was never tried.
"""
READING = """\
**How to read it.** The table is the whole case. Whoever decides reads it, and at each claim *for
management* and *not shown*; whoever builds follows the links. A test runs as
`python -m pytest FILE -k NAME`, those under `tests/lab` as root on the machine of the lab; a drill
as `loopback drill NAME`. What is *left to people* has an owner and a day in every record of
evidence (`--people`), and counts as not shown until somebody looked.
"""


@cache
def load_case() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docs/assurance.yaml").read_text())
    return found


@cache
def said_by(path: str) -> dict[str, str]:
    """Name of a test function -> what it says of itself."""
    tree = ast.parse((ROOT / path).read_text())
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {node.name: ast.get_docstring(node) or "" for node in found}


def render_assurance() -> str:
    case = load_case()
    parts = [HEAD, *_summary(case), READING]
    for claim in case["claims"]:
        parts += _claim(claim)
    parts += _points(case)
    return "\n".join(parts).rstrip() + "\n"


def _summary(case: dict[str, Any]) -> list[str]:
    rows = [
        "## The case",
        "",
        f"**Claim.** {case['top']['claim']}",
        "",
        f"**Argument.** {case['top']['argument']}",
        "",
        "| | claim | evidence | left to people |",
        "|---|---|---|---|",
    ]
    controls = load_controls()
    for claim in case["claims"]:
        manual = [c for c in claim.get("controls", ()) if controls[c].manual]
        counts = {
            "controls": len(claim.get("controls", ())) - len(manual),
            "proofs": len(claim.get("proofs", ())),
            "drills": len(claim.get("drills", ())),
            "tests": len(claim["tests"]),
        }
        told = ", ".join(_number(n, kind) for kind, n in counts.items() if n)
        ident = claim["id"]
        rows.append(f"| [{ident}](#{ident.lower()}) | {claim['claim']} | {told} | "
                    f"{', '.join(manual) or '-'} |")  # fmt: skip
    return [*rows, ""]


def _number(count: int, kind: str) -> str:
    return f"{count} {kind if count > 1 else kind.removesuffix('s')}"


def _claim(claim: dict[str, Any]) -> list[str]:
    lines = [f"## {claim['id']}", "", f"**Claim.** {claim['claim']}", ""]
    lines += [
        f"*For management:* {claim['management']}",
        "",
        f"**Argument.** {claim['argument']}",
        "",
    ]
    lines += ["| evidence | what it shows |", "|---|---|"]
    lines += [_control(each) for each in claim.get("controls", ())]
    lines += [row for each in claim.get("proofs", ()) for row in _proof(each)]
    lines += [f"| drill `{each}` | {DRILLS[each].what} |" for each in claim.get("drills", ())]
    lines += [_test(each) for each in claim["tests"]]
    lines += [
        f"| [{Path(each).name}]({Path(each).name}) | how it works, and what was measured |"
        for each in claim["documents"]
    ]
    lines += ["", *_serves(claim.get("controls", ()))]
    lines += [f"**Wrong if** {'; '.join(claim['wrong_if'])}.", ""]
    return [*lines, f"**Not shown:** {'; '.join(claim['not_shown'])}.", ""]


def _control(ident: str) -> str:
    control = load_controls()[ident]
    link = f"[{ident}](controls.md#{ident.lower()})"
    if control.manual:
        told = f"left to people: {control.manual.owner}, every {control.manual.every_days} days"
    else:
        told = "refuses" if control.mandatory else "tells"
        if not control.mandatory and control.severity in ("critical", "high"):
            told = "tells, and refuses under [controls-ci.json](controls-ci.json)"
    return f"| control {link} | {control.title}; {told} |"


def _proof(name: str) -> list[str]:
    tree = json.loads((PROOFS / name / "certificate.json").read_text())
    shown = defaultdict(list)
    for system, told in tree["systems"].items():
        said = "what is demanded" if told["met"] else "less than is demanded, and is refused"
        shown[f"survives {_losses(told['survives'])}: {said}"].append(system)
    link = f"[{name}](../tests/golden/proofs/{name}/printed.txt)"
    return [f"| proof {link} | {', '.join(found)}: {said} |" for said, found in shown.items()]


def _losses(count: int) -> str:
    return {0: "no loss", 1: "any one loss"}.get(count, f"any {count} losses")


def _test(ident: str) -> str:
    path, _, name = ident.partition("::")
    words = name.removeprefix("test_").replace("_", " ")
    doc = said_by(path)[name].partition("\n\n")[0]
    more = f": {' '.join(doc.split()).rstrip('.')}" if doc else ""
    return f"| test [{path.rpartition('/')[2]}](../{path}) `{name}` | {words}{more} |"


def _serves(controls: Any) -> list[str]:
    """Which points of which law the controls produce evidence for, strongest first."""
    found: dict[str, dict[str, str]] = {}
    for ident in controls:
        for law, point in mappings_of(ident):
            if law.id not in ("cir", "nis-2"):
                continue
            known = found.setdefault(law.law, {})
            if known.get(point.point) != "partial":
                known[point.point] = point.strength
    if not found:
        return []
    told = [
        f"{law}: " + ", ".join(f"{p} ({s})" for p, s in sorted(points.items(), key=_order))
        for law, points in found.items()
    ]
    return ["Produces evidence for " + "; ".join(told) + ".", ""]


def _order(point: tuple[str, str]) -> list[tuple[int, int, str]]:
    """2.1.2 before 13.2.1."""
    words = point[0].replace("(", ".(").split(".")
    return [(0, int(w), "") if w.isdigit() else (1, 0, w) for w in words]


def _points(case: dict[str, Any]) -> list[str]:
    """The other way round: from a point of the Annex to claims and controls."""
    law = load_laws()["cir"]
    claims = {c: claim["id"] for claim in case["claims"] for c in claim.get("controls", ())}
    serving: dict[str, list[str]] = defaultdict(list)
    for control, points in law.controls.items():
        for point in points:
            serving[point.point].append(control)
    lines = [
        "## From a point of the Annex to its evidence",
        "",
        f"{law.law}, {law.version}, read on {law.read_on}. For points that are not here,",
        "nothing in this library is evidence; no point is decided by configuration alone.",
        "",
        "| point | claims | controls |",
        "|---|---|---|",
    ]
    for point, controls in sorted(serving.items(), key=lambda p: _order((p[0], ""))):
        ids = sorted({claims[control] for control in controls})
        here = ", ".join(f"[{i}](#{i.lower()})" for i in ids)
        lines.append(f"| {point} | {here} | {', '.join(controls)} |")
    return lines
