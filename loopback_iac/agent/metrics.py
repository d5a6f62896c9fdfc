"""What only the agent knows, as a text file for the node exporter: gates, drains, applies, tunnels,
BFD sessions and what the limits dropped.

A process of its own with a user of its own: a daemon that hangs must delay a scrape, never the
watch. What other exporters tell (units, sessions, HAProxy's servers) is not told twice.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .echo import read_pairs, round_trip_ms
from .gates import CLOSED, DEPREFER, OPEN, BirdError, read_positions, tell_bird, write_plain
from .holes import read_dropped, read_holes
from .limits import report_limits
from .namestats import read_name_counts
from .refusal import RefusedError
from .state import AGENT, read_enrolled, read_state
from .watchfile import read_watch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .namestats import NameCounts
    from .state import State
    from .watchfile import Watch

FILE = "/run/loopback/metrics/loopback.prom"
EVERY_S = 10.0
_LEVELS = {CLOSED: 0, DEPREFER: 1, OPEN: 2}
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Sample(NamedTuple):
    """One value with its labels."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()


class Metric(NamedTuple):
    """One name with its help text and its samples."""

    name: str
    kind: str  # gauge or counter
    about: str
    samples: list[Sample]


def metrics() -> None:
    """Write the file for ever; end when the agent was replaced, for systemd starts the new one."""
    own, sessions = os.path.realpath(AGENT), BfdSessions()
    while os.path.realpath(AGENT) == own:
        write_plain(FILE, render_metrics(read_metrics(sessions)))
        time.sleep(EVERY_S)


def render_metrics(found: Iterable[Metric]) -> str:
    """Prometheus' text format; a metric without a sample is left out.

    Sources: prometheus.io, exposition formats, text format 0.0.4.
    """
    lines = []
    for metric in found:
        if metric.samples:
            lines += [
                f"# HELP {metric.name} {metric.about}",
                f"# TYPE {metric.name} {metric.kind}",
                *(_render_sample(metric.name, sample) for sample in metric.samples),
            ]
    return "".join(f"{line}\n" for line in lines)


def _render_sample(name: str, sample: Sample) -> str:
    labels = ",".join(f'{key}="{text.translate(_ESCAPED)}"' for key, text in sample.labels)
    value = int(sample.value) if sample.value == int(sample.value) else sample.value
    return f"{name}{'{' + labels + '}' if labels else ''} {value!r}"


def read_metrics(sessions: BfdSessions) -> list[Metric]:
    """Look once at everything; what gives no answer has no sample."""
    host, role = read_enrolled()
    state, watch = read_state(), read_watch()
    told = Sample(1, (("host", host), ("role", role)))
    found = [Metric("loopback_info", "gauge", "The host in its fleet.", [told])]
    found += _read_applies(state)
    if watch:
        found += [_read_gates(watch), *_read_tunnels(watch), *_read_limits(watch)]
        found += _read_blackholes()
        found += sessions.read(watch.bird_socket)
        if watch.name_service and (counts := read_name_counts(watch.name_service.unit)):
            found += count_names(counts)
    return found


def _read_applies(state: State) -> list[Metric]:
    active, pending = state["active"], state["pending"]
    confirmed = state.get("confirmed_at")
    return [
        Metric(
            "loopback_drained",
            "gauge",
            "Whether the PoP is kept out of traffic, by whom.",
            [Sample(bool(wish), (("by", who),)) for who, wish in sorted(state["drain"].items())],
        ),
        Metric(
            "loopback_apply_info",
            "gauge",
            "The digest that is confirmed.",
            [Sample(1, (("digest", active[:12]),))] if active else [],
        ),
        Metric(
            "loopback_apply_confirmed_timestamp_seconds",
            "gauge",
            "When a digest was confirmed last.",
            [Sample(confirmed)] if confirmed else [],
        ),
        Metric(
            "loopback_apply_pending",
            "gauge",
            "Whether a change is under way or waits to be confirmed.",
            [Sample(bool(pending))],
        ),
        Metric(
            "loopback_apply_rolled_back",
            "gauge",
            "Whether the last change took itself back and none followed it.",
            [Sample(bool(state["rolled_back"]))],
        ),
    ]


def _read_gates(watch: Watch) -> Metric:
    return Metric(
        "loopback_announcement_level",
        "gauge",
        "What BIRD is told: 0 withdrawn, 1 de-preferred (GSHUT), 2 announced.",
        [
            Sample(_LEVELS.get(position or CLOSED, 0), (("announcement", name),))
            for name, position in read_positions(watch).items()
        ],
    )


def _read_tunnels(watch: Watch) -> list[Metric]:
    with contextlib.suppress(RefusedError):
        pairs = read_pairs()
        trips = {tunnel: round_trip_ms(pairs.get(tunnel, ())) for tunnel in watch.tunnels}
        return [
            Metric(
                "loopback_tunnel_up",
                "gauge",
                "Whether the other end answered an echo through the tunnel.",
                [Sample(trip is not None, (("tunnel", name),)) for name, trip in trips.items()],
            ),
            Metric(
                "loopback_tunnel_rtt_seconds",
                "gauge",
                "Shortest of three round trips through the tunnel.",
                [
                    Sample(round(trip / 1000, 6), (("tunnel", name),))
                    for name, trip in trips.items()
                    if trip is not None
                ],
            ),
        ]
    return []


