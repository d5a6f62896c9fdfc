"""The engine dies, is interrupted, or meets another one."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine import adopt, destroy, export_state, forget, plan, read_resources, up
from loopback_iac.engine.errors import StateError, UsageError
from loopback_iac.engine.journal import Ledger
from loopback_iac.engine.store import Checkpoint, Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import Stack

URN = "urn:pulumi:dev::t::probe:index:Thing::"
GRAPH = [
    {"name": "first", "inputs": {}},
    {"name": "slow", "inputs": {"held": "go"}, "depends": ["first"]},
    {"name": "after", "inputs": {}, "depends": ["slow"]},
]


def start(stack: Stack, verb: str = "up") -> subprocess.Popen[str]:
    (stack.folder / "calls").write_text("")
    return subprocess.Popen(
        [sys.executable, "-c", "from loopback_iac.cli import main; main()", verb, "--json"],
        cwd=stack.folder,
        env={**os.environ, "PULUMI_CONFIG_PASSPHRASE": str(stack.options.passphrase)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += [int(stat.parent.name), *children_of(int(stat.parent.name))]
    return found


def test_kill_in_mid_create_loses_nothing_and_leaves_no_orphan(stack: Stack) -> None:
    stack.write(GRAPH)
    engine = start(stack)
    wait_for(lambda: "Create:slow" in stack.calls())
    family = children_of(engine.pid)
    assert len(family) >= 2  # the program and the plugin
    engine.kill()
    engine.communicate()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))
    assert (stack.state_dir / "journal.jsonl").exists()
    with pytest.raises(StateError, match="nobody saw the outcome") as refused:
        stack.run(up)
    assert f"{URN}slow" in str(refused.value)
    assert "first" in stack.rows()
    forget(stack.options, [f"{URN}slow"])
    stack.let_go()
    result = stack.up()
    assert result.counts == {"create": 2, "same": 1}
    assert "pending_operations" not in stack.deployment()


def test_adopting_what_an_interrupted_create_left(stack: Stack) -> None:
    secret = {"held": "go", "pw": "secret:pw"}
    stack.write([{"name": "slow", "inputs": secret}], secrets={"pw": "hidden"})
    engine = start(stack)
    wait_for(lambda: "Create:slow" in stack.calls())
    engine.kill()
    engine.communicate()
    (stack.folder / "world").write_text('{"slow-1": "slow"}')  # it had come that far
    with pytest.raises(UsageError, match="knows nothing with the id 'slow-2'"):
        adopt(stack.options, f"{URN}slow", "slow-2")
    with pytest.raises(UsageError, match=f"no create of it is pending; pending: {URN}slow"):
        adopt(stack.options, f"{URN}other", "slow-1")
    assert "slow-1" in adopt(stack.options, f"{URN}slow", "slow-1")
    assert "hidden" not in (stack.state_dir / "state.json").read_text()
    assert stack.rows()["slow"]["id"] == "slow-1"
    stack.write([{"name": "slow", "inputs": {"pw": "secret:pw"}}], secrets={"pw": "hidden"})
    assert stack.up().counts == {"update": 1}  # nobody saw how far its create came
    assert stack.up().counts == {"same": 1}


def test_kill_in_mid_update_updates_again(stack: Stack) -> None:
    stack.write(GRAPH[:1])
    stack.up()
    stack.write([{"name": "first", "inputs": {"held": "go"}}])
    engine = start(stack)
    wait_for(lambda: "Update:first" in stack.calls())
    engine.kill()
    engine.communicate()
    stack.write(GRAPH[:1])  # back to what the state says: still it must be set right
    stack.up()
    assert stack.steps() == ["Update:first"]
    assert "pending_operations" not in stack.deployment()
    assert stack.up().counts == {"same": 1}


def test_interrupt_finishes_what_had_begun_and_saves(stack: Stack) -> None:
    stack.write(GRAPH)
    engine = start(stack)
    wait_for(lambda: "Create:slow" in stack.calls())
    engine.send_signal(signal.SIGINT)
    wait_for(lambda: "Cancel:" in stack.calls())
    stack.let_go()
    output, talk = engine.communicate(timeout=60)
    assert engine.returncode == 1
    assert json.loads(output)["ok"] is False
    assert "up cancelled" in talk
    assert sorted(stack.rows()) == ["first", "slow"]
    assert stack.world() == ["first", "slow"]
    assert "pending_operations" not in stack.deployment()
    assert stack.up().counts == {"create": 1, "same": 2}


def test_a_second_interrupt_does_not_wait(stack: Stack) -> None:
    stack.write([{"name": "slow", "inputs": {"held": "for ever"}}])
    engine = start(stack)
    wait_for(lambda: "Create:slow" in stack.calls())
    engine.send_signal(signal.SIGTERM)
    wait_for(lambda: "Cancel:" in stack.calls())
    engine.send_signal(signal.SIGTERM)
    engine.communicate(timeout=60)
    assert engine.returncode == 1
    assert stack.deployment()["pending_operations"][0]["type"] == "creating"


def test_an_interrupted_update_is_settled_under_the_name_it_has_since() -> None:
    old, new = ({"urn": f"{URN}{name}"} for name in ("old", "new"))
    ledger = Ledger([old], [{"resource": old, "type": "updating"}])
    ledger.apply({"e": "new", "old": 0, "keep": False, "r": new})
    assert ledger.rows() == [new]
    assert ledger.pending() == []


def test_two_engines_do_not_share_a_stack(stack: Stack) -> None:
    stack.write(GRAPH)
    engine = start(stack)
    wait_for(lambda: "Create:slow" in stack.calls())
    with pytest.raises(StateError, match=f"locked by loopback up, process {engine.pid}"):
        destroy(stack.options)
    stack.let_go()
    engine.communicate(timeout=60)
    assert engine.returncode == 0


def test_a_stale_lock_is_told_and_taken(stack: Stack) -> None:
    stack.write(GRAPH[:1])
    stack.state_dir.mkdir(parents=True)
    (stack.state_dir / "lock").write_text("loopback up, process 1")
    result = stack.up()
    assert "ended without giving its lock back" in result.diagnostics[0].message


@pytest.fixture
def journals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], list[bytes]]:
    """The lines of the last run's journal, copied before it is dropped."""
    copy = tmp_path / "journal-copy"
    save = Store.save

    def saving(store: Store, *args: Any, **kwargs: Any) -> None:
        if store.journal.exists():
            shutil.copy(store.journal, copy)
        save(store, *args, **kwargs)

    monkeypatch.setattr(Store, "save", saving)
    return lambda: copy.read_bytes().splitlines(keepends=True)


