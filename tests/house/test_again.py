"""What a busy machine failed is run again alone; what fails there as well, or too much, fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "again"
TESTS = """\
from pathlib import Path

import pytest


@pytest.mark.parametrize("passes_from", {cases})
def test_one(passes_from, request):
    count = Path(__file__).with_name(f"{{request.node.name}}.count")
    with count.open("a") as stream:
        stream.write(".")
    assert len(count.read_text()) >= passes_from
"""


@pytest.fixture
def again(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / ".venv").symlink_to(sys.prefix)
    shutil.copy(SCRIPT, tmp_path / "tests")

    def run(*cases):
        (tmp_path / "tests/test_it.py").write_text(TESTS.format(cases=list(cases)))
        return subprocess.run(
            [tmp_path / "tests/again", "-q", "-p", "no:xdist", "tests"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def test_what_passes_alone_twice_passes_and_is_named(again):
    done = again(1, 2, 2)
    assert done.returncode == 0
    assert done.stdout.endswith("test_one[2_0]\n  tests/test_it.py::test_one[2_1]\n")


@pytest.mark.parametrize("cases", [(1, 3), (2, 2, 2), (99,)], ids=["alone", "three", "always"])
def test_others_fail(again, cases):
    assert again(*cases).returncode == 1


def test_nobody_is_run_again_when_all_pass(again):
    done = again(1, 1)
    assert done.returncode == 0
    assert "alone" not in done.stdout
