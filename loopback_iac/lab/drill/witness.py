"""What a router says about who announces: route changes as they happen, and why a session fell.

The load tells what clients noticed; this tells what the network did, from the upstream router next
to the client. Both are stamped by the same machine's clock.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import re
import subprocess
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Self

from loopback_iac.lab.names.space import wait_for
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from ipaddress import IPv4Network, IPv6Network
    from types import TracebackType

_CHANGE = re.compile(r"\[(?P<time>[^\]]+)\] (?P<gone>Deleted )?(?P<prefix>\S+) (?P<rest>.*)")
_DEVICE = re.compile(r"\bdev (\S+)")
_BLOCK = re.compile(r"(?m)^(?=\S)")
_SINCE = re.compile(
    r"(?P<name>\S+) .*?(?P<state>\S+) +(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)"
)
SAME_S = 0.1  # no session falls and is back in less
AHEAD_OF_LOAD = 2  # real-time priority; the load generator has 1


@dataclass(frozen=True, slots=True)
class RouteChange:
    """The router's kernel route to an anycast prefix changed. `towards` None: it has none."""

    realtime_ns: int
    family: int
    towards: str | None


@dataclass(frozen=True, slots=True)
class Session:
    """A BGP session of the router with a PoP."""

    protocol: str
    neighbor: str
    family: int
    established: bool
    last_error: str


@dataclass(frozen=True, slots=True)
class BfdSession:
    """A BFD session of the router."""

    neighbor: str
    up: bool
    interval_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Since:
    """The state of a session, and the time of its last change in seconds of the router's clock."""

    state: str
    at_s: float

    def stands(self, now: Since | None) -> bool:
        """Whether nothing changed until `now`.

        BIRD reckons the time it prints from two clocks that it reads one after the other: the same
        change is told a few milliseconds earlier or later each time.
        """
        return now is not None and self.state == now.state and abs(now.at_s - self.at_s) < SAME_S


@dataclass(frozen=True, slots=True)
class Standing:
    """What may fall, at one moment: how often workers had gone DOWN, since when BFD was up."""

    worker_downs: Mapping[str, int]  # "pop backend/server" -> count of HAProxy's process
    bfd_since: Mapping[str, Since]  # by "router neighbor"


@dataclass(frozen=True, slots=True)
class Falls:
    """What fell between two moments."""

    workers: Mapping[str, int]
    bfd: tuple[str, ...]


class RouteWatch:
    """`ip monitor route` in the router's namespace while the block runs."""

    def __init__(self, namespace: Path, prefixes: Iterable[IPv4Network | IPv6Network]) -> None:
        """In: the router's network namespace, and the prefixes whose routes matter."""
        self._argv = ["nsenter", f"--net={namespace}", "ip", "-ts", "-o", "monitor", "route"]
        self._prefixes = {str(p): p.version for p in prefixes}
        self._running: subprocess.Popen[str] | None = None
        self.changes: tuple[RouteChange, ...] = ()

    def __enter__(self) -> Self:
        """Start watching."""
        environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
        self._running = subprocess.Popen(
            self._argv, stdout=subprocess.PIPE, text=True, env=environment
        )
        # The stamp is of the reading. Behind load and a busy fleet it came up to 10 ms late, and
        # a connection that was under way as the route moved seemed to fail before it; so, 0.3 ms.
        os.sched_setscheduler(self._running.pid, os.SCHED_FIFO, os.sched_param(AHEAD_OF_LOAD))
        wait_for(partial(_listens, self._running))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching; `changes` holds what was seen."""
        if self._running is not None:
            self._running.terminate()
            text, _ = self._running.communicate(timeout=10)
            self.changes = parse_route_changes(text, self._prefixes)


def _listens(monitor: subprocess.Popen[str]) -> bool:
    """Whether it is told of changes by now: it has a netlink socket that belongs to groups.

    Raises: LabError when it is gone.
    """
    if monitor.poll() is not None:
        raise LabError(f"{monitor.args!r} ended with exit code {monitor.returncode}")
    # port and groups are the third and the fourth column; the port is the process's number
    rows = Path(f"/proc/{monitor.pid}/net/netlink").read_text().splitlines()[1:]
    found = (row.split()[2:4] for row in rows)
    return any(port == str(monitor.pid) and int(groups, 16) for port, groups in found)


def parse_route_changes(text: str, prefixes: Mapping[str, int]) -> tuple[RouteChange, ...]:
    """Read `ip -ts -o monitor route`.

    In: its text with times in UTC; prefix -> family.
    Out: changes of these prefixes in order; `towards` is the interface, which is named after the
    neighbor at its other end.
    """
    found = []
    for line in text.splitlines():
        match = _CHANGE.match(line)
        if match is None or match["prefix"] not in prefixes:
            continue
        device = _DEVICE.search(match["rest"])
        gone = bool(match["gone"]) or device is None
        stamp = dt.datetime.fromisoformat(match["time"]).replace(tzinfo=dt.UTC)
        found.append(
            RouteChange(
                realtime_ns=round(stamp.timestamp() * 1e6) * 1000,
                family=prefixes[match["prefix"]],
                towards=None if gone or device is None else device[1],
            )
        )
    return tuple(found)


def route_at(changes: Sequence[RouteChange], family: int, realtime_ns: int) -> RouteChange | None:
    """Out: the last change of a family's route before a moment."""
    before = [c for c in changes if c.family == family and c.realtime_ns <= realtime_ns]
    return before[-1] if before else None