def test_every_point_of_a_journal_replays_to_a_sound_state(
    stack: Stack, journals: Callable[[], list[bytes]], tmp_path: Path
) -> None:
    graph = [
        {"name": "a", "inputs": {"forceNew": 1}},
        {"name": "b", "inputs": {"from": "${a.out}"}},
        {"name": "c", "inputs": {"pw": "secret:pw"}},
    ]
    stack.write(graph, secrets={"pw": "x"})
    stack.up()
    base = (stack.state_dir / "state.json").read_bytes()
    graph[0]["inputs"] = {"forceNew": 2}
    stack.write([*graph[:2], {"name": "d", "inputs": {}}], secrets={"pw": "x"})
    stack.up()
    final = json.loads((stack.state_dir / "state.json").read_text())["deployment"]["resources"]
    lines = journals()
    assert len(lines) > 10
    for upto in range(len(lines) + 1):
        folder = tmp_path / f"at-{upto}"
        folder.mkdir()
        (folder / "state.json").write_bytes(base)
        torn = lines[upto][: len(lines[upto]) // 2] if upto < len(lines) else b""
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:upto]) + torn)
        checkpoint = Store(folder).load()
        check_sound(checkpoint.rows)
        begun = [json.loads(line) for line in lines[:upto]]
        known = {row["urn"] for row in checkpoint.rows}
        known |= {row["resource"]["urn"] for row in checkpoint.pending}
        creates = {
            event["r"]["urn"]
            for event in begun
            if event.get("e") == "begin" and event["op"] == "creating"
        }
        assert creates <= known, upto
    assert checkpoint.rows == final
    assert checkpoint.pending == []


