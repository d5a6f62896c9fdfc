"""Asks one resolver at a steady rate, whatever becomes of the answers, and tells them apart.

stdin   one line {"server", "questions": [[name, type]], "rate": a second}; `@` in a name stands
        for a label that nobody asked for before. Then a line per `mark`, and its end.
stdout  one line when it begins; at each mark one line of JSON, a tally of the questions that began
        since the last one: {"asked", "secure": answered and validated, "insecure": answered without
        AD, "bogus": SERVFAIL that says DNSSEC (RFC 8914), "failed": any other rcode, "silent",
        "late": took longer than a second, "bogus_span_s": from the first bogus one to the last,
        "whys": texts of what was no answer}
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
    bogus_span_s: float = 0.0
    whys: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.first_bogus_s = 0.0

    def begin(self, server: str, name: str, kind: str) -> None:
        self.asked += 1
        self.tasks.add(asyncio.create_task(self.ask(server, name, kind)))

    async def ask(self, server: str, name: str, kind: str) -> None:
        query = dns.message.make_query(name, kind, want_dnssec=True)
        began_s = time.monotonic()
        try:
            told = await dns.asyncquery.udp(query, server, timeout=PATIENCE_S)
        except (dns.exception.DNSException, OSError) as silent:
            self.silent += 1
            self.note(type(silent).__name__, name)
            return
        self.late += time.monotonic() - began_s > LATE_S
        if told.rcode() in ANSWERS:
            secure = bool(told.flags & dns.flags.AD)
            self.secure += secure
            self.insecure += not secure
            if not secure:
                self.note("no AD", name)
            return
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
        # labels made up here would make every text another one
        text = why.replace(name.rstrip("."), "NAME")[:160]
        self.whys[text] = self.whys.get(text, 0) + 1


class Asker:
    """Asks on; a mark swaps the tally for a new one."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.wanted, self.tally = wanted, Tally()

    async def run(self) -> None:
        questions, due = itertools.cycle(self.wanted["questions"]), time.monotonic()
        while True:
            name, kind = next(questions)
            self.tally.begin(self.wanted["server"], name.replace("@", secrets.token_hex(6)), kind)
            due += 1 / self.wanted["rate"]
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def mark(self) -> Tally:
        ended, self.tally = self.tally, Tally()
        if ended.tasks:
            await asyncio.wait(ended.tasks)
        return ended


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def main() -> None:
    asker = Asker(json.loads(sys.stdin.readline()))
    running = asyncio.create_task(asker.run())
    say("asking")
    while await asyncio.to_thread(sys.stdin.readline):
        say(json.dumps(asdict(await asker.mark())))
    running.cancel()


asyncio.run(main())
