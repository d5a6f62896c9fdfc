"""What a real API server and the agent's own parser say of every mistake, beside what we say."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from loopback_iac.kube import check_manifests
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.cilium import Ground, ground
from loopback_iac.lab.paths import LabError
from tests.cluster.mistakes import MISTAKES, SOUND, Mistake, policy

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """An API server with Cilium's kinds, and no agent."""
    with ground("cegp", (), tmp_path_factory.mktemp("exports")) as made:
        yield made


def refused_by_server(made: Ground, tree: object) -> bool:
    argv = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"]
    try:
        made.kubectl(*argv, text=json.dumps(tree))
    except LabError as error:
        # for what it says, and not because nobody answered
        if "is invalid:" in str(error) or "not declared in schema" in str(error):
            return True
        raise
    return False


def refused_by_agent(tree: object) -> bool:
    done = subprocess.run(
        [binary("cegp")], input=json.dumps(tree), capture_output=True, text=True, check=True
    )
    return bool(json.loads(done.stdout)["error"])


def test_a_sound_policy_passes_all_three(server):
    sound = policy("sound", SOUND)
    assert not check_manifests([sound])
    assert not refused_by_server(server, sound)
    assert not refused_by_agent(sound)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_who_notices(server: Ground, mistake: Mistake):
    tree = mistake.policy()
    assert mistake.rule in {problem.rule for problem in check_manifests([tree])}
    refused = {"server": refused_by_server(server, tree), "agent": refused_by_agent(tree)}
    assert {name for name, said in refused.items() if said} == mistake.refused
