"""Who changed what when, from the manifests of a chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopback_iac.evidence.snapshot import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERBS = ("created", "changed", "deleted")
OWN = "loopback-iac:index:"


def log_rows(manifests: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per manifest, first to last: when, who, what from, why, which resources."""
    return [_row(manifest) for manifest in manifests]


def filter_rows(rows: Iterable[Mapping[str, Any]], text: str) -> list[dict[str, Any]]:
    """Rows about resources whose URN has `text` in it, with those resources only."""
    found = []
    for row in rows:
        kept = {verb: [urn for urn in row["changes"][verb] if text in urn] for verb in VERBS}
        if any(kept.values()):
            found.append({**row, "changes": kept})
    return found


def changes_text(row: Mapping[str, Any], most: int = 6) -> str:
    """In words: how many, and the first of them by kind and name, components of ours before all."""
    parts = []
    for verb in VERBS:
        urns = sorted(row["changes"][verb], key=lambda urn: (not is_own(urn), urn))
        if urns:
            named = ", ".join(short_name(urn) for urn in urns[:most])
            more = f" and {len(urns) - most} more" if len(urns) > most else ""
            parts.append(f"{len(urns)} {verb}: {named}{more}")
    return "; ".join(parts) or "nothing"


def who_text(row: Mapping[str, Any]) -> str:
    """Who wrote it, who committed it where that is somebody else, and who approved it."""
    told = [row["author"] or "no commit"]
    if row["committer"] and row["committer"] != row["author"]:
        told.append(f"committed by {row['committer']}")
    if row["approvers"]:
        told.append(f"approved by {', '.join(row['approvers'])}")
    return "; ".join(told)


def is_own(urn: str) -> bool:
    """Whether it is a component of ours, not one of its parts."""
    return urn.split("::")[2].rpartition("$")[2].startswith(OWN)


def short_name(urn: str) -> str:
    """Kind and name of a resource."""
    kind = urn.split("::")[2].rpartition("$")[2].rpartition(":")[2]
    return f"{kind} {name_of(urn)}"


def _row(manifest: Mapping[str, Any]) -> dict[str, Any]:
    commit, told = manifest["commit"] or {}, manifest["told"]
    return {
        "number": manifest["number"],
        "made": manifest["made"],
        "project": manifest["project"],
        "stack": manifest["stack"],
        "author": _person(commit.get("author")),
        "committer": _person(commit.get("committer")),
        "approvers": told["approvers"],
        "signer": manifest["signer"],
        "commit": commit.get("head", ""),
        "subject": commit.get("subject", ""),
        "dirty_paths": commit.get("dirty", 0),
        "change": told["change"],
        "reason": told["reason"],
        "changes": manifest["changes"],
        "controls": manifest["controls"],
        "state_sha256": manifest["state"]["sha256"],
        "manifest_sha256": manifest["sha256"],
    }


def _person(person: Mapping[str, str] | None) -> str:
    return f"{person['name']} <{person['email']}>" if person else ""
