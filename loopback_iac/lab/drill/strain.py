"""Drills that press a PoP without taking anything away from it. It must not leave."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from loopback_iac.lab.drill.checks import (
    NO_BFD_FALLS,
    NONE_FAILS,
    POP_STAYS,
    SESSIONS_STAY,
    each_family,
)
from loopback_iac.lab.drill.drill import Check, Drill, Scene
from loopback_iac.lab.drill.ground import PORT, VIPS, LoadProcess, Pace
from loopback_iac.lab.namespaces import enter, run
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.topology import Role

if TYPE_CHECKING:
    from loopback_iac.lab.drill.drill import Evidence
    from loopback_iac.lab.drill.ground import Ground

FLOOD_RATE, FLOOD_S = 3000, 20
BESIDE = Pace(rate=50, streams=0)
COUNT = "/proc/sys/net/netfilter/nf_conntrack_count"
OTHERS, TRACKED = "failed of other PoPs' clients", "connections tracked at the PoP"
# how long an entry without an answer stands; 8 s outlast the filling and the drill
UNANSWERED_S = "/proc/sys/net/netfilter/nf_conntrack_udp_timeout"
TRACKED_TABLE = "/proc/net/nf_conntrack"
FULL_S, EMPTY, EMPTY_DEADLINE_S = 8, 1000, 60
FILLED = "connections tracked once the table was full"
ARRIVED = "new connections the PoP's firewall counted"


class _Beside:
    """Ordinary clients of another PoP, meanwhile."""

    def __init__(self, ground: Ground, notes: dict[str, str]) -> None:
        clients = [h.name for h in ground.lab.topology.having(Role.CLIENT)]
        other = next(name for name in clients if name != ground.client)
        self.ground, self.notes = type(ground)(ground.lab, other), notes
        self.running: LoadProcess | None = None

    def begin(self) -> None:
        self.running = LoadProcess(self.ground, BESIDE, 60)
        self.running.__enter__()

    def undo(self) -> None:
        if self.running is not None:
            attempts = self.running.finish().attempts
            self.running = None
            failed = sum(a.failed for a in attempts)
            self.notes[OTHERS] = f"{failed} of {len(attempts)}"


class _Flood:
    """SYNs at the client's PoP."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.notes: dict[str, str] = {}
        self.beside = _Beside(ground, self.notes)
        self.running: subprocess.Popen[str] | None = None
        self.counted = _new_connections(ground)

    def begin(self) -> None:
        self.beside.begin()
        argv = [*enter(self.ground.lab.paths, self.ground.client), sys.executable]
        self.running = subprocess.Popen(
            [*argv, "-m", "loopback_iac.lab.drill.flood"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        plan = {"targets": VIPS, "port": PORT, "rate": FLOOD_RATE, "seconds": FLOOD_S}
        if self.running.stdin is None or self.running.stdout is None:
            raise LabError("the flood has no pipes")
        self.running.stdin.write(json.dumps(plan))
        self.running.stdin.close()
        self.running.stdin = None
        if not self.running.stdout.readline():
            raise LabError(f"the flood did not start (exit {self.running.wait(5)})")

    def undo(self) -> None:
        if self.running is not None:
            self.notes[TRACKED] = self.ground.on(self.ground.pop, "cat", COUNT).strip()
            self.running.terminate()
            said, _ = self.running.communicate(timeout=10)
            self.notes["flood"] = said.strip()
            self.running = None
            self.notes[ARRIVED] = str(_new_connections(self.ground) - self.counted)
        self.beside.undo()


def _new_connections(ground: Ground) -> int:
    """What the firewall of the client's PoP counted, over all services, since it was loaded."""
    listed = json.loads(
        ground.on(ground.pop, "nft", "--json", "list", "counters", "table", "inet", "loopback")
    )
    counters = [entry["counter"] for entry in listed["nftables"] if "counter" in entry]
    return sum(c["packets"] for c in counters if c["name"].startswith("new-"))


def _flood(ground: Ground) -> Scene:
    flood = _Flood(ground)
    return Scene("", flood.begin, flood.undo, flood.notes)


def _fill_haproxy(ground: Ground) -> Scene:
    """`set maxconn global` (HAProxy management guide, section 9.3): 0 is what it started with."""
    notes: dict[str, str] = {}
    beside = _Beside(ground, notes)

    def allow(connections: int) -> None:
        said = ground.haproxy(ground.pop, f"set maxconn global {connections}", "admin.sock").strip()
        if said:
            raise LabError(f"{ground.pop}: HAProxy says: {said}")

    def begin() -> None:
        beside.begin()
        allow(1)

    def undo() -> None:
        allow(0)
        beside.undo()

    return Scene("", begin, undo, notes)


def _fill_table(ground: Ground) -> Scene:
    notes: dict[str, str] = {}
    beside = _Beside(ground, notes)

    inside = enter(ground.lab.paths, ground.pop)
    kept = run([*inside, "cat", UNANSWERED_S]).strip()

    def begin() -> None:
        beside.begin()
        run([*inside, "tee", UNANSWERED_S], f"{FULL_S}\n")
        table = [*inside, sys.executable, "-m", "loopback_iac.lab.drill.table"]
        notes[FILLED] = run(table, timeout_s=60).strip()

    def empty() -> None:
        """The kernel is busy with what expires: that belongs to no other drill.

        Its own collector takes half a minute; whoever reads the table removes what has expired
        (Linux net/netfilter/nf_conntrack_standalone.c, ct_seq_show).
        """
        run([*inside, "tee", UNANSWERED_S], f"{kept}\n")
        deadline = time.monotonic() + EMPTY_DEADLINE_S
        while int(run([*inside, "cat", COUNT])) > EMPTY and time.monotonic() < deadline:
            run([*inside, "wc", "--lines", TRACKED_TABLE])
            time.sleep(0.2)

    return Scene("", begin, beside.undo, notes, empty)


def _full(evidence: Evidence) -> str:
    found = json.loads(evidence.notes.get(FILLED) or '{"tracked": 0, "limit": 1}')
    full = found["tracked"] >= found["limit"] * 0.95
    return "" if full else f"{found['tracked']} of {found['limit']} connections were tracked"


def _starved(family: int, evidence: Evidence) -> str:
    figures = evidence.figures.families[family].during
    late = figures.failed + figures.retried + figures.slow
    return "" if late else "every connection was served at once"


def _others_unharmed(evidence: Evidence) -> str:
    told = evidence.notes.get(OTHERS, "none asked")
    return "" if told.startswith("0 of ") and told != "0 of 0" else f"failed: {told}"


def _arrived(evidence: Evidence) -> str:
    sent, counted = json.loads(evidence.notes["flood"])["sent"], int(evidence.notes[ARRIVED])
    return f"{counted} of {sent} SYNs reached the PoP" if counted < sent * 0.9 else ""


def _untracked(evidence: Evidence) -> str:
    sent = json.loads(evidence.notes["flood"])["sent"]
    tracked = int(evidence.notes[TRACKED])
    return f"{tracked} connections were tracked of {sent} SYNs" if tracked * 10 > sent else ""


OTHERS_UNHARMED = Check(
    "others-unharmed", "no connection of another PoP's clients failed", _others_unharmed
)

DRILLS = (
    Drill(
        name="syn-flood",
        what=f"{FLOOD_RATE} SYNs a second under invented addresses hit the client's PoP",
        repair="they stop",
        expects="the kernel answers with SYN cookies and HAProxy sees none of them; the PoP stays,"
        " other PoPs' clients notice nothing",
        hold_s=4,
        stage=_flood,
        must_hold=(
            *POP_STAYS,
            SESSIONS_STAY,
            NO_BFD_FALLS,
            OTHERS_UNHARMED,
            Check("arrived", "the flood reached the PoP", _arrived),
            Check("untracked", "the flood filled no connection table", _untracked),
        ),
    ),
    Drill(
        name="haproxy-full",
        what="HAProxy at the client's PoP holds all the connections it may and accepts nobody",
        repair="its old limit",
        expects="connections wait in the kernel's queue until HAProxy may accept again; the PoP"
        " stays, because whoever fills one PoP would fill the next one too",
        hold_s=2,
        stage=_fill_haproxy,
        must_hold=(
            *POP_STAYS,
            SESSIONS_STAY,
            NO_BFD_FALLS,
            OTHERS_UNHARMED,
            Check("starved", "the client's connections felt it", each_family(_starved)),
        ),
    ),
    Drill(
        name="table-full",
        what="datagrams that nobody answers fill the connection table of the client's PoP",
        repair="none: they expire by themselves",
        expects="what clients open is not tracked, nor is BFD, and BGP has its entries, so nobody"
        " notices",
        hold_s=2,
        stage=_fill_table,
        must_hold=(
            *POP_STAYS,
            NONE_FAILS,
            SESSIONS_STAY,
            NO_BFD_FALLS,
            OTHERS_UNHARMED,
            Check("full", "the connection table was full", _full),
        ),
    ),
)
