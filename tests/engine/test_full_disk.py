"""The journal cannot be written to its end: what was done stays on record, and the text says so."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine import adopt, forget, up
from loopback_iac.engine.errors import StateError
from loopback_iac.engine.journal import Ledger, iter_events
from loopback_iac.engine.store import Checkpoint, Store
from tests.engine.test_random_graphs import check_world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.conftest import Stack

URN = "urn:pulumi:dev::t::probe:index:Thing::"
# The command line, with a limit to the size of files: the kernel cuts the write that crosses it.
LIMITED = """
import resource, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from loopback_iac.cli import main
main()
"""


def thing(name: str, *depends: str, size: int = 1) -> dict[str, Any]:
    return {"name": name, "inputs": {"v": "x" * size}, "depends": list(depends)}


def up_within(stack: Stack, limit: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), "up"],
        cwd=stack.folder,
        env={**os.environ, "PULUMI_CONFIG_PASSPHRASE": str(stack.options.passphrase)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot be written (File too large); make room there" in done.stderr
    return done.stderr


def test_what_cannot_be_noted_is_not_begun(stack: Stack) -> None:
    stack.write([thing("small"), thing("big", "small", size=30_000), thing("late", "big")])
    assert "journal.jsonl" in up_within(stack, 20_000)
    assert stack.world() == ["small"]
    check_world(stack)
    assert "pending_operations" not in stack.deployment()
    assert stack.up().counts == {"create": 2, "same": 1}


def test_what_was_created_is_saved_though_the_journal_could_not_take_it(stack: Stack) -> None:
    stack.write([thing("small"), thing("big", "small", size=30_000), thing("late", "big")])
    up_within(stack, 80_000)  # its begin fits; its end does not, with the outputs; the state does
    assert stack.world() == ["big", "small"]
    check_world(stack)
    assert "pending_operations" not in stack.deployment()
    assert stack.up().counts == {"create": 1, "same": 2}


def test_when_the_state_cannot_be_saved_either_the_journal_stands_for_it(stack: Stack) -> None:
    stack.write([thing("there", size=12_000)])
    stack.up()
    stack.write([thing("there", size=12_000), thing("big", size=9_000), thing("late", "big")])
    assert "state.json" in up_within(stack, 28_000)
    assert stack.world() == ["big", "there"]
    assert not (stack.state_dir / "state.json.new").exists()
    with pytest.raises(StateError, match=f"nobody saw the outcome:\n  {URN}big"):
        stack.run(up)
    known = {row["id"] for row in stack.rows().values()}
    world = json.loads((stack.folder / "world").read_text())
    adopt(stack.options, f"{URN}big", next(ident for ident in world if ident not in known))
    assert stack.up().counts == {"create": 1, "same": 1, "update": 1}
    check_world(stack)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "stack")
    made.folder.mkdir()
    return made


def test_nothing_is_glued_to_a_line_that_was_cut(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger([], [])
    journal = store.start_journal(ledger, "")
    number = journal.begin("creating", {"urn": "a"})
    size = store.journal.stat().st_size
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, former[1]))
    try:
        with pytest.raises(StateError, match="cannot be written"):
            journal.record({"e": "new", "n": number, "r": {"urn": "a", "id": "x" * 200}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert store.journal.stat().st_size == size
    journal.end(number)  # there is room again: still nothing follows what is missing
    with pytest.raises(StateError, match="File too large"):
        journal.begin("creating", {"urn": "b"})
    assert [event["e"] for event in list(iter_events(store.journal))[1:]] == ["begin"]
    assert [row["resource"]["urn"] for row in store.load().pending] == ["a"]
    assert [row["urn"] for row in ledger.rows()] == ["a"]  # what this run knows, it knows
    assert ledger.pending() == []
    store.save(Checkpoint(ledger.rows(), ledger.pending()), journal)
    assert [row["urn"] for row in store.load().rows] == ["a"]
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StateError, match="No space left on device"):
        store.start_journal(Ledger([], []), "")
    assert not store.journal.exists()  # nothing had begun


def no_space(descriptor: int) -> None:
    del descriptor
    raise OSError(28, os.strerror(28))


def test_a_damaged_line_comes_with_a_way_out(store: Store) -> None:
    journal = store.start_journal(Ledger([], []), "")
    journal.begin("creating", {"urn": "a"})
    with store.journal.open("a") as file:
        file.write('{"e":"new","r":{"ur{"e":"end","n":1}\n{"e":"end","n":1}\n')
    with pytest.raises(StateError, match=r"journal.jsonl:3: .*cut it off before this line"):
        store.load()
    lines = store.journal.read_bytes().splitlines(keepends=True)
    store.journal.write_bytes(b"".join(lines[:2]))
    assert [row["resource"]["urn"] for row in store.load().pending] == ["a"]


def test_forget_settles_it(stack: Stack) -> None:
    stack.write([thing("there", size=12_000)])
    stack.up()
    stack.write([thing("there", size=12_000), thing("big", size=9_000)])
    up_within(stack, 28_000)
    world = json.loads((stack.folder / "world").read_text())
    kept = {ident: name for ident, name in world.items() if name != "big"}
    (stack.folder / "world").write_text(json.dumps(kept))  # somebody deleted it there
    assert forget(stack.options, [f"{URN}big"]) == [f"pending operation creating {URN}big"]
    assert stack.up().counts == {"create": 1, "same": 1}
    check_world(stack)
