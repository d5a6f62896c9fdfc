"""The head of a chain as others keep it for whoever made the chain: in a TXT record of a zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK = "loopback-evidence="


class Verdict(NamedTuple):
    """Whether what is published is the head, and what a person reads."""

    same: bool
    text: str


def render_anchor(head: str) -> str:
    """The text of the record."""
    return MARK + head


def check_anchor(texts: Sequence[str], heads: Sequence[str]) -> Verdict:
    """
    Published texts beside a chain.

    In: heads, SHA-256 of every manifest, first to last.
    """
    found = sorted({text.removeprefix(MARK).lower() for text in texts if text.startswith(MARK)})
    if not found:
        return Verdict(same=False, text=f"no head: no TXT begins with {MARK}")
    if len(found) > 1:
        return Verdict(same=False, text=f"{len(found)} heads, need one: {', '.join(found)}")
    (head,) = found
    if head == heads[-1]:
        return Verdict(same=True, text="the head of this chain")
    if head in heads:
        number = list(heads).index(head) + 1
        late = f"the head of record {number}, and the last is number {len(heads)}"
        return Verdict(same=False, text=f"{late}: an old copy, or what came since is not published")
    return Verdict(
        same=False, text=f"another head, {head}: what was published is not in this chain"
    )
