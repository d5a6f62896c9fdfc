"""The head of a chain as a zone's servers have it, beside the chain itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from loopback_iac.cli.dns_words import read_ds, read_server
from loopback_iac.cli.running import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loopback_iac.remote.dns_txt import Told


def probe_published(
    name: str | None, server: Sequence[str], ds: Sequence[str], timeout_s: float
) -> list[Told]:
    """What each server named says; nothing where no name is asked for."""
    if name is None:
        if server or ds:
            refuse("--server, --ds: of which name?\n  fix: --head-at _evidence.example.net", 2)
        return []
    from loopback_iac.dns.names import parse_zone_name  # noqa: PLC0415  # loads slowly
    from loopback_iac.dns.refusal import Refusal  # noqa: PLC0415  # as above
    from loopback_iac.remote.dns_txt import probe_texts  # noqa: PLC0415  # as above

    if not server:
        refuse(
            f"--head-at {name}: nobody is named to ask\n  fix: --server NAME=ADDRESS for every "
            "name server of the zone, or for a resolver that you trust",
            2,
        )
    try:
        asked = parse_zone_name(name)
    except Refusal as cause:
        refuse(f"--head-at: {cause}", 2)
    wires = [read_ds(text) for text in ds]
    return probe_texts(asked, [read_server(word) for word in server], wires, timeout_s)


def check_published(name: str, told: Sequence[Told], folder: Path) -> bool:
    """
    Print one line per server and transport.

    Out: whether each of them has the head, and none of it is wrong.
    """
    from loopback_iac.evidence.anchor import check_anchor  # noqa: PLC0415  # loads slowly

    heads, good = heads_of(folder), True
    for one in told:
        verdict = check_anchor(one.texts, heads)
        good = good and verdict.same and not one.wrong
        known = [verdict.text] if one.texts or not one.wrong else []
        words = ", ".join([*known, one.wrong or one.standing])
        where = f"{one.server} {one.server.place} {one.way}"
        shown = "".join(c if c.isprintable() else "?" for c in f"{where}: {words}")
        typer.echo(f"{name} at {shown}")
    return good


def heads_of(folder: Path) -> list[str]:
    """SHA-256 of every manifest of a bundle or a chain, first to last."""
    from loopback_iac.evidence.canonical import sha256  # noqa: PLC0415  # as above
    from loopback_iac.evidence.verify import CHAIN, INDEX, MANIFEST  # noqa: PLC0415  # as above

    chain = folder / CHAIN if (folder / INDEX).exists() else folder
    return [sha256(path.read_bytes()) for path in sorted(chain.glob(f"[0-9]*/{MANIFEST}"))]
