"""Running the user's program as a child of the engine."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from loopback_iac.engine.processes import Child, Command
from loopback_iac.engine.results import Severity

if TYPE_CHECKING:
    from loopback_iac.engine.monitor import Gate
    from loopback_iac.engine.run import Run

_RUNNER = Path(__file__).with_name("runner.py")
_POLL_S = 0.2
# After this long, people are told what is waited for.
_FAREWELL_S = 10.0


class Program:
    """The running program; ends with `finish` or `end`."""

    def __init__(self, run: Run, address: str, gate: Gate) -> None:
        self._run, self._gate = run, gate
        project, config = run.project, run.config
        order = {
            "address": address,
            "project": project.name,
            "stack": run.stack,
            "root": str(project.root),
            "program": str(project.program),
            "parallel": run.parallel,
            "dry_run": run.dry_run,
            "config": config.values,
            "secret_keys": sorted(config.secret_keys),
            "missing": sorted(config.missing),
        }
        environment = {
            "LOOPBACK_PROGRAM": json.dumps(order),
            "PULUMI_CONFIG": json.dumps(config.values),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(sorted(config.secret_keys)),
            "PULUMI_PROJECT": project.name,
            "PULUMI_STACK": run.stack,
        }
        command = Command(project.python, "path", str(_RUNNER))
        self._child = Child(command, project.work_dir, environment)
        self._child.drain()
        self._ended = threading.Event()
        self._code: int | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        self._code = self._child.wait()
        self._ended.set()
        self._gate.arrived.set()

    def wait(self) -> bool:
        """
        Wait until the program has registered everything, or ended.

        Out: whether it got to its end; False also when the run was cancelled.
        """
        while not self._gate.arrived.wait(_POLL_S):
            if self._run.cancelled:
                return False
        return not self._ended.is_set()

    def finish(self) -> bool:
        """
        Let the program go and wait for its end, however long it takes, as the Pulumi CLI does.

        Out: whether it ended well; True also when the run was cancelled meanwhile.
        """
        self._gate.released.set()
        if not self._ended.wait(_FAREWELL_S):
            self._run.say(Severity.INFO, "the program has declared everything and still runs")
        while not self._ended.wait(_POLL_S):
            if self._run.cancelled:
                return True
        return self._code == 0

    def explain(self) -> str:
        """What the program printed, for an end without an error of its own; after that end."""
        code = self._code or 0
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"the program {how}\n{self._child.tail()}".rstrip()

    def output(self) -> str:
        """What the program printed."""
        return self._child.tail()

    def end(self) -> None:
        """End the program, whatever it is doing."""
        self._gate.released.set()
        if self._run.failed or self._run.cancelled:
            self._ended.wait(_POLL_S)
        self._child.end()
