"""A bundle: documents for auditors and their tools, made from a chain and from nothing else."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from loopback_iac.evidence.canonical import canonical, readable, sha256
from loopback_iac.evidence.cyclonedx import render_cyclonedx
from loopback_iac.evidence.log import log_rows
from loopback_iac.evidence.manifest import CERTIFICATE, RESULTS, STACK, SUPPLIERS
from loopback_iac.evidence.oscal import render_assessment, render_component, render_plan
from loopback_iac.evidence.sarif import render_sarif
from loopback_iac.evidence.summary import render_summary
from loopback_iac.evidence.verify import FORMAT, INDEX, SIGNERS
from loopback_iac.proof.certificate import verifier_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERIFIER, PROOF_VERIFIER = "verify.py", "verify-certificate.py"
COLUMNS = ("supplier", "used", "legal_name", "country", "contact", "services", "criticality",
           "contract", "last_review")  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would run instead of showing it."""


@dataclass(frozen=True)
class Told:
    """What a bundle is made from: a chain that holds, and the documents of its last manifest."""

    manifests: Sequence[Mapping[str, Any]]
    texts: Mapping[str, bytes]

    @property
    def head(self) -> Mapping[str, Any]:
        """The last manifest."""
        return self.manifests[-1]

    def read(self, name: str) -> dict[str, Any]:
        """One document of the last manifest."""
        found: dict[str, Any] = json.loads(self.texts[name])
        return found


def render_bundle(told: Told, chain: Mapping[str, bytes], signers: bytes) -> dict[str, bytes]:
    """
    Every file of a bundle but its index; the same chain gives the same bytes.

    In: chain, manifests and their signatures by path; signers, whom to believe.
    """
    results, rows = told.read(RESULTS), log_rows(told.manifests)
    suppliers = told.read(SUPPLIERS)
    head, stack = told.head, told.read(STACK)
    found = {
        **chain,
        **told.texts,
        SIGNERS: signers,
        VERIFIER: verifier_bytes(),
        "exceptions.json": readable(_exceptions(results)),
        "changes.jsonl": b"".join(canonical(row) for row in rows),
        "suppliers.csv": render_csv(suppliers),
        "management-summary.md": render_summary(head, results, suppliers, rows).encode(),
        "results.sarif": readable(render_sarif(head, results)),
        "inventory.cdx.json": readable(render_cyclonedx(head, stack, suppliers)),
        "oscal/component-definition.json": readable(render_component(head, results)),
        "oscal/assessment-results.json": readable(render_assessment(head, results)),
    }
    if (plan := render_plan(head, results)) is not None:
        found["oscal/plan-of-action.json"] = readable(plan)
    if CERTIFICATE in told.texts:
        found[PROOF_VERIFIER] = verifier_text().encode()
    return dict(sorted(found.items()))


def render_index(told: Told, files_made: Mapping[str, bytes], signer: str) -> dict[str, bytes]:
    """The index, which is what is signed."""
    index = {
        "format": FORMAT,
        "project": told.head["project"],
        "stack": told.head["stack"],
        "head": told.head["sha256"],
        "number": told.head["number"],
        "signer": signer,
        "files": {name: sha256(text) for name, text in files_made.items()},
    }
    return {INDEX: canonical(index)}


def verifier_bytes() -> bytes:
    """Text of verify.py, which needs Python and ssh-keygen."""
    return files("loopback_iac.evidence").joinpath(VERIFIER).read_bytes()


def render_csv(suppliers: Mapping[str, Any]) -> bytes:
    """The register for spreadsheets; nothing in it is run by one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in suppliers["suppliers"]:
        entry = each["entry"] or {}
        used = "yes" if each["used"] else "no"
        cells = [each["supplier"], used, *(_cell(entry.get(word)) for word in COLUMNS[2:])]
        writer.writerow([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells])
    return text.getvalue().encode()


def _cell(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(str(each) for each in value)
    return "" if value is None else str(value)


def _exceptions(results: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": 1,
        "exceptions": results["exceptions"],
        "unused": results["exceptions_unused"],
        "overlapping": results["exceptions_overlapping"],
        "plan_of_action": results["plan_of_action"],
    }
