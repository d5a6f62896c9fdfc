"""`loopback cost`: what a month of the fleet costs, line by line, and what one more of it adds."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loopback_iac.cli.running import (
    HERE,
    STACK,
    ConfigFile,
    Directory,
    Json,
    StackName,
    StateDir,
    guarded,
    make_options,
    refuse,
    show,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopback_iac.cost import Bill, Inventory, Margin, PriceTable
    from loopback_iac.engine import Options

Prices = Annotated[
    list[Path] | None,
    typer.Option(
        help="Your prices and contracts (YAML), or Hetzner's GET /v1/pricing; repeatable."
    ),
]
FromPlan = Annotated[bool, typer.Option("--plan/--state", help="Of what `up` would leave there.")]
Terabytes = Annotated[
    float | None, typer.Option("--tb", min=0, help="TB that clients are sent within a month.")
]
Chart = Annotated[
    Path | None, typer.Option(help="Draw the cost over PoPs, workers, TB: .svg or .png.")
]
Complete = Annotated[bool, typer.Option("--complete", help="Exit 1 when a price is unknown.")]
ShowPrices = Annotated[bool, typer.Option("--show-prices", help="Print the shipped table.")]
SUFFIXES = (".svg", ".png")


def register(app: typer.Typer) -> None:
    """Add `cost` to `app`."""
    app.command("cost")(cost)


def cost(
    *,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    prices: Prices = None,
    plan: FromPlan = False,
    tb: Terabytes = None,
    chart: Chart = None,
    complete: Complete = False,
    show_prices: ShowPrices = False,
    as_json: Json = False,
) -> None:
    """Print the month's bill and what one more PoP, worker, TB and service adds."""
    from loopback_iac.cost import bill_of, margins_of, read_inventory  # noqa: PLC0415 - loads slowly

    if show_prices:
        typer.echo(_shipped_text(), nl=False)
        return
    if chart is not None and chart.suffix.lower() not in SUFFIXES:
        refuse(f"--chart {chart}: got {chart.suffix!r}, need {' or '.join(SUFFIXES)}", 2)
    table = _read_prices(prices or [])
    options = make_options(cwd, stack, state_dir, config_file=config_file)
    inventory = read_inventory(planned_resources(options) if plan else applied_resources(options))
    amount = Decimal(str(tb)) if tb is not None else None
    if amount is None and table.traffic is not None:
        amount = table.traffic.tb_per_month
    bill, margins = bill_of(inventory, table, amount), margins_of(inventory, table, amount)
    if as_json:
        typer.echo(json.dumps(cost_tree(bill, margins), indent=2))
    else:
        print_cost(bill, margins, Console())
    if chart is not None:
        _draw(inventory, table, amount, chart)
    raise typer.Exit(1 if complete and bill.unknown else 0)


def _shipped_text() -> str:
    from importlib.resources import files  # noqa: PLC0415 - for this option alone

    return files("loopback_iac.cost").joinpath("prices.yaml").read_text()


def _read_prices(paths: Sequence[Path]) -> PriceTable:
    from loopback_iac.cost import merge_prices, parse_prices, shipped_prices  # noqa: PLC0415 - as above
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - as above

    try:
        given = [(str(path), parse_prices(str(path), path.read_text())) for path in paths]
        return merge_prices(shipped_prices(), given)
    except InputRejected as cause:
        refuse(str(cause), 2)
    except (OSError, UnicodeDecodeError) as cause:
        refuse(f"--prices: {cause}\n  fix: name a file in YAML, see docs/cost.md", 2)


def applied_resources(options: Options) -> Sequence[dict[str, Any]]:
    """What was applied last."""
    from loopback_iac.engine import read_resources  # noqa: PLC0415 - the engine loads slowly

    found = guarded(lambda: read_resources(options))
    if not found:
        refuse(
            f"stack {options.stack!r} has no state: nothing was applied yet\n"
            "  fix: --plan, for what `up` would build",
            2,
        )
    return found


def planned_resources(options: Options) -> Sequence[dict[str, Any]]:
    """What `up` would leave there."""
    from loopback_iac.engine import plan  # noqa: PLC0415 - as above

    result = guarded(lambda: plan(options))
    if not result.ok:
        show(result)
        refuse("what does not plan cannot be looked at any further", 1)
    return result.resources


def _draw(inventory: Inventory, table: PriceTable, tb: Decimal | None, path: Path) -> None:
    try:
        from loopback_iac.cost.chart import draw_cost  # noqa: PLC0415 - matplotlib is an extra
    except ModuleNotFoundError as cause:
        refuse(f"--chart needs {cause.name}\n  fix: pip install 'loopback-iac[lab]'", 2)
    draw_cost(inventory, table, tb, path)
    Console(stderr=True).print(f"chart: {path}", markup=False, soft_wrap=True)


def cost_tree(bill: Bill, margins: Sequence[Margin]) -> dict[str, Any]:
    """The machine-readable form; amounts are decimal strings, null where unknown."""
    return {
        "format": 1,
        "currency": bill.currency,
        "vat": bill.vat,
        "tb_per_month": None if bill.tb is None else str(bill.tb),
        "total_per_month": str(bill.total),
        "lower_bound": bool(bill.unknown),
        "lines": [
            {
                "host": line.host,
                "supplier": line.supplier,
                "item": line.item,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "per_month": _text(line.amount),
                "source": line.source,
                "missing": line.missing,
            }
            for line in bill.lines
        ],
        "one_more": [
            {
                "what": each.what,
                "like": list(each.like),
                "per_month": _text(each.amount),
                "unknown_prices": each.unknown,
                "because": each.because,
            }
            for each in margins
        ],
        "notes": list(bill.notes),
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def print_cost(bill: Bill, margins: Sequence[Margin], console: Console) -> None:
    """Print the bill, its total, what is unknown, and what one more adds."""
    table = Table("host", "supplier", "what", "how much", "price", box=None, pad_edge=False)
    table.add_column(f"{bill.currency} a month", justify="right")
    table.add_column("source", style="dim", overflow="fold")
    for line in bill.lines:
        amount = "unknown" if line.amount is None else str(line.amount)
        style = "yellow" if line.amount is None else ""
        cells = (line.host or "-", line.supplier, line.item, line.quantity, line.unit_price)
        table.add_row(*map(Text, cells), Text(amount, style=style), Text(line.source))
    console.print(table)
    least = "at least " if bill.unknown else ""
    total = f"{least}{bill.total} {bill.currency} a month, VAT {bill.vat}"
    console.print(Text(total, style="bold"), soft_wrap=True)
    if bill.unknown:
        console.print(f"price unknown: {len(bill.unknown)}; give it with --prices FILE, under")
        for missing in dict.fromkeys(line.missing for line in bill.unknown):
            console.print(Text(f"  {missing}", style="yellow"), soft_wrap=True)
    if margins:
        console.print(_margin_table(bill, margins))
    for note in bill.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)


def _margin_table(bill: Bill, margins: Sequence[Margin]) -> Table:
    table = Table("one more", "like", box=None, pad_edge=False)
    table.add_column(f"{bill.currency} a month", justify="right")
    table.add_column("")
    for each in margins:
        least = "at least " if each.unknown else ""
        amount = "unknown" if each.amount is None else f"{least}{each.amount}"
        unknown = f"prices unknown: {each.unknown}" if each.unknown else ""
        why = "; ".join(filter(None, (each.because, unknown)))
        table.add_row(each.what, Text(", ".join(each.like)), amount, Text(why))
    return table
