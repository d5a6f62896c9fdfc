"""A manifest: what was so after one update, who changed it, and which manifest came before."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from loopback_iac.evidence.canonical import canonical, readable, sha256
from loopback_iac.evidence.network import render_network
from loopback_iac.evidence.verify import FORMAT, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from loopback_iac.evidence.snapshot import Snapshot

RESULTS, STACK, SUPPLIERS = "results.json", "stack.json", "suppliers.json"
NETWORK = "network.md"
CERTIFICATE, DRILLS = "certificate.json", "drills/"


@dataclass(frozen=True)
class Person:
    """Somebody as git has him, and when."""

    name: str
    email: str
    at: str


@dataclass(frozen=True)
class Commit:
    """What the deployment was made from, as git tells it."""

    head: str
    tree: str
    subject: str
    author: Person
    committer: Person
    dirty: int
    """Paths that differ from it."""


@dataclass(frozen=True)
class Told:
    """What no program knows, as whoever records says it."""

    reason: str = ""
    change: str = ""
    approvers: Sequence[str] = ()


@dataclass(frozen=True)
class Update:
    """Everything a manifest is made of, before it has a place in a chain."""

    snapshot: Snapshot
    made: datetime
    signer: str
    signers: bytes
    commit: Commit | None
    results: Mapping[str, Any]
    stack: Mapping[str, Any]
    suppliers: Mapping[str, Any]
    told: Told = field(default_factory=Told)
    certificate: Mapping[str, Any] | None = None
    drills: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Link:
    """A manifest that stands in a chain, and the documents it was made with."""

    number: int
    digest: str
    manifest: Mapping[str, Any]
    documents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """What its folder is called; two that claim one place stand side by side."""
        return f"{self.number:06}-{self.digest[:12]}"


def make_link(update: Update, before: Link | None, resources_before: Mapping[str, str]) -> Link:
    """
    The next manifest of a chain, not signed yet.

    In: resources_before, digests by URN as the manifest before was made with them.
    """
    documents = _documents(update)
    manifest = render_manifest(update, before, resources_before, documents)
    text = canonical(manifest)
    return Link(int(manifest["number"]), sha256(text), manifest, {**documents, MANIFEST: text})


def render_manifest(
    update: Update,
    before: Link | None,
    resources_before: Mapping[str, str],
    documents: Mapping[str, bytes],
) -> dict[str, Any]:
    """The manifest as plain JSON values; the same update gives the same bytes."""
    snapshot, told = update.snapshot, update.told
    return {
        "format": FORMAT,
        "project": snapshot.project,
        "stack": snapshot.stack,
        "number": 1 if before is None else before.number + 1,
        "previous": None if before is None else before.digest,
        "made": f"{update.made:%Y-%m-%dT%H:%M:%SZ}",
        "signer": update.signer,
        "signers_sha256": sha256(update.signers),
        "commit": None if update.commit is None else asdict(update.commit),
        "told": {"reason": told.reason, "change": told.change, "approvers": [*told.approvers]},
        "pack": update.results["pack"],
        "controls": update.results["counts"],
        "state": {"sha256": snapshot.digest, "resources": len(snapshot.own)},
        "changes": changes(resources_before, snapshot.digests),
        "pending_operations": len(snapshot.pending),
        "zones": update.stack["zones"],
        "redundancy": _redundancy(update.certificate),
        "drills": [
            {"drill": str(each.get("drill")), "at": str(each.get("at")), "held": each.get("held")}
            for each in update.drills
        ],
        "documents": {name: sha256(text) for name, text in sorted(documents.items())},
    }


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, list[str]]:
    """URNs that came, that are not what they were, and that went."""
    return {
        "created": sorted(now.keys() - before.keys()),
        "changed": sorted(urn for urn in now.keys() & before.keys() if now[urn] != before[urn]),
        "deleted": sorted(before.keys() - now.keys()),
    }


def resources_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """Digests by URN, of a document `stack.json`."""
    return {each["urn"]: each["sha256"] for each in stack["resources"]}


def _documents(update: Update) -> dict[str, bytes]:
    found: dict[str, Any] = {
        RESULTS: update.results,
        STACK: update.stack,
        SUPPLIERS: update.suppliers,
    }
    if update.certificate is not None:
        found[CERTIFICATE] = update.certificate
    for number, drill in enumerate(update.drills, 1):
        found[f"{DRILLS}{number:02}.json"] = drill
    texts = {name: readable(tree) for name, tree in found.items()}
    return {**texts, NETWORK: render_network(update.snapshot).encode()}


def _redundancy(certificate: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if certificate is None:
        return None
    systems = certificate["systems"]
    return {
        "model_sha256": certificate["model_sha256"],
        "survives": {name: told["survives"] for name, told in sorted(systems.items())},
        "met": all(told["met"] for told in systems.values()),
    }
