"""A stack's state as evidence looks at it: what is there, under digests, secrets left encrypted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from loopback_iac.controls import Resource, Stack
from loopback_iac.controls.tree import MARK, SECRET
from loopback_iac.evidence.canonical import canonical, sha256
from loopback_iac.model import InputRejected, Problem
from loopback_iac.proof import Stack as Places
from loopback_iac.proof import read_stack

if TYPE_CHECKING:
    from datetime import date

Tree = dict[str, Any]
HIDDEN = "[secret]"
"""What stands for a secret wherever a value is looked at; controls read it as not known here."""
MOVING = ("created", "modified")
"""Fields of a row that say when, not what."""
PROVIDER = "pulumi:providers:"


@dataclass(frozen=True)
class Snapshot:
    """A deployment as it was exported."""

    project: str
    stack: str
    rows: tuple[Tree, ...]
    pending: tuple[Tree, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the rows and of pending operations, in their order, as exported."""
        return sha256(canonical({"pending_operations": self.pending, "resources": self.rows}))

    @property
    def own(self) -> list[Tree]:
        """Rows of what is this stack's and is not only waiting to be deleted."""
        return [row for row in self.rows if not row.get("external") and not row.get("delete")]

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 per resource by its URN; when it was touched does not count."""
        return {
            row["urn"]: sha256(canonical({k: v for k, v in row.items() if k not in MOVING}))
            for row in self.own
        }

    def controlled(self, today: date) -> Stack:
        """What controls look at: inputs, and what came out where that is known."""
        return Stack(tuple(_resource(row) for row in self.own), today)

    @cached_property
    def places(self) -> Places:
        """What a redundancy proof rests on, as `loopback prove --state` reads it."""
        return read_stack(
            {"type": row["type"], "name": name_of(row["urn"]), "inputs": hide(row.get("inputs"))}
            for row in self.own
        )


def name_of(urn: str) -> str:
    """The logical name: the last part of a URN."""
    return urn.split("::", 3)[3]


def parse_state(text: str, place: str, known: tuple[str, str] | None = None) -> Snapshot:
    """
    Read what `loopback state export` or `pulumi stack export` wrote.

    In: place, what the refusal calls it; known, project and stack of a state that may be empty,
        because it was not before.
    Raises: InputRejected when it is no deployment, of no stack, or shows secrets.
    """
    try:
        deployment = json.loads(text)["deployment"]
        rows = deployment.get("resources") or []
        pending = deployment.get("pending_operations") or []
        urns = [str(row["urn"]) for row in rows]
        for row in rows:
            str(row["type"]), {**(row.get("inputs") or {}), **(row.get("outputs") or {})}
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        got, fix = f"it is no deployment ({cause!r})", "write it with `pulumi stack export`"
        _refuse(place, got, "a deployment, version 3", fix, "state-format")
    if known and not rows:
        return Snapshot(*known, (), tuple(pending))
    owners = sorted({tuple(urn.removeprefix("urn:pulumi:").split("::")[:2]) for urn in urns})
    if len(owners) != 1 or any(urn.count("::") < 3 for urn in urns):
        got = f"it has resources of {len(owners)} stacks" if owners else "it has no resource"
        fix = "run `up` first, or name another state"
        _refuse(place, got, "resources of one stack", fix, "state-of-one-stack")
    if shown := [str(row.get("urn")) for row in (*rows, *pending) if _shows_secret(row)]:
        got = f"secrets of {len(shown)} resources are in clear, first {shown[0]}"
        fix = "export it without --show-secrets, and delete this one"
        _refuse(place, got, "a state with its secrets encrypted", fix, "state-secrets-shown")
    stack, project = owners[0]
    return Snapshot(project, stack, tuple(rows), tuple(pending))


def hide(tree: Any) -> Any:  # noqa: ANN401  # any JSON value
    """A tree without what its marks say is a secret."""
    if isinstance(tree, Mapping):
        if tree.get(MARK) == SECRET:
            return HIDDEN
        return {key: hide(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [hide(value) for value in tree]
    return tree


def _shows_secret(tree: Any) -> bool:  # noqa: ANN401  # as above
    if isinstance(tree, Mapping):
        if tree.get(MARK) == SECRET:
            return "ciphertext" not in tree
        return any(_shows_secret(value) for value in tree.values())
    return isinstance(tree, list) and any(_shows_secret(value) for value in tree)


def _resource(row: Tree) -> Resource:
    facts = {**(row.get("inputs") or {}), **(row.get("outputs") or {})}
    if facts.get("triggers"):
        # they are fine where the delete is meant to come first, and no state says whether it is
        facts["triggers"] = HIDDEN
    urn = row["urn"]
    protect = bool(row.get("protect"))
    return Resource(row["type"], name_of(urn), facts, urn, protect=protect, secrets_told=True)


def _refuse(place: str, got: str, need: str, fix: str, rule: str) -> NoReturn:
    raise InputRejected(place, (Problem("state", got, need, fix, rule),))
