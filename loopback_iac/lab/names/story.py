"""What one run of a drill of names left behind, and what must hold of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopback_iac.lab.drill.drill import Check
from loopback_iac.lab.names.anycast import Anycast
from loopback_iac.lab.names.asker import KINDS, LOOK_EVERY_S
from loopback_iac.lab.names.tree import Hierarchy
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopback_iac.dns.served import Report
    from loopback_iac.lab.names.asker import Asker

BEFORE, DURING, AFTER = "before", "during", "after"
STRICT, CLIENTS = "strict resolver", "clients"
COUNTED = (*KINDS, "late", "again")
ENOUGH = 40
GOES_ON_S = 60.0
FOUND_S = 60.0


@dataclass(frozen=True)
class Sample:
    """What became of the questions that began between two moments. Units: s since the begin."""

    who: str
    phase: str
    begun_s: float
    ended_s: float
    counts: Mapping[str, int]
    times_ms: tuple[float, ...]


@dataclass(frozen=True)
class Found:
    """What the comparer said when it had found what it was to find."""

    after_s: float  # since the fault
    verdicts: Mapping[str, str]
    rules: tuple[str, ...]
    named: tuple[str, ...]  # records, as "owner type"


@dataclass
class Story:
    """Told by whoever plays a drill, as it goes."""

    ground: Hierarchy | Anycast
    main: str = STRICT
    """Whose questions must be answered."""
    begun_s: float = field(default_factory=time.monotonic)
    phase: str = BEFORE
    askers: dict[str, Callable[[], Asker]] = field(default_factory=dict)
    """Who else asks; an asker may be made anew meanwhile."""
    samples: list[Sample] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    whole: dict[tuple[str, str], bool] = field(default_factory=dict)
    """By who and phase: whether a stretch of questions was answered and validated, all of it."""
    proved: dict[str, str] = field(default_factory=dict)
    """By name: why it is not so, or nothing."""
    notes: dict[str, str] = field(default_factory=dict)
    found: Found | None = None
    fault_s: float | None = None
    fault_ns: int = 0  # of the clock on the wall
    repair_s: float | None = None

    def __post_init__(self) -> None:
        self.marked_s: dict[str, float] = {}
        self.askers = {self.main: lambda: self.ground.asked, **self.askers}

    @property
    def tree(self) -> Hierarchy:
        """Where it is played, of drills under resolvers.

        Raises: LabError when it is played on PoPs.
        """
        if not isinstance(self.ground, Hierarchy):
            raise LabError("this drill is played under resolvers")
        return self.ground

    @property
    def site(self) -> Anycast:
        """Where it is played, of drills of PoPs.

        Raises: LabError when it is played under resolvers.
        """
        if not isinstance(self.ground, Anycast):
            raise LabError("this drill is played on PoPs")
        return self.ground

    @property
    def at_s(self) -> float:
        """Since it began."""
        return time.monotonic() - self.begun_s

    def tell(self, words: str) -> None:
        """Something was done."""
        self.events.append((round(self.at_s, 3), words))

    def begin_fault(self, words: str) -> None:
        """From here on something is broken; what began before is counted before."""
        self.sample()
        self.phase = DURING
        self.fault_s, self.fault_ns = self.at_s, time.time_ns()
        self.tell(words)

    def begin_repair(self, words: str) -> None:
        """From here on it is being put right."""
        self.sample()
        self.phase, self.repair_s = AFTER, self.at_s
        self.tell(words)

    def begin_anew(self) -> None:
        """Have the strict resolver forget everything."""
        self.sample()
        self.tree.resolver.begin_anew()
        self.marked_s[STRICT] = self.at_s
        self.tell("the resolver starts without its memory")

    def prove(self, name: str, why_not: str = "") -> None:
        """Something that must hold was looked at; once it did not hold, it does not."""
        self.proved[name] = self.proved.get(name) or why_not

    def note(self, name: str, value: object) -> None:
        """Something for the record."""
        self.notes[name] = str(value)

    def sample(self, who: str = "") -> dict[str, int]:
        """Look at what became of the questions since the last look.

        In: at whose, or everybody's.
        Out: counts of those that were looked at last.
        """
        counts: dict[str, int] = {}
        for name in [who] if who else list(self.askers):
            told = self.askers[name]().mark()
            begun_s = self.marked_s.get(name, 0.0)
            self.marked_s[name] = self.at_s
            counts = {kind: told[kind] for kind in COUNTED}
            times = tuple(told["times_ms"])
            one = Sample(name, self.phase, begun_s, self.marked_s[name], counts, times)
            self.samples.append(one)
        return counts

    def hear(self, who: str, count: int) -> dict[str, int]:
        """What becomes of so many questions from here on, or more."""
        self.sample(who)
        found = Counter[str]()
        while found["asked"] < count:
            time.sleep(LOOK_EVERY_S)
            found.update(self.sample(who))
        return dict(found)

    def goes_on(self, who: str = "") -> None:
        """Questions are answered and validated, all of a stretch.

        A machine that stands still leaves questions of a stretch without their answer, and the
        next one whole: so it is looked for until there is one, or none in a minute. What was bogus
        meanwhile stays counted.
        """
        who = who or self.main
        end = time.monotonic() + GOES_ON_S
        held = False
        while not held and time.monotonic() < end:
            counts = self.hear(who, ENOUGH)
            held = counts["secure"] == counts["asked"]
        self.whole[who, self.phase] = held and self.whole.get((who, self.phase), True)

    def wait(self, happened: Callable[[], bool], deadline_s: float) -> None:
        """Look until something has happened, and at the questions meanwhile.

        Raises: LabError when it has not within the deadline.
        """
        end = time.monotonic() + deadline_s
        while not happened():
            if time.monotonic() >= end:
                last = self.events[-1][1] if self.events else "the begin"
                raise LabError(f"what was to follow `{last}` did not come in {deadline_s:g} s")
            time.sleep(LOOK_EVERY_S)
            self.sample()

    def find(self, seen: Callable[[Report], bool], look: Callable[[], Report]) -> Report:
        """Have the comparer look until it sees it.

        Raises: LabError when it does not within a minute.
        """
        end = time.monotonic() + FOUND_S
        while not seen(report := look()):
            if time.monotonic() >= end:
                raise LabError(f"the comparer does not see it: {verdicts(report)}")
            self.sample()
        after_s = round(self.at_s - (self.fault_s or 0.0), 3)
        named = sorted({f"{one.owner} {one.type}" for one in report.findings if one.type})
        rules = sorted({one.rule for one in report.findings})
        self.found = Found(after_s, verdicts(report), tuple(rules), tuple(named))
        said = ", ".join(f"{name} {word}" for name, word in self.found.verdicts.items())
        self.tell(f"the comparer says: {said}")
        return report

    def sums(self, who: str = "", phase: str = "") -> dict[str, int]:
        """What became of somebody's questions, of one phase or of all."""
        who = who or self.main
        found = Counter(dict.fromkeys(COUNTED, 0))
        for sample in self.samples:
            if sample.who == who and phase in ("", sample.phase):
                found.update(sample.counts)
        return dict(found)


