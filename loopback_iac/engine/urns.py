"""URNs: `urn:pulumi:<stack>::<project>::<parent type>$<type>::<name>`."""

from __future__ import annotations

import re

from loopback_iac.engine.state import PROVIDER_PREFIX, STACK_TYPE


def make_urn(stack: str, project: str, parent: str, kind: str, name: str) -> str:
    """
    Build a URN; the types of the ancestors go in front, the Stack's does not.

    In: parent: its URN or "".
    """
    types = parent.split("::", 3)[2] if parent else ""
    chain = f"{types}${kind}" if types and types != STACK_TYPE else kind
    return f"urn:pulumi:{stack}::{project}::{chain}::{name}"


def split_urn(urn: str) -> tuple[str, str]:
    """Out: the resource's own type, and its name."""
    _, _, types, name = urn.split("::", 3)
    return types.rpartition("$")[2], name


def package_of(kind: str) -> str:
    """The package a type token belongs to: `command` of `command:remote:Command`."""
    if kind.startswith(PROVIDER_PREFIX):
        return kind.removeprefix(PROVIDER_PREFIX)
    return kind.split(":", 1)[0]


def default_provider_name(version: str, url: str) -> str:
    """The name pulumi gives a default provider: `default_1_2_1`, plus a download address if any."""
    parts = ["default", *re.split(r"[.+-]", version), re.sub(r"[^A-Za-z0-9_./]", "_", url)]
    return "_".join(part for part in parts if part)
