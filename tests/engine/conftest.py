"""A stack in a temporary folder: write its graph, run a verb, look at calls, world and state."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from loopback_iac.engine import Options, Result, destroy, plan, up
from loopback_iac.engine.passphrase import Crypter

HERE = Path(__file__).parent
PASSPHRASE = "correct horse battery staple"
CRYPTER = Crypter.create(PASSPHRASE)


@dataclass
class Stack:
    """One project with one stack, driven by the graph program and the probe provider."""

    folder: Path
    options: Options

    def write(
        self,
        graph: list[dict[str, Any]],
        secrets: dict[str, str] | None = None,
        to: str = "dev",
        **config: Any,
    ) -> None:
        values: dict[str, Any] = {"t:graph": graph, **{f"t:{k}": v for k, v in config.items()}}
        for key, text in (secrets or {}).items():
            values[f"t:{key}"] = {"secure": CRYPTER.encrypt(text)}
        document = {"encryptionsalt": CRYPTER.salt, "config": values}
        (self.folder / f"Pulumi.{to}.yaml").write_text(yaml.safe_dump(document))

    def use_program(self, name: str) -> None:
        self.write_project(main=str(HERE / "programs" / name))

    def write_project(self, **changes: Any) -> None:
        project = {
            "name": "t",
            "runtime": "python",
            "main": str(HERE / "programs" / "graph"),
            "plugins": {
                "providers": [
                    {"name": "probe", "path": str(HERE / "provider")},
                    {"name": "box", "path": str(HERE / "host")},
                ]
            },
            **changes,
        }
        (self.folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))

    def run(self, verb: Callable[[Options], Result], **changes: Any) -> Result:
        (self.folder / "calls").write_text("")
        return verb(replace(self.options, **changes))

    def up(self, **changes: Any) -> Result:
        result = self.run(up, **changes)
        assert result.ok, result.diagnostics
        return result

    def plan(self, **changes: Any) -> Result:
        return self.run(plan, **changes)

    def destroy(self, **changes: Any) -> Result:
        result = self.run(destroy, **changes)
        assert result.ok, result.diagnostics
        return result

    def calls(self) -> list[str]:
        """The provider's calls in order, without the marks of an ended create."""
        lines = (self.folder / "calls").read_text().split()
        return [line for line in lines if not line.startswith("Created:")]

    def steps(self) -> list[str]:
        """The calls that change something."""
        changing = ("Create:", "Update:", "Delete:")
        return [call for call in self.calls() if call.startswith(changing)]

    def world(self) -> list[str]:
        """Names of what really exists."""
        path = self.folder / "world"
        return sorted(json.loads(path.read_text() or "{}").values()) if path.exists() else []

    def let_go(self, name: str = "go") -> None:
        """End what is held under this name."""
        (self.folder / name).touch()

    @property
    def state_dir(self) -> Path:
        return self.folder / ".loopback" / "t" / "dev"

    def deployment(self, stack: str = "dev") -> dict[str, Any]:
        path = self.state_dir.with_name(stack) / "state.json"
        if not path.exists():
            return {}
        document = json.loads(path.read_text())
        assert document["version"] == 3
        return document["deployment"]

    def rows(self) -> dict[str, dict[str, Any]]:
        """Rows by name, without the stack and default providers."""
        rows = self.deployment().get("resources") or []
        return {
            row["urn"].split("::")[-1]: row
            for row in rows
            if not row["urn"].split("::")[-1].startswith(("t-dev", "default"))
        }


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setenv("PROBE_LOG", str(tmp_path / "calls"))
    monkeypatch.setenv("PROBE_WORLD", str(tmp_path / "world"))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    made = Stack(tmp_path, Options(directory=tmp_path, passphrase=PASSPHRASE))
    made.write_project()
    yield made
    check_rows(made)


def check_rows(stack: Stack) -> None:
    """Whatever a test did: the checkpoint is one that `pulumi stack import` takes."""
    if not (stack.state_dir / "state.json").exists():
        return
    seen: set[str] = set()
    live: set[str] = set()
    for row in stack.deployment().get("resources") or []:
        references = {row.get("parent"), (row.get("provider") or "").rpartition("::")[0]}
        references |= set(row.get("dependencies") or [])
        missing = {urn for urn in references if urn} - seen
        assert not missing, f"{row['urn']} stands before {missing}"
        if not row.get("delete"):
            assert row["urn"] not in live, f"duplicate {row['urn']}"
            live.add(row["urn"])
        seen.add(row["urn"])