def check_sound(rows: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    live: set[str] = set()
    for row in rows:
        references = {row.get("parent"), *row.get("dependencies", [])} - {None}
        assert references <= seen, row["urn"]
        if not row.get("delete"):
            assert row["urn"] not in live
            live.add(row["urn"])
        seen.add(row["urn"])


def test_a_journal_of_another_state_is_refused(
    stack: Stack, journals: Callable[[], list[bytes]]
) -> None:
    stack.write(GRAPH[:1])
    stack.up()
    lines = journals()
    state = stack.state_dir / "state.json"
    digest = hashlib.sha256(state.read_bytes()).hexdigest()
    closed = json.dumps({"e": "close", "digest": digest}).encode() + b"\n"
    (stack.state_dir / "journal.jsonl").write_bytes(b"".join(lines) + closed)
    assert Store(stack.state_dir).load().pending == []  # its own: it had been saved already
    state.write_text(state.read_text() + " ")
    with pytest.raises(StateError, match="belongs to another state"):
        stack.run(up)
    (stack.state_dir / "journal.jsonl").write_bytes(lines[0] + b"nonsense\n" + lines[1])
    with pytest.raises(StateError, match="damaged journal line"):
        stack.run(up)
    (stack.state_dir / "journal.jsonl").unlink()


def test_forget_takes_out_resources_only_when_asked_for_them(stack: Stack) -> None:
    stack.write([{"name": "a", "inputs": {}}, {"name": "b", "inputs": {}, "depends": ["a"]}])
    stack.up()
    with pytest.raises(ValueError, match=r"no operation of it is pending.*--resource") as refused:
        forget(stack.options, [f"{URN}b", "urn:nothing"])
    assert "urn:nothing: neither a resource nor a pending operation" in str(refused.value)
    with pytest.raises(ValueError, match="others rest on it"):
        forget(stack.options, [f"{URN}a"], resources=True)
    assert sorted(stack.rows()) == ["a", "b"]
    assert forget(stack.options, [f"{URN}b"], resources=True) == [f"resource {URN}b"]
    assert list(stack.rows()) == ["a"]


def test_a_plan_beside_a_run_says_so_and_takes_nothing_for_killed(stack: Stack) -> None:
    stack.write(GRAPH[:1])
    stack.up()
    stack.write(GRAPH)
    engine = start(stack)
    wait_for(lambda: "Create:slow" in stack.calls())
    planned = plan(stack.options)
    words = [item.message for item in planned.diagnostics]
    assert len(words) == 1
    assert f"a run is going on (loopback up, process {engine.pid}, since 20" in words[0]
    assert planned.counts == {"create": 2, "same": 1}
    assert [row["name"] for row in read_resources(stack.options)][-1] == "first"
    assert "pending_operations" not in export_state(stack.options)
    stack.let_go()
    engine.communicate(timeout=60)
    assert engine.returncode == 0
    assert plan(stack.options).diagnostics == ()
    with pytest.raises(UsageError, match="no operation of it is pending"):
        forget(stack.options, [f"{URN}slow"])


def test_a_run_waits_for_the_moment_of_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    with store.locked("up"):
        assert "loopback up" in store.look()[1]
    assert store.look() == (Checkpoint(), "")
    reader = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda _: os.close(reader))
    with store.locked("up"):
        assert "loopback up" in (tmp_path / "lock").read_text()
