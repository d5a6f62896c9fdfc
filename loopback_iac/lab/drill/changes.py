"""Drills that change a fleet under load: what an operator does on an ordinary day."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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


def _at_pop(*argv: str) -> Callable[[Ground], Scene]:
    def stage(ground: Ground) -> Scene:
        return Scene("", lambda: ground.on(ground.pop, *argv), lambda: None)

    return stage


def _roll_out(ground: Ground) -> Scene:
    """Deploy another administrator's address, which every firewall takes up, and take it back."""
    stack, path = Path(__file__).parents[3], ground.lab.paths.stack_config
    if not (stack / "stacks/edge").is_dir():
        raise LabError(f"this drill deploys stacks/edge, and {stack} has none: use a checkout")
    kept = path.read_text()
    changed = yaml.safe_load(kept)
    changed["config"][f"{PROJECT}:adminSources"].append(ANOTHER_ADMIN)

    def deploy(text: str) -> None:
        path.write_text(text)
        done = ground.lab.exec(OPS, ["loopback", "up", "-C", str(stack), "--yes"], timeout_s=120)
        if done.returncode:
            raise LabError(f"`loopback up` failed ({done.returncode}): {done.stderr[-2000:]}")

    return Scene(
        "",
        lambda: deploy(yaml.safe_dump(changed, sort_keys=False)),
        lambda: deploy(kept),
    )


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
)
