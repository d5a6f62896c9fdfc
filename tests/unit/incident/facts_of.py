"""Facts as a file has them, with something changed."""

from __future__ import annotations

import datetime as dt
import json

from loopback_iac.incident import parse_facts

NOW = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
DETECTED = "2026-11-20T02:13:00+01:00"


def tree(**changes):
    """The least that a file has to say; a dotted name (`service__x`) changes its one service."""
    service = {"name": "names", "kind": "dns"}
    service |= {k[9:]: v for k, v in changes.items() if k.startswith("service__")}
    own = {k: v for k, v in changes.items() if not k.startswith("service__")}
    turnover = own.pop("turnover_eur", "unknown")
    return {
        "format": 1,
        "id": "incident-1",
        "title": "Something",
        "entity": {"name": "Example", "turnover_eur": turnover},
        "detected_at": DETECTED,
        "services": [service],
    } | own


def facts(**changes):
    return parse_facts("facts.yaml", json.dumps(tree(**changes)), NOW)
