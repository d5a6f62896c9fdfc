"""States as they are exported, and chains made of them."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

from typer.testing import CliRunner

from loopback_iac.cli import app
from loopback_iac.controls.tree import MARK, SECRET
from tests.unit.controls.passing import build_stack

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SIGNER = "edge@example.org"
CIPHERTEXT = "v1:bm9uY2U=:c2VhbGVk"


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:prod::edge::{kind}::{name}"


def sealed(tree: Any) -> Any:
    """Secrets as a state has them."""
    if isinstance(tree, dict):
        if tree.get(MARK) == SECRET:
            return {MARK: SECRET, "ciphertext": CIPHERTEXT}
        return {key: sealed(value) for key, value in tree.items()}
    return [sealed(value) for value in tree] if isinstance(tree, list) else tree


def state(*edits: tuple, stack: str = "prod") -> str:
    """The stack in which every control passes, exported; edits as `build_stack` takes them."""
    rows = [
        {
            "urn": urn(each.kind, each.name).replace("prod", stack, 1),
            "custom": not each.kind.startswith("loopback-iac:"),
            "type": each.kind,
            "inputs": sealed(each.facts),
            "modified": "2026-11-21T10:00:00Z",
            **({"protect": True} if each.protect else {}),
        }
        for each in build_stack(*edits).resources
    ]
    return json.dumps({"version": 3, "deployment": {"manifest": {}, "resources": rows}})


class Desk:
    """Where somebody records: a key, a clock, a folder."""

    def __init__(self, folder, monkeypatch) -> None:
        self.folder, self.chain, self.key = folder, folder / "evidence", folder / "key"
        self.now = NOW
        monkeypatch.setattr("loopback_iac.cli.chain.now_utc", lambda: self.now)
        make_key(self.key)

    def record(self, *argv: str, text: str | None = None, git: bool = False):
        file = self.folder / "state.json"
        file.write_text(state() if text is None else text)
        self.now += timedelta(minutes=1)
        return run(
            *("evidence", "record", "--chain", str(self.chain), "--key", str(self.key)),
            *("--state-file", str(file), *(() if git else ("--no-git",))),
            *(() if "--signer" in argv or git else ("--signer", SIGNER)),
            *argv,
        )

    def bundle(self, out):
        return run(
            *("evidence", "bundle", "--chain", str(self.chain), "--key", str(self.key)),
            *("--out", str(out)),
        )

    def links(self):
        return sorted(self.chain.glob("[0-9]*"))


def manifests(desk: Desk) -> list[dict[str, Any]]:
    return [json.loads((link / "manifest.json").read_text()) for link in desk.links()]


def run(*argv: str):
    return CliRunner().invoke(app, argv)


def make_key(path) -> None:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(argv, check=True, timeout=30)
