"""A report of `loopback dns check` as evidence for the draft of an incident."""

from __future__ import annotations

import datetime as dt
import json

from typer.testing import CliRunner

from loopback_iac.cli import app


def assert_drafted(folder, report, checked_at):
    """What the verb printed becomes an entry with server and time, and something to settle."""
    at = dt.datetime.fromtimestamp(checked_at, dt.UTC).isoformat()
    service = {"name": "names", "kind": "dns", "data_compromised": "unknown"}
    facts = {
        "format": 1, "id": "altered", "title": "An altered record", "entity": {"name": "Example"},
        "detected_at": at, "services": [service],
    }  # fmt: skip
    (folder / "facts.yaml").write_text(json.dumps(facts))
    (folder / "dns.json").write_text(report)
    words = ["--evidence", str(folder / "dns.json"), "--out", str(folder), "--json"]
    argv = ["incident", "draft", str(folder / "facts.yaml"), *words]
    done = CliRunner().invoke(app, argv)
    assert done.exit_code == 0, done.output
    draft = json.loads(done.stdout)
    told = [each["what"] for each in draft["timeline"] if each["source"].endswith("dns.json")]
    assert len(told) == 1
    assert told[0].startswith("zone example.net. at plain ")
    assert told[0].endswith(": tampered")
    assert [each["fact"] for each in draft["to_settle"]] == ["data_compromised"]
    due = dt.datetime.fromisoformat(draft["clock"]["deadlines"][0]["due"]["utc"])
    assert due.timestamp() - checked_at == 24 * 3600
