"""`loopback`: one module per verb. Data to stdout, talk to stderr; exit 0, 1 findings, 2 usage."""

from __future__ import annotations

import typer

from loopback_iac.cli import (
    cost,
    dns,
    drain,
    drift,
    drill,
    egress,
    evidence,
    incident,
    join,
    lab,
    migrate,
    prove,
    stack,
    update,
)

app = typer.Typer(
    name="loopback",
    help="Anycast edge, DNS and egress as code: plan, apply, rehearse on one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(lab.app, name="lab")
stack.register(app)
drift.register(app)
cost.register(app)
prove.register(app)
drill.register(app)
update.register(app)
drain.register(app)
join.register(app)
migrate.register(app)
dns.register(app)
egress.register(app)
evidence.register(app)
incident.register(app)


def main() -> None:
    """Entry point of the `loopback` command."""
    app()
