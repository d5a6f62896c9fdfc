"""The pipelines of docs/ci.md can be read by what they are for."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from loopback_iac.cli import app

PAGE = (Path(__file__).parents[3] / "docs/ci.md").read_text()
(SCRIPT,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
PIPELINES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_script_is_one_that_bash_reads():
    subprocess.run(["bash", "-n"], input=SCRIPT, text=True, check=True, timeout=30)


def test_every_verb_and_option_of_the_script_exists():
    lines = [line.strip() for line in SCRIPT.replace("\\\n", " ").splitlines()]
    told = [line for line in lines if line.startswith("loopback ")]
    assert len(told) >= 6
    given = {*re.findall(r" (--?[a-z-]+|-C)", " ".join(re.findall(r"=\(.*?\)", SCRIPT)))}
    for line in told:
        here = get_command(app)
        words = line.partition(" #")[0].partition(" |")[0].split()[1:]
        while getattr(here, "commands", None):
            here = here.commands[words.pop(0)]
        known = {o for p in here.params for o in (*p.opts, *p.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= known, line
    assert given


@pytest.mark.parametrize("text", PIPELINES)
def test_a_pipeline_checks_and_deploys_with_the_script(text):
    tree = yaml.safe_load(text)
    assert isinstance(tree, dict)
    assert "ci/edge" in text
    assert "deploy" in text
