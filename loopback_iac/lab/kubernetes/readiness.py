"""What it takes for an object to be ready, kind by kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from loopback_iac.lab.kubernetes.cluster import Object, get_in

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Verdict:
    """
    What one look at an object came to.

    status: what is waited for; reasons: what would be said if nothing more happened; failed: that
    nothing more will.
    """

    ready: bool
    status: str = ""
    reasons: Sequence[str] = ()
    failed: bool = False


class Reader(Protocol):
    """Other objects, as far as an answer depends on them."""

    def list_objects(self, api_version: str, kind: str, namespace: str) -> list[Object]:
        """All objects of a kind in a namespace."""
        ...


class Readiness(Protocol):
    """
    One object's way to be ready; `look` may remember what it saw.

    plain: the error of a wait in vain has no name of the object in it.
    """

    @property
    def plain(self) -> bool: ...

    def look(self, live: Object) -> Verdict:
        """
        How far the object is.

        Raises: ClusterError when something it depends on cannot be read.
        """
        ...


def quote_name(thing: Object) -> str:
    """`[namespace/]name`, without the default one."""
    namespace = get_in(thing, ("metadata", "namespace"), "")
    name = thing["metadata"]["name"]
    return name if namespace in {"", "default"} else f"{namespace}/{name}"


def condition(thing: Object, kind: str) -> Object:
    """One of `status.conditions`, or an empty one."""
    rows = get_in(thing, ("status", "conditions"), [])
    return next((row for row in rows if row.get("type") == kind), {})


def owned(things: Sequence[Object], owner: Object) -> list[Object]:
    """Those that name an owner."""
    uid = owner["metadata"]["uid"]
    return [
        thing
        for thing in things
        if any(row["uid"] == uid for row in get_in(thing, ("metadata", "ownerReferences"), []))
    ]
