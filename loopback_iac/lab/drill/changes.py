"""Drills that change a fleet under load: what an operator does on an ordinary day."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from loopback_iac.lab.drill.checks import (
    ALWAYS,
    ANNOUNCED,
    NO_WORKER_FALLS,
    NONE_FAILS,
    ONLY_MOVING_FAIL,
    POP_STAYS,
    SERVED_AGAIN,
)
from loopback_iac.lab.drill.drill import Drill, Scene
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.stackconfig import PROJECT
from loopback_iac.lab.topology import OPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.lab.drill.ground import Ground

ANOTHER_ADMIN = "192.0.2.250/32"
CHECKOUT = Path(__file__).parents[3]


def _at_pop(*argv: str) -> Callable[[Ground], Scene]:
    def stage(ground: Ground) -> Scene:
        return Scene("", lambda: ground.on(ground.pop, *argv), lambda: None)

    return stage


@dataclass(frozen=True)
class DeployedStack:
    """The demonstration's stack file, as it was before the drill."""

    ground: Ground
    kept: str

    def deploy(self, key: str, value: object) -> None:
        """`loopback up` with one value of the configuration changed."""
        changed = yaml.safe_load(self.kept)
        changed["config"][f"{PROJECT}:{key}"] = value
        self._deploy(yaml.safe_dump(changed, sort_keys=False))

    def deploy_kept(self) -> None:
        """`loopback up` with the file as it was."""
        self._deploy(self.kept)

    def _deploy(self, text: str) -> None:
        self.ground.lab.paths.stack_config.write_text(text)
        argv = ["loopback", "up", "-C", str(CHECKOUT), "--yes"]
        done = self.ground.lab.exec(OPS, argv, timeout_s=120)
        if done.returncode:
            raise LabError(f"`loopback up` failed ({done.returncode}): {done.stderr[-2000:]}")

    @property
    def config(self) -> dict[str, Any]:
        """The configuration before the drill, by key without the project's name."""
        found = yaml.safe_load(self.kept)["config"]
        return {key.removeprefix(f"{PROJECT}:"): value for key, value in found.items()}


def read_stack(ground: Ground) -> DeployedStack:
    """The stack as it stands.

    Raises: LabError when there is no program to deploy.
    """
    if not (CHECKOUT / "stacks/edge").is_dir():
        raise LabError(f"this drill deploys stacks/edge, and {CHECKOUT} has none: use a checkout")
    return DeployedStack(ground, ground.lab.paths.stack_config.read_text())


def _roll_out(ground: Ground) -> Scene:
    """Deploy another administrator's address, which every firewall takes up, and take it back."""
    stack = read_stack(ground)
    admins = [*stack.config["adminSources"], ANOTHER_ADMIN]
    return Scene("", lambda: stack.deploy("adminSources", admins), stack.deploy_kept)


def _rotate_keys(ground: Ground) -> Scene:
    """Expand, move, contract; the new keys stay, as after any rotation that came to its end."""
    stack, notes = read_stack(ground), {}
    (old, *under_way) = stack.config.get("tunnels", {}).get("key_epochs", [1])
    if under_way:
        raise LabError("a rotation is under way; end it before this drill (docs/runbook.md)")
    steps = ([old, old + 1], [old + 1, old], [old + 1])
    tried: list[list[int]] = []

    def rotate() -> None:
        for epochs in steps:
            tried.append(epochs)
            began = time.monotonic()
            stack.deploy("tunnels", {"key_epochs": epochs})
            notes[f"up to {epochs}"] = f"{time.monotonic() - began:.1f} s"
        tried.clear()

    def go_back() -> None:
        """A rotation that was cut short takes the steps it made the other way."""
        if tried:
            for epochs in reversed(tried[:-1]):
                stack.deploy("tunnels", {"key_epochs": epochs})
            stack.deploy_kept()
            tried.clear()

    return Scene("", rotate, lambda: None, notes, go_back)


DRILLS = (
    Drill(
        name="haproxy-reload",
        what="`systemctl reload haproxy` at the client's PoP",
        repair="none",
        expects="the new process takes over the listening sockets; long-lived connections stay with"
        " the old one",
        hold_s=3,
        stage=_at_pop("systemctl", "reload", "haproxy"),
        must_hold=(*POP_STAYS, NONE_FAILS, NO_WORKER_FALLS),
    ),
    Drill(
        name="watch-restart",
        what="`systemctl restart loopback-watch` at the client's PoP, as an upgrade of the agent"
        " does",
        repair="none",
        expects="the new watch adopts the gates it finds; nobody notices",
        hold_s=3,
        stage=_at_pop("systemctl", "restart", "loopback-watch"),
        must_hold=(*POP_STAYS, NONE_FAILS, NO_WORKER_FALLS),
    ),
    Drill(
        name="rolling-change",
        what="`loopback up` with a change to every PoP, one after the other",
        repair="`loopback up` with the old value",
        expects="each PoP is drained, changed and back before the next one is touched",
        hold_s=1,
        stage=_roll_out,
        must_hold=(*ALWAYS, ANNOUNCED, ONLY_MOVING_FAIL, NO_WORKER_FALLS, SERVED_AGAIN),
    ),
    Drill(
        name="key-rotation",
        what="new WireGuard keys for every tunnel, in three `loopback up`: tunnels beside, traffic"
        " moves to them, the old ones go",
        repair="none: the new keys stay",
        expects="each PoP is changed three times, drained where that would disturb connections;"
        " every worker is reached all the time",
        hold_s=1,
        stage=_rotate_keys,
        must_hold=(*ALWAYS, ANNOUNCED, ONLY_MOVING_FAIL, NO_WORKER_FALLS, SERVED_AGAIN),
    ),
)
