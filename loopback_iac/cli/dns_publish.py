"""`loopback dns ionos-secondary`, `ds-look`, `ds-out`: what Commands of DnsZone call.

Their order is JSON on standard input: it has a token or a key, which no argument may have.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from loopback_iac.cli.dns import app
from loopback_iac.cli.running import refuse

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

Deed = Annotated[str, typer.Argument(help="put or delete.")]


@app.command("ionos-secondary")
def ionos_secondary(deed: Deed) -> None:
    """Make or take away a secondary zone at IONOS; a Command of DnsZone calls this."""
    from loopback_iac.remote.ionos_dns import (  # noqa: PLC0415 - loads slowly
        IonosDnsError,
        SecondaryZones,
        parse_order,
    )

    if deed not in ("put", "delete"):
        refuse(f"ionos-secondary {deed}: got {deed!r}, need put or delete", 2)
    order = _read(parse_order)
    zones = SecondaryZones(order.endpoint, order.token)
    try:
        if deed == "delete":
            typer.echo(json.dumps({"deleted": zones.delete(order.zone)}))
        else:
            typer.echo(json.dumps(zones.put(order.zone, order.primaries), sort_keys=True))
    except IonosDnsError as cause:
        refuse(f"ionos: {cause}", 1)


@app.command("ds-look")
def ds_look() -> None:
    """Refuse a zone that has a DS and no signatures; a Command of DnsZone calls this."""
    from loopback_iac.remote.dns_ds import check_unsigned, parse_parent  # noqa: PLC0415 - as above
    from loopback_iac.remote.dns_ds_left import ParentError  # noqa: PLC0415 - as above

    parent = _read(parse_parent)
    try:
        check_unsigned(parent)
    except ParentError as cause:
        refuse(str(cause), 1)
    typer.echo(f"{parent.zone} may be served {'signed' if parent.signed else 'unsigned'}")


@app.command("ds-out")
def ds_out() -> None:
    """Take a zone's DS out of its parent and wait for caches; a Command of DnsZone calls this."""
    from loopback_iac.remote.dns_ds import parse_parent, remove_ds  # noqa: PLC0415 - as above
    from loopback_iac.remote.dns_ds_left import ParentError  # noqa: PLC0415 - as above

    try:
        typer.echo(remove_ds(_read(parse_parent)))
    except ParentError as cause:
        refuse(str(cause), 1)


def _read(parse: Callable[[str], T]) -> T:
    """An order; what is no order is never shown, for it may hold a token."""
    try:
        return parse(sys.stdin.read())
    except (ValueError, TypeError, KeyError, AttributeError) as cause:
        why = str(cause) if type(cause) is ValueError else type(cause).__name__
        refuse(f"standard input holds no order: {why}\n  fix: let DnsZone call this", 2)
