"""What is left when something goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine import Diagnostic, destroy, up
from loopback_iac.engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.engine.results import Event
    from tests.engine.conftest import Stack


def thing(name: str, *depends: str, **inputs: Any) -> dict[str, Any]:
    return {"name": name, "inputs": inputs, "depends": list(depends)}


def messages(result: Any) -> str:
    return "\n".join(item.message for item in result.diagnostics if item.severity == "error")


def on_words(words: str, act: Callable[[], None]) -> Callable[[Event], None]:
    """Watch a run, and do something when it says this."""

    def watch(event: Event) -> None:
        if isinstance(event, Diagnostic) and event.message == words:
            act()

    return watch


def test_a_failed_create_leaves_siblings_and_starts_no_dependents(stack: Stack) -> None:
    graph = [
        thing("slow", held="go", meet=2),
        thing("bad", fail="create", meet=2),
        thing("child", "bad"),
        thing("late", "slow"),
    ]
    stack.write(graph)
    failed = stack.run(up, watcher=on_words("create told to fail", stack.let_go))
    assert messages(failed) == "create told to fail"
    assert stack.world() == ["slow"]
    assert sorted(stack.rows()) == ["slow"]
    assert "pending_operations" not in stack.deployment()
    graph[1]["inputs"] = {}
    stack.write(graph)
    assert stack.up().counts == {"create": 3, "same": 1}


def test_a_failed_create_in_a_replacement_loses_nothing(stack: Stack) -> None:
    stack.write([thing("a", forceNew=1)])
    stack.up()
    before = stack.rows()
    stack.write([thing("a", forceNew=2, fail="create")])
    assert not stack.run(up).ok
    assert stack.rows() == before
    assert stack.world() == ["a"]


def test_a_failed_delete_keeps_what_it_rests_on(stack: Stack) -> None:
    stack.write(
        [thing("net"), thing("a", "net", fail="delete"), thing("b"), {**thing("c"), "depends": []}]
    )
    stack.up()
    failed = stack.run(destroy)
    assert messages(failed) == "delete told to fail"
    assert stack.world() == ["a", "net"]


def test_a_program_that_raises_deletes_nothing(stack: Stack) -> None:
    stack.write([thing("a"), thing("b")])
    stack.up()
    stack.write([thing("a", v=2)], **{"raise": "sorry"})
    failed = stack.run(up)
    assert messages(failed) == "sorry"  # a RunError: its text, without a traceback
    assert stack.world() == ["a", "b"]
    assert stack.rows()["a"]["inputs"] == {"v": 2}


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("import os; os._exit(3)", "the program ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "the program was ended by signal 9"),
    ],
)
def test_a_program_that_ends_badly_at_last_says_how(stack: Stack, last: str, said: str) -> None:
    stack.write([thing("a")], last=last)
    assert messages(stack.run(up)) == said
    assert stack.world() == ["a"]


def test_a_program_is_waited_for_when_everything_is_declared(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopback_iac.engine.program._FAREWELL_S", 0.0)
    held = f"import pathlib, time\nwhile not pathlib.Path({str(stack.folder / 'go')!r}).exists():"
    stack.write([thing("a")], last=f"{held}\n    time.sleep(0.02)")
    words = "the program has declared everything and still runs"
    result = stack.run(up, watcher=on_words(words, stack.let_go))
    assert result.ok
    assert words in {item.message for item in result.diagnostics}


def test_an_exception_shows_the_programs_own_frames(stack: Stack) -> None:
    stack.write([{"name": "a", "inputs": {}, "opts": {"no_such_option": 1}}])
    text = messages(stack.run(up))
    assert "no_such_option" in text
    assert "runner.py" not in text
    assert "__main__.py" in text


def test_check_failures_are_told_by_property(stack: Stack) -> None:
    stack.write([thing("a", fail="check")])
    text = messages(stack.plan())
    assert text == "probe:index:Thing resource 'a': property fail: told to fail"


def test_a_provider_that_dies_leaves_the_create_on_record(stack: Stack) -> None:
    stack.write([thing("a", fail="crash")])
    failed = stack.run(up)
    assert "ended during Create" in messages(failed)
    assert stack.world() == ["a"]  # it exists, and nobody told the engine
    urn = "urn:pulumi:dev::t::probe:index:Thing::a"
    assert stack.deployment()["pending_operations"][0]["resource"]["urn"] == urn
    stack.write([thing("a")])
    with pytest.raises(EngineError, match="loopback state forget"):
        stack.run(up)
    assert stack.steps() == []


def test_an_absent_plugin_is_named(stack: Stack) -> None:
    stack.write_project(plugins={"providers": []})
    stack.write([thing("a")])
    assert "no resource plugin 'probe' found" in messages(stack.run(up))
    assert stack.rows() == {}