def verdicts(report: Report) -> dict[str, str]:
    """By name of the server."""
    return {one.server.name: one.verdict for one in report.servers}


@dataclass(frozen=True)
class NameDrill:
    """One drill. `expects` is printed beside what was measured, never asserted."""

    name: str
    what: str
    repair: str
    expects: str
    lost: str  # nobody: empty
    play: Callable[[Story], None]
    must_hold: tuple[Check[Story], ...]
    of_pops: bool = False
    """Played on PoPs with an anycast address, not under resolvers."""


def shown(name: str, says: str) -> Check[Story]:
    """What the play itself looks at, and proves."""
    return Check(name, says, lambda story: story.proved.get(name, "it was not looked at"))


def _quiet(story: Story) -> str:
    held = story.whole.get((story.main, BEFORE), False)
    return "" if held else f"before the fault: {story.sums(phase=BEFORE)}"


def _never_bogus(story: Story) -> str:
    sums = story.sums()
    wrong = {kind: sums[kind] for kind in ("bogus", "insecure") if sums[kind]}
    return ", ".join(f"{count} answers {kind}" for kind, count in wrong.items())


def _went_on(phase: str) -> Callable[[Story], str]:
    def judge(story: Story) -> str:
        held = story.whole.get((story.main, phase))
        if held is None:
            return "it was not looked at"
        return "" if held else f"in a minute no {ENOUGH} in a row were: {story.sums(phase=phase)}"

    return judge


def _was_found(story: Story) -> str:
    return "" if story.found else "the comparer did not name it"


QUIET_BEFORE = Check(
    "quiet-before", "before the fault every question was answered and validated", _quiet
)
NEVER_BOGUS = Check(
    "never-bogus", "no answer was bogus, and none was given without validation", _never_bogus
)
GOES_ON = Check(
    "goes-on", "questions are answered and validated while it is broken", _went_on(DURING)
)
AFTERWARDS = Check("afterwards", "the same when it is put right", _went_on(AFTER))
FOUND = Check("found", "the comparer named what is wrong, and where", _was_found)
UNNOTICED = (QUIET_BEFORE, NEVER_BOGUS, GOES_ON, AFTERWARDS)
