"""HAProxy's runtime socket: which workers it would use, and which of its processes answers."""

from __future__ import annotations

import re
import socket
import time

DEADLINE_S = 1.0


def ask(path: str, command: str) -> str | None:
    """One command over the runtime socket.

    Out: the answer; None when HAProxy does not give a whole one within a second.
    """
    end = time.monotonic() + DEADLINE_S
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
            talk.settimeout(DEADLINE_S)
            talk.connect(path)
            talk.sendall(command.encode() + b"\n")
            while time.monotonic() < end:
                piece = talk.recv(1 << 16)
                if not piece:
                    return answer.decode("utf-8", "replace")
                answer += piece
    except OSError:
        return None
    return None


def read_workers(path: str) -> dict[str, int] | None:
    """Reachable workers per HAProxy backend; None when it does not answer."""
    answer = ask(path, "show stat -1 4 -1")
    return None if answer is None else parse_workers(answer)


def parse_workers(text: str) -> dict[str, int] | None:
    """Count the servers that HAProxy would use, from `show stat` in CSV.

    Backup servers are unchecked last resorts, so they say nothing and are not counted.
    """
    rows = _parse_rows(text)
    if rows is None:
        return None
    counts: dict[str, int] = {}
    for row in rows:
        usable = (
            row["status"].startswith(("UP", "no check"))
            and row.get("bck") != "1"
            and row.get("weight") != "0"
        )
        counts[row["pxname"]] = counts.get(row["pxname"], 0) + usable
    return counts


def read_servers(path: str) -> dict[str, dict[str, dict[str, object]]] | None:
    """Backend -> worker -> what HAProxy thinks of it; None when it does not answer."""
    answer = ask(path, "show stat -1 4 -1")
    return None if answer is None else parse_servers(answer)


def parse_servers(text: str) -> dict[str, dict[str, dict[str, object]]] | None:
    """Status (`UP`, `UP 1/3`, `DOWN`, `no check`) and weight of each server, from `show stat`."""
    rows = _parse_rows(text)
    if rows is None:
        return None
    found: dict[str, dict[str, dict[str, object]]] = {}
    for row in rows:
        seen = {"status": row["status"], "weight": int(row.get("weight") or 0)}
        found.setdefault(row["pxname"], {})[row["svname"]] = seen
    return found


def read_denied(path: str) -> dict[str, int] | None:
    """Connections that each frontend refused by rule; None when HAProxy does not answer."""
    answer = ask(path, "show stat -1 1 -1")
    return None if answer is None else parse_denied(answer)


def parse_denied(text: str) -> dict[str, int] | None:
    """Connections that each frontend refused, from `show stat` in CSV."""
    rows = _parse_rows(text)
    return None if rows is None else {row["pxname"]: int(row["dcon"] or 0) for row in rows}


def _parse_rows(text: str) -> list[dict[str, str]] | None:
    """`show stat` by column name; None for any other answer."""
    lines = [line for line in text.splitlines() if line]
    if not lines or not lines[0].startswith("# "):
        return None
    names = lines[0][2:].split(",")
    return [dict(zip(names, line.split(","), strict=False)) for line in lines[1:]]


def worker_process(path: str) -> int | None:
    """The process that answers on the socket: a reload that took hold changes it."""
    found = re.search(r"^Pid: (\d+)$", ask(path, "show info") or "", re.MULTILINE)
    return int(found.group(1)) if found else None