def count_falls(before: Standing, after: Standing) -> Falls:
    """Out: what fell between them; a restarted HAProxy counts from 0."""
    workers = {
        name: count - (had if (had := before.worker_downs.get(name, 0)) <= count else 0)
        for name, count in after.worker_downs.items()
    }
    fell = [n for n, was in before.bfd_since.items() if not was.stands(after.bfd_since.get(n))]
    return Falls(workers, tuple(sorted(fell)))


def parse_worker_downs(text: str) -> dict[str, int]:
    """Read HAProxy's `show stat`.

    Out: "backend/server" -> how often its checks took it DOWN; servers without checks left out.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
    return {
        f"{row['pxname']}/{row['svname']}": int(row["chkdown"])
        for row in rows
        if row["svname"] not in ("FRONTEND", "BACKEND") and row["chkdown"]
    }


def parse_bfd_since(text: str) -> dict[str, Since]:
    """Read `birdc show bfd sessions`.

    Out: by neighbor.
    Raises: LabError for a session without the time of its last change.
    """
    rows = (line for line in text.splitlines() if _is_address(line.partition(" ")[0]))
    return dict(map(_change, rows))


def parse_bgp_since(text: str) -> dict[str, Since]:
    """Read `birdc show protocols`.

    Out: by name of a BGP session.
    Raises: as `parse_bfd_since`.
    """
    return dict(_change(line) for line in text.splitlines() if line.split()[1:2] == ["BGP"])


def _change(row: str) -> tuple[str, Since]:
    """A row with a state and since when, which lab routers write as `iso long ms`."""
    match = _SINCE.match(row)
    if match is None:  # left out, a session could fall and nobody would say so
        raise LabError(f"BIRD does not say since when: {row!r}")
    at_s = dt.datetime.fromisoformat(match["time"]).timestamp()
    return match["name"], Since(match["state"], at_s)


def parse_sessions(text: str) -> tuple[Session, ...]:
    """Read `birdc show protocols all`: the BGP sessions in it."""
    found = []
    for block in _BLOCK.split(text):
        words = block.split()
        if len(words) < 2 or words[1] != "BGP":
            continue
        neighbor = _field(block, "Neighbor address").partition("%")[0]
        if neighbor:
            found.append(
                Session(
                    protocol=words[0],
                    neighbor=neighbor,
                    family=6 if ":" in neighbor else 4,
                    established=_field(block, "BGP state") == "Established",
                    last_error=_field(block, "Last error"),
                )
            )
    return tuple(found)


def parse_bfd_sessions(text: str) -> tuple[BfdSession, ...]:
    """Read `birdc show bfd sessions`.

    Units: seconds, as BIRD prints them.
    """
    found = []
    for words in map(str.split, text.splitlines()):
        # the time between state and interval is one word or two
        if len(words) >= 6 and _is_address(words[0]):
            up = words[2] == "Up"
            found.append(BfdSession(words[0], up, float(words[-2]), float(words[-1])))
    return tuple(found)


def _is_address(word: str) -> bool:
    try:
        ip_address(word)
    except ValueError:
        return False
    return True


def _field(block: str, name: str) -> str:
    match = re.search(rf"(?m)^\s+{re.escape(name)}:\s+(.*\S)", block)
    return match[1] if match else ""
