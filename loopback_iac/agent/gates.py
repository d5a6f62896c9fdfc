"""Gate files and BIRD's control socket.

The file comes first, always: `birdc configure` reads it, and undoes a run-time `disable`. The
socket only makes the
change quick. Positions stand in a file of their own beside the gates, because the text of a gate
may change with a
new watch.json while the position stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING

from .watchfile import GATE_FOLDER

if TYPE_CHECKING:
    from .watchfile import Announcement, Watch

OPEN, DEPREFER, CLOSED = "open", "deprefer", "closed"
POSITIONS = f"{GATE_FOLDER}positions.json"
BIRD_DEADLINE_S = 2.0
# of the BIRD that a worker runs for egress, beside whatever BIRD the host has
EGRESS_SOCKET = "/run/loopback-egress/bird.ctl"


def write_plain(path: str, text: str) -> None:
    """Replace a file in /run by rename; not synced, it does not outlive the boot anyway."""
    waiting = f"{path}.new"
    with open(waiting, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(waiting, path)


def write_gate(announcement: Announcement, position: str) -> None:
    """Put the text of a position into the gate file."""
    write_plain(announcement.gate, announcement.texts[position])


def read_gate(announcement: Announcement) -> str | None:
    """The position a gate file stands for; None when there is no file (boot: withdrawn).

    A text of none of the three is an older open one when it announces anything at all.
    """
    try:
        with open(announcement.gate, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    for position, known in announcement.texts.items():
        if text == known:
            return position
    announces = any(
        line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()
    )
    return OPEN if announces else CLOSED


def read_positions(watch: Watch) -> dict[str, str | None]:
    """Announcement -> position as the files say; the positions file decides where a text is an
    older one.
    """
    noted: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError), open(POSITIONS, encoding="utf-8") as stream:
        noted = json.load(stream)["positions"]
    found: dict[str, str | None] = {}
    for announcement in watch.announcements:
        position = read_gate(announcement)
        if position == OPEN and noted.get(announcement.name) == DEPREFER:
            position = DEPREFER
        found[announcement.name] = position
    return found


def read_reasons() -> dict[str, str]:
    """Announcement -> why it stands as it does, as the watch noted it."""
    try:
        with open(POSITIONS, encoding="utf-8") as stream:
            reasons: dict[str, str] = json.load(stream)["reasons"]
    except (OSError, ValueError, KeyError):
        return {}
    return reasons


def announcing(watch: Watch | None) -> list[str]:
    """Names of announcements whose gate lets a route out."""
    if watch is None:
        return []
    return [
        name for name, position in read_positions(watch).items() if position in (OPEN, DEPREFER)
    ]


def drop_foreign_gates(watch: Watch | None) -> None:
    """Remove gate files of announcements that are no longer declared: the wildcard include would
    announce them.
    """
    known = {announcement.gate for announcement in watch.announcements} if watch else set()
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(GATE_FOLDER):
            path = GATE_FOLDER + name
            if name.startswith("gate") and name.endswith(".conf") and path not in known:
                os.unlink(path)


class BirdError(Exception):
    """BIRD refused, or did not answer within the deadline."""


def tell_bird(path: str, command: str, deadline_s: float = BIRD_DEADLINE_S) -> list[str]:
    """One command over the control socket.

    In:  the socket's path, the command, a deadline for each read.
    Out: the answer's lines with their codes.
    Raises: BirdError with BIRD's own words.
    """
    lines: list[str] = []
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
            talk.settimeout(deadline_s)
            talk.connect(path)
            stream = talk.makefile("r", encoding="utf-8", errors="replace")
            stream.readline()  # greeting
            talk.sendall(command.encode() + b"\n")
            for line in stream:
                lines.append(line.rstrip("\n"))
                # codes with a space end the answer; with a dash, or none, more follows
                if len(line) > 4 and line[:4].isdigit() and line[4] == " ":
                    break
            else:
                raise BirdError(f"BIRD closed the control socket during `{command}`")
    except OSError as broken:
        raise BirdError(f"BIRD's control socket {path}: {broken or 'no answer'}") from broken
    if lines[-1][0] in "89":
        raise BirdError("; ".join(line[5:] for line in lines if line[:1] in "89"))
    return lines


def configure_bird(path: str) -> None:
    """Have BIRD read its configuration and the gates again.

    Raises: BirdError.
    """
    tell_bird(path, "configure")
