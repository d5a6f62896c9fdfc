"""A step of the agent's, done by its own code on a host of a test."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import loopback_iac.agent

if TYPE_CHECKING:
    import subprocess

    from loopback_iac.lab.names.machine import Machine

AGENT = Path(loopback_iac.agent.__file__).parent
STEP = """\
import importlib, json, sys
sys.path.insert(0, "/etc/loopback")
from agent.refusal import RefusedError
module, _, verb = sys.argv[1].partition(".")
found = importlib.import_module(f"agent.{module}")
vars(found).update(json.loads(sys.argv[2]))
try:
    getattr(found, verb)(sys.argv[3:])
except RefusedError as refused:
    sys.exit(refused.what)
"""


def bring_agent(host: Machine) -> None:
    """Its modules, where the host's programs find them."""
    shutil.copytree(AGENT, host.ground / "etc/loopback/agent", dirs_exist_ok=True)


def take_step(
    host: Machine, verb: str, *zones: str, **patience: float
) -> subprocess.CompletedProcess[str]:
    """In: verb, e.g. `zones.load_zones`; constants of its module that are to be others.

    Out: what it refused is on stderr, with exit code 1.
    """
    bring_agent(host)
    return host.run("python3", "-B", "-c", STEP, verb, json.dumps(patience), *zones)
