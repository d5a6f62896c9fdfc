"""The health gate's keeper: a service without privileges that looks, decides, writes gate files and
tells BIRD.

It may be restarted or replaced at any moment: it adopts the gates it finds, and stopping it touches
none.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from typing import NamedTuple

from .decide import Drain, Memory, Names, Sight, decide
from .gates import (
    CLOSED,
    POSITIONS,
    BirdError,
    drop_foreign_gates,
    read_positions,
    tell_bird,
    write_gate,
    write_plain,
)
from .haproxy import read_workers
from .listeners import Listener, covered, read_listeners
from .naming import Naming
from .programs import boot_id, boottime_s, run
from .refusal import RefusedError
from .state import STATE, State, read_state
from .watchfile import GATE_FOLDER, Watch, read_watch

TICK_S = 0.2
TUNNELS_S = 1.0
HEAL_AGAIN_S = 5.0


class Daemon:
    """A main process held by a pidfd, so that its death is an event and not a finding."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.descriptor = -1

    def look(self) -> bool:
        """Whether it lives; a death is told at once, a new main process is looked for later."""
        if self.descriptor >= 0:
            if not _readable(self.descriptor):
                return True
            self.forget()
            return False
        with contextlib.suppress(RefusedError, OSError, ValueError):
            out = run("systemctl", "show", self.unit, "-p", "MainPID", "--value", timeout_s=2).out
            if int(out.strip() or 0) > 0:
                self.descriptor = os.pidfd_open(int(out))
        return self.descriptor >= 0 and not _readable(self.descriptor)

    def forget(self) -> None:
        """Let go of a dead process."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


class Noted(NamedTuple):
    """The saved state as last read."""

    stamp: tuple[int, int]
    state: State


def watch() -> None:
    """Look forever.

    Raises: RefusedError when there is no watch.json.
    """
    kept = read_watch()
    if kept is None:
        raise RefusedError("there is no /etc/loopback/watch.json", fix="apply a bundle first")
    keeper = Keeper(kept)
    while True:
        keeper.step()


class Keeper:
    """One run of the watch over one watch.json."""

    def __init__(self, kept: Watch) -> None:
        self.kept = kept
        self.haproxy, self.bird = Daemon("haproxy"), Daemon("bird")
        self.namer = Daemon(kept.name_service.unit) if kept.name_service else None
        asked = [address for each in kept.announcements for address in each.names]
        self.naming = Naming(kept.name_service, asked) if kept.name_service else None
        found = read_positions(kept)
        self.memories = {name: Memory(position) for name, position in found.items()}
        self.positions = {name: position or CLOSED for name, position in found.items()}
        self.reasons: dict[str, str] = {}
        self.told = _was_told()
        self.noted = Noted((0, 0), {})
        self.tunnels_at = 0.0
        self.asked: dict[str, float] = {}
        self.boot = boot_id()
        drop_foreign_gates(kept)
        self._refresh_texts(found)

    def _refresh_texts(self, found: dict[str, str | None]) -> None:
        """A new watch.json may say the same position in other words."""
        for announcement in self.kept.announcements:
            position = found[announcement.name]
            if position is not None and not _says(announcement.gate, announcement.texts[position]):
                write_gate(announcement, position)
                self.told = False

    def step(self) -> None:
        """Wait for a death or the next tick, then look and act."""
        daemons = (self.haproxy, self.bird, self.namer)
        descriptors = [d.descriptor for d in daemons if d is not None and d.descriptor >= 0]
        select.select(descriptors, [], [], TICK_S)
        if self.kept.announcements:
            self._act(self._look())
        if time.monotonic() - self.tunnels_at >= TUNNELS_S:
            self.tunnels_at = time.monotonic()
            self._look_at_tunnels()

    def _look(self) -> Sight:
        haproxy = self.haproxy.look() if self.kept.services else True
        bird = self.bird.look()
        alive = haproxy and bird  # a death is acted on before anything else is asked
        state = self._state()
        return Sight(
            time.monotonic(),
            haproxy,
            bird,
            self._missing() if alive else frozenset(),
            read_workers(self.kept.haproxy_socket) if alive and self.kept.services else None,
            bool(state.get("active")) and not state.get("pending"),
            self._drain(state),
            self._names(),
        )

    def _names(self) -> dict[str, Names]:
        if self.naming is None or self.namer is None:
            return {}
        return self.naming.look(running=self.namer.look())

    def _missing(self) -> frozenset[Listener]:
        wanted = {
            listener for service in self.kept.services.values() for listener in service.listeners
        }
        try:
            return frozenset(wanted - covered(wanted, read_listeners()))
        except OSError:
            return frozenset()  # no answer is no finding

    def _state(self) -> State:
        with contextlib.suppress(OSError, ValueError):
            found = os.stat(STATE)
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self.noted.stamp:
                self.noted = Noted(stamp, read_state())
        return self.noted.state

    def _drain(self, state: State) -> Drain | None:
        wishes = [wish for wish in (state.get("drain") or {}).values() if wish]
        if not wishes:
            return None
        now = boottime_s()
        drains = [
            Drain(
                now - wish["since_s"] if wish["boot"] == self.boot else float("inf"),
                wish["seconds"],
            )
            for wish in wishes
        ]
        return max(drains, key=lambda wish: wish.elapsed_s - wish.seconds)

    def _act(self, sight: Sight) -> None:
        moved = False
        for announcement in self.kept.announcements:
            name = announcement.name
            done = decide(
                announcement,
                self.kept.services,
                self.memories[name],
                sight,
                self.kept.return_hold_s,
            )
            self.memories[name] = done.memory
            unwritten = done.memory.position is not None and not os.path.exists(announcement.gate)
            if done.position != self.positions[name] or unwritten:
                write_gate(announcement, done.position)
                self.told, moved = False, True
            if moved or done.reason != self.reasons.get(name):
                _say(f"{name} is {done.position}: {done.reason}")
            self.positions[name], self.reasons[name] = done.position, done.reason
        if not self.told and sight.bird:
            self._tell_bird()
        self._note()

    def _tell_bird(self) -> None:
        try:
            tell_bird(self.kept.bird_socket, "configure")
            self.told = True
        except BirdError as refused:
            _say(f"bird did not read the gates: {refused}")
            self._disable_closed()

    def _disable_closed(self) -> None:
        """BIRD keeps announcing when its configuration on disk is broken; a disable needs no
        configuration.

        The next successful configure undoes it, and finds the gate file closed.
        """
        for family in (4, 6):
            positions = {
                self.positions[a.name] for a in self.kept.announcements if a.family == family
            }
            if positions == {CLOSED}:
                with contextlib.suppress(BirdError):
                    tell_bird(self.kept.bird_socket, f"disable own{family}")

    def _note(self) -> None:
        text = json.dumps(
            {"positions": self.positions, "reasons": self.reasons, "told": self.told},
            sort_keys=True,
        )
        if not _says(POSITIONS, text):
            write_plain(POSITIONS, text)

    def _look_at_tunnels(self) -> None:
        """An interface that vanished (a dead wireguard-go leaves its unit active) is set up again
        by root.
        """
        now = time.monotonic()
        for tunnel in (*self.kept.tunnels, *self.kept.upstream_tunnels):
            if os.path.exists(f"/sys/class/net/{tunnel}"):
                self.asked.pop(tunnel, None)
            elif now - self.asked.get(tunnel, -HEAL_AGAIN_S) >= HEAL_AGAIN_S:
                self.asked[tunnel] = now
                _say(f"the tunnel interface {tunnel} is gone; asking for it")
                with contextlib.suppress(OSError):  # no folder yet: the wish comes again
                    write_plain(f"{GATE_FOLDER}heal-{tunnel}", "")


def _says(path: str, text: str) -> bool:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read() == text
    except FileNotFoundError:
        return False


def _was_told() -> bool:
    try:
        with open(POSITIONS, encoding="utf-8") as stream:
            return bool(json.load(stream)["told"])
    except (OSError, ValueError, KeyError):
        return False


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
