"""Versions of one incident's drafts, each naming the SHA-256 of the one before it."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loopback_iac.incident.draft import Before
from loopback_iac.model.problem import Problem

FOLDER = re.compile(r"([0-9]{3,})-(early-warning|notification|final)")
TREE, PAGE = "draft.json", "draft.md"


@dataclass(frozen=True)
class Version:
    """One version as it lies there; None: the file is missing."""

    folder: str
    tree: bytes | None
    page: bytes | None


def digest_of(content: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(content).hexdigest()


def folder_name(version: int, stage: str) -> str:
    """Where a version lies below its incident's folder."""
    return f"{version:03}-{stage}"


def newest(versions: Sequence[Version]) -> Before | None:
    """What the next version has to name; for a chain that holds."""
    if not versions:
        return None
    last = versions[-1]
    return Before(len(versions), last.folder, digest_of(last.tree or b""))


def verify_chain(
    incident: str, versions: Sequence[Version], expect_head: str | None = None
) -> list[Problem]:
    """Whether every version is there, unaltered and in order.

    In: versions in the order of their folders' names; `expect_head`: the newest one's SHA-256 as
    it was kept elsewhere. Without it an altered newest version is not found.
    """
    problems: list[Problem] = []
    previous: Version | None = None
    for number, version in enumerate(versions, 1):
        problems += _check_version(incident, number, version, previous)
        previous = version
    head = digest_of(previous.tree or b"") if previous else None
    if expect_head is not None and head != expect_head.lower():
        path = previous.folder if previous else incident
        got = f"SHA-256 {head}" if head else "nothing was drafted"
        problems.append(_problem(path, got, expect_head, "chain-head"))
    return problems


def _check_version(
    incident: str, number: int, version: Version, previous: Version | None
) -> list[Problem]:
    path = version.folder
    named = FOLDER.fullmatch(path)
    if named is None or int(named[1]) != number:
        return [_problem(path, "another number", f"version {number}", "chain-gap")]
    if version.tree is None or version.page is None:
        return [_problem(path, "incomplete", f"{TREE} and {PAGE}", "chain-incomplete")]
    tree = _tree(version.tree)
    if tree is None:
        return [_problem(path, f"{TREE} is no draft", "what was written", "chain-altered")]
    before = tree.get("previous")
    kept = before.get("sha256") if isinstance(before, dict) else None
    needed = digest_of(previous.tree or b"") if previous else None
    pairs = (
        ("incident", tree.get("incident"), incident, "chain-incident"),
        ("version", tree.get("version"), number, "chain-gap"),
        ("stage", tree.get("stage"), named[2], "chain-altered"),
        ("previous", kept, needed, "chain-altered"),
        (f"SHA-256 of {PAGE}", digest_of(version.page), tree.get("page_sha256"), "chain-altered"),
    )
    return [
        _problem(path, f"{what} {got}", str(need), rule)
        for what, got, need, rule in pairs
        if got != need
    ]


def _tree(content: bytes) -> dict[str, Any] | None:
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


def _problem(path: str, got: str, need: str, rule: str) -> Problem:
    fix = "bring back what was written there; a version is never changed, the next one corrects it"
    return Problem(path, got, need, fix, rule)