def _read_limits(watch: Watch) -> list[Metric]:
    with contextlib.suppress(RefusedError):
        return count_limits(report_limits(watch))
    return []


def count_limits(told: dict[str, Any]) -> list[Metric]:
    """Counters of new connections, each of its own source.

    In:  by service, as `report_limits` tells it.

    A sum over limits would be no counter: nftables and HAProxy begin anew each at its own time, and
    one that gives no answer would read as connections that come back at the next look.
    """
    services = sorted(told.items())
    return [
        Metric(
            "loopback_new_connections_total",
            "counter",
            "New connections that reached the firewall.",
            [
                Sample(each["new_connections"], (("service", name),))
                for name, each in services
                if each["new_connections"] is not None
            ],
        ),
        Metric(
            "loopback_limited_connections_total",
            "counter",
            "New connections that a declared limit kept out; where none is, 0 by the limit `none`.",
            [
                Sample(count, (("limit", limit), ("service", name)))
                for name, each in services
                for limit, count in (each["dropped"] or {"none": 0}).items()
                if count is not None
            ],
        ),
    ]


def _read_blackholes() -> list[Metric]:
    with contextlib.suppress(RefusedError):
        dropped = read_dropped() or {}
        holes = [
            (hole, (("address", hole.address), ("origin", hole.origin))) for hole in read_holes()
        ]
        return [
            Metric(
                "loopback_blackholes",
                "gauge",
                "Addresses that are given up, by who gave them up.",
                [
                    Sample(sum(hole.origin == origin for hole, _ in holes), (("origin", origin),))
                    for origin in ("by hand", "declared")
                ],
            ),
            Metric(
                "loopback_blackhole_dropped_packets_total",
                "counter",
                "Packets to a given-up address that this host dropped.",
                [Sample(dropped[h.address], labels) for h, labels in holes if h.address in dropped],
            ),
        ]
    return []


def count_names(counts: NameCounts) -> list[Metric]:
    """Counters of the host's name server; they begin anew with its program."""
    return [
        Metric(name, "counter", about, [Sample(n, ((label, key),)) for key, n in found.items()])
        for name, about, label, found in (
            (
                "loopback_name_questions_total",
                "Questions that reached the name server.",
                "transport",
                counts.questions,
            ),
            (
                "loopback_name_answers_total",
                "Answers of the name server.",
                "rcode",
                counts.answers,
            ),
            (
                "loopback_name_limited_total",
                "Answers that the limit per source truncated or kept back.",
                "how",
                counts.limited,
            ),
        )
    ]


class BfdSessions:
    """BFD sessions over time: BIRD tells since when, so a flap between two looks is seen too."""

    def __init__(self) -> None:
        self.since: dict[tuple[str, str], str] = {}
        self.changes: dict[tuple[str, str], int] = {}

    def read(self, bird_socket: str) -> list[Metric]:
        """Ask BIRD for its sessions."""
        try:
            lines = tell_bird(bird_socket, "show bfd sessions")
        except BirdError:
            lines = []
        return self.count(parse_bfd(lines))

    def count(self, sessions: dict[tuple[str, str], tuple[bool, str]]) -> list[Metric]:
        """Sessions as metrics; a time of entry that differs from the last one counts as a change.

        In: by (neighbor, interface): whether it is up, and since when in BIRD's words.
        """
        for key, (_, since) in sessions.items():
            changed = self.since.get(key, since) != since
            self.changes[key] = self.changes.get(key, 0) + changed
            self.since[key] = since
        labels = {key: (("interface", key[1]), ("neighbor", key[0])) for key in sessions}
        return [
            Metric(
                "loopback_bfd_session_up",
                "gauge",
                "Whether BFD hears the neighbor.",
                [Sample(up, labels[key]) for key, (up, _) in sessions.items()],
            ),
            Metric(
                "loopback_bfd_session_changes_total",
                "counter",
                "Changes of the session's state that were seen.",
                [Sample(self.changes[key], labels[key]) for key in sessions],
            ),
        ]


def parse_bfd(lines: Iterable[str]) -> dict[tuple[str, str], tuple[bool, str]]:
    """Rows of `show bfd sessions`.

    Out: by (neighbor, interface): whether it is up, and since when in BIRD's words.
    """
    found = {}
    for line in lines:
        words = line[5:].split() if line[:4].isdigit() else line.split()
        # address, interface, state, since (one word or two), interval, timeout
        if len(words) >= 6 and words[-1].replace(".", "").isdigit():
            found[words[0], words[1]] = (words[2] == "Up", " ".join(words[3:-2]))
    return dict(sorted(found.items()))
