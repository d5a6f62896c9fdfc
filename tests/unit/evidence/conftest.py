"""A desk of its own for every test, and one bundle that tests copy instead of making it anew."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.unit.evidence.states import Desk, state

DRILL = {"drill": "silent-pop", "at": "2026-11-20T09:00:00+00:00", "held": True, "summary": {}}


@pytest.fixture
def desk(tmp_path, monkeypatch):
    return Desk(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Three updates and their bundle."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        desk = Desk(folder, patch)
        (folder / "drill.json").write_text(json.dumps(DRILL))
        texts = (
            state(("second", "", None)),
            state(("second", "deleteProtection", False)),
            state(),
        )
        for number, text in enumerate(texts, 1):
            done = desk.record(
                *("--reason", f"update {number}", "--approved-by", "B. Boss"),
                *("--drill", str(folder / "drill.json")),
                text=text,
            )
            assert done.exit_code == 0, done.output
        done = desk.bundle(folder / "bundle")
        assert done.exit_code == 0, done.output
    return desk


@pytest.fixture
def bundle(made, tmp_path):
    return shutil.copytree(made.folder / "bundle", tmp_path / "bundle")


@pytest.fixture
def chain(made, tmp_path):
    return shutil.copytree(made.chain, tmp_path / "chain")
