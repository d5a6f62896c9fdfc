"""Drafts of incident reports from recorded facts: the clock, the criteria, the timeline. Pure."""

from loopback_iac.incident.chain import (
    FOLDER,
    PAGE,
    TREE,
    Version,
    digest_of,
    folder_name,
    newest,
    verify_chain,
)
from loopback_iac.incident.clock import Deadline, deadlines_of, due_stage
from loopback_iac.incident.draft import Before, make_draft
from loopback_iac.incident.evidence import Evidence, parse_evidence
from loopback_iac.incident.facts import EvidenceFile, Facts, parse_facts
from loopback_iac.incident.law import Stage, load_reporting, load_significance
from loopback_iac.incident.render import Page, render_json, render_page, shipped_template
from loopback_iac.incident.significance import Verdict, judge_significance

__all__ = [
    "FOLDER",
    "PAGE",
    "TREE",
    "Before",
    "Deadline",
    "Evidence",
    "EvidenceFile",
    "Facts",
    "Page",
    "Stage",
    "Verdict",
    "Version",
    "deadlines_of",
    "digest_of",
    "due_stage",
    "folder_name",
    "judge_significance",
    "load_reporting",
    "load_significance",
    "make_draft",
    "newest",
    "parse_evidence",
    "parse_facts",
    "render_json",
    "render_page",
    "shipped_template",
    "verify_chain",
]
