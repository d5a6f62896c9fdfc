"""Asks one resolver at a steady rate, whatever becomes of the answers, and tells them apart.

stdin   one line {"server", "questions": [[name, type]], "rate": a second, "flag": of an answer that
        is believed, "AD" of a resolver, "AA" of a name server}; `@` in a name stands for a label
        that nobody asked for before. Then a line per `mark`, and its end.
stdout  one line when it begins; at each mark one line of JSON, a tally of the questions that began
        since the last one: {"asked", "secure": answered with the flag, "insecure": answered without
        it, "bogus": SERVFAIL that says DNSSEC (RFC 8914), "failed": any other rcode, "silent",
        "late": took longer than a second, "again": came truncated and were asked for once more
        over TCP, "times_ms": until each answer, "bogus_span_s": from the first bogus one to the
        last, "whys": texts of what was no answer}
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import dns.asyncquery
import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode

PATIENCE_S = 5.0  # of a stub resolver
LATE_S = 1.0
ANSWERS = {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}
# RFC 8914 4: 1, 2, and 5 to 12 speak of DNSSEC
OF_DNSSEC = {1, 2, *range(5, 13)}


@dataclass
class Tally:
    """What became of the questions that began in one stretch of time."""

    asked: int = 0
    secure: int = 0
    insecure: int = 0
    bogus: int = 0
    failed: int = 0
    silent: int = 0
    late: int = 0
    again: int = 0
    times_ms: list[float] = field(default_factory=list)
    bogus_span_s: float = 0.0
    whys: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.first_bogus_s = 0.0

    def begin(self, wanted: dict[str, Any], name: str, kind: str) -> None:
        """Ask, and see later."""
        self.asked += 1
        self.tasks.add(asyncio.create_task(self.ask(wanted, name, kind)))

    async def ask(self, wanted: dict[str, Any], name: str, kind: str) -> None:
        """One question, from its begin to its end."""
        query = dns.message.make_query(name, kind, want_dnssec=True)
        began_s = time.monotonic()
        try:
            told, again = await dns.asyncquery.udp_with_fallback(
                query, wanted["server"], timeout=PATIENCE_S
            )
        except (dns.exception.DNSException, OSError, EOFError) as silent:
            self.silent += 1
            self.note(type(silent).__name__, name)
            return
        took_s = time.monotonic() - began_s
        self.times_ms.append(round(took_s * 1000, 1))
        self.late += took_s > LATE_S
        self.again += again
        if told.rcode() in ANSWERS:
            secure = bool(told.flags & dns.flags.from_text(wanted["flag"]))
            self.secure += secure
            self.insecure += not secure
            if not secure:
                self.note(f"no {wanted['flag']}", name)
            return
        self._complain(told, name, began_s)

    def _complain(self, told: dns.message.Message, name: str, began_s: float) -> None:
        errors = [one for one in told.options if isinstance(one, dns.edns.EDEOption)]
        said = " ".join(f"{one.code} {one.text or ''}".strip() for one in errors)
        self.note(f"{dns.rcode.to_text(told.rcode())} {said}", name)
        if not any(one.code in OF_DNSSEC for one in errors):
            self.failed += 1
            return
        self.bogus += 1
        self.first_bogus_s = self.first_bogus_s or began_s
        self.bogus_span_s = began_s - self.first_bogus_s

    def note(self, why: str, name: str) -> None:
        """Keep why it was no answer."""
        # labels made up here would make every text another one
        text = why.replace(name.rstrip("."), "NAME")[:160]
        self.whys[text] = self.whys.get(text, 0) + 1


class Asker:
    """Asks on; a mark swaps the tally for a new one."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.wanted, self.tally = wanted, Tally()

    async def run(self) -> None:
        """Ask until it is cancelled."""
        questions, due = itertools.cycle(self.wanted["questions"]), time.monotonic()
        while True:
            name, kind = next(questions)
            self.tally.begin(self.wanted, name.replace("@", secrets.token_hex(6)), kind)
            due += 1 / self.wanted["rate"]
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def mark(self) -> Tally:
        """What became of the questions since the last mark."""
        ended, self.tally = self.tally, Tally()
        if ended.tasks:
            await asyncio.wait(ended.tasks)
        return ended


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def main() -> None:
    """Ask until stdin ends."""
    asker = Asker(json.loads(sys.stdin.readline()))
    running = asyncio.create_task(asker.run())
    say("asking")
    while await asyncio.to_thread(sys.stdin.readline):
        say(json.dumps(asdict(await asker.mark())))
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main())
