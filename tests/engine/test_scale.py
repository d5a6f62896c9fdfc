"""What many resources cost, counted instead of timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.conftest import Stack


def test_the_program_waits_for_each_resource_once(stack: Stack, tmp_path: Path) -> None:
    stack.use_program("counted")
    stack.write([], note=str(tmp_path / "waits"))
    assert stack.up().counts == {"create": 50}
    # Left alone, the SDK waits anew on all that is open for each one that ends: work by the square.
    assert 0 < int((tmp_path / "waits").read_text()) < 15


def test_as_many_steps_run_at_once_as_were_asked_for(stack: Stack) -> None:
    graph = [{"name": f"r{number}", "inputs": {"meet": 12}} for number in range(12)]
    stack.write(graph)
    stack.up(parallel=12)  # each waits in the provider until all twelve are there
