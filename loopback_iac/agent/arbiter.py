"""The arbiter: looks at members of a failover address from outside, and moves it by the API.

It holds the provider's token, so it stands on a host of its own, beside no client's traffic: what
it loses, the address keeps. It may be restarted at any moment.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .api import ApiError, MoveFailedError
from .arbiterfile import Arbiter, read_arbiter
from .failover import Choice, Health, Sight, choose, note_answers, wait_s
from .handover import Ruling, read_ruling, read_wish, write_ruling
from .looks import look
from .providers import PROVIDERS, Mover, Provider
from .refusal import RefusedError
from .telling import Teller
from .words import Word

if TYPE_CHECKING:
    from collections.abc import Mapping

# Somebody may move it by hand; what the provider loses is seen earlier, because it falls silent.
READ_AGAIN_S = 30.0
TAKES = "takes the token"


@dataclass
class Address:
    """One address: who has it, and the move that is under way."""

    ident: str
    holder: str | None = None
    read_at_s: float | None = None
    answered: bool = False  # ever, to this run: from here it can be judged
    silent: int = 0
    moved_at_s: float | None = None
    moves: int = 0
    reason: str = ""
    target: str = ""
    action: str = ""
    asked: int = 0  # how often, in this run
    asked_at_s: float = 0.0
    failures: int = 0
    again_at_s: float = 0.0


def arbitrate() -> None:
    """Look for ever.

    Raises: RefusedError when there is no arbiter.json or no token.
    """
    kept = read_arbiter()
    if kept is None:
        raise RefusedError("there is no /etc/loopback/arbiter.json", fix="apply a bundle first")
    token, provider = _token(), PROVIDERS[kept.provider]
    api = provider.api(kept.endpoint, token, kept.authority)
    keeper = Keeper(kept, provider, api)
    if provider.told:
        keeper.listeners(token)
    while True:
        began_s = time.monotonic()
        keeper.step()
        time.sleep(max(0.0, kept.interval_s - (time.monotonic() - began_s)))


def _token() -> str:
    """The credential that systemd hands to this unit alone."""
    path = f"{os.environ.get('CREDENTIALS_DIRECTORY', '')}/token"
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read().strip()
    except OSError as missing:
        raise RefusedError(
            "the unit has no credential `token`", fix="start it as loopback-arbiter.service"
        ) from missing


class Keeper:
    """One run over one arbiter.json."""

    def __init__(self, kept: Arbiter, provider: Provider, api: Mover) -> None:
        self.kept, self.provider, self.api = kept, provider, api
        self.tellers: dict[str, Teller] = {}
        self.servers = {member.name: member.server for member in kept.members}
        before = read_ruling()
        # a verdict of an earlier run stands until looks of this one agree on another
        self.healths = {
            name: Health(before.up.get(name)) for name in self.servers if before is not None
        }
        moves = before.moves if before else {}
        self.addresses = {
            address: Address(ident, moves=moves.get(address, 0))
            for address, ident in kept.addresses.items()
        }
        self.handed = before.handed if before else ""
        self.api_says = "not asked yet"
        self.failures, self.again_at_s = 0, 0.0
        self.written: Ruling | None = None

    def listeners(self, token: str) -> None:
        """From now on, tell members of every address who holds it."""
        members = {member.name: member.address for member in self.kept.members}
        for text in self.addresses:
            self.tellers[text] = Teller(members, token, self.kept.interval_s)
            self.tellers[text].start()

    def step(self) -> None:
        """Look, read what is due, decide, act, note."""
        members = {member.name: member.address for member in self.kept.members}
        wanted = [*members.values(), *self.addresses]
        seen = look(wanted, self.kept.port, self.kept.timeout_s)
        answers = {name: seen[address] for name, address in members.items()}
        self._note_answers(answers)
        wish = read_wish(self.handed)
        for text, address in self.addresses.items():
            self._follow(text, address)
            self._count_silence(address, answers, answered=seen[text])
            wanted_by = wish.member if wish else None
            self._read(address, at_once=False)
            choice = self._choose(text, address, answers, wanted_by)
            if choice.target and not address.target and self._may_call(address):
                # what was read half a minute ago may be somebody else's by now
                self._read(address, at_once=True)
                choice = self._choose(text, address, answers, wanted_by)
                self._say_reason(text, address, choice)
                if choice.target and self._may_call(address):
                    self._move(text, address, choice.target)
            else:
                self._say_reason(text, address, choice)
            self._tell(text, address, answers)
        if wish and all(a.holder == self.servers.get(wish.member) for a in self.addresses.values()):
            self.handed = wish.ident
        self._note()

    def _note_answers(self, answers: Mapping[str, bool]) -> None:
        before = {name: self.healths.get(name, Health()) for name in answers}
        self.healths = note_answers(before, answers, self.kept.rules)
        for name, health in self.healths.items():
            if health.up is not before[name].up:
                _say(f"{name} {'answers' if health.up else 'does not answer'}")

    def _count_silence(
        self, address: Address, answers: Mapping[str, bool], *, answered: bool
    ) -> None:
        holder = self._name_of(address.holder)
        address.answered |= answered
        lost = not answered and bool(answers.get(holder)) and not address.target
        lost &= address.answered
        address.silent = address.silent + 1 if lost else 0

    def _choose(
        self, text: str, address: Address, answers: Mapping[str, bool], wish: str | None
    ) -> Choice:
        sight = Sight(
            time.monotonic(), answers, address.holder, address.silent, address.moved_at_s, wish
        )
        if text in self.tellers:
            sight = sight._replace(deaf=self.tellers[text].deaf)
        return choose(self.servers, self.healths, sight, self.kept.rules)

    def _may_call(self, address: Address) -> bool:
        return time.monotonic() >= max(self.again_at_s, address.again_at_s)

    def _read(self, address: Address, *, at_once: bool) -> bool:
        """Ask who holds it, when that is due; out: whether the API said so now."""
        now = time.monotonic()
        old = address.read_at_s is None or now - address.read_at_s >= READ_AGAIN_S
        due = at_once or old or address.holder is None
        if not due or now < self.again_at_s:
            return False
        try:
            address.holder, address.read_at_s = self.api.read_holder(address.ident), now
        except ApiError as refused:
            address.holder = None  # nothing is moved on old knowledge
            self._note_trouble(refused)
            return False
        self._note_answer()
        return True

    def _move(self, text: str, address: Address, target: str) -> None:
        _say(f"{text}: assigning it to {target} (server {self.servers[target]})")
        try:
            address.action = self.api.assign(address.ident, self.servers[target])
        except ApiError as refused:
            self._note_trouble(refused)
            return
        except MoveFailedError as failed:
            self._give_up(text, address, str(failed))
            return
        self._note_answer()
        address.asked += 1
        address.target, address.asked_at_s, address.silent = target, time.monotonic(), 0

    def _follow(self, text: str, address: Address) -> None:
        """Whether a move that the API took has happened; one that has not is begun again."""
        if not address.target or time.monotonic() < self.again_at_s:
            return
        try:
            done = self.api.is_done(address.action)
        except ApiError as refused:
            self._note_trouble(refused)
            if time.monotonic() - address.asked_at_s >= self.provider.moved_within_s:
                told = f"nobody says whether {address.target} got it: {refused}"
                self._give_up(text, address, told)
            return
        except MoveFailedError as failed:
            self._give_up(text, address, f"{address.target} does not get it: {failed}")
            return
        if not self._read(address, at_once=True):
            return
        now = time.monotonic()
        if done and address.holder == self.servers[address.target]:
            _say(f"{text}: {address.target} holds it, {now - address.asked_at_s:.1f} s after")
            address.moved_at_s, address.target = now, ""
            address.moves += 1
            address.failures = 0
        elif now - address.asked_at_s >= self.provider.moved_within_s:
            ended = "it is done" if done else "it is not done yet"
            why = f"it says {ended}, and that {self._holder_text(address)} has it"
            told = f"the API took the move to {address.target} and did not do it ({why})"
            self._give_up(text, address, told)

    def _give_up(self, text: str, address: Address, why: str) -> None:
        """This move; the next look may begin another one."""
        address.failures += 1
        left_alone_s = wait_s(address.failures)
        address.again_at_s = time.monotonic() + left_alone_s
        _say(f"{text}: {why}; again in {left_alone_s:g} s")
        address.target = ""

    def _tell(self, text: str, address: Address, answers: Mapping[str, bool]) -> None:
        """Members take it over as soon as the API has taken the move. A holder that does not answer
        is not called one: whoever was told before may have the traffic, should the request fail.
        """
        holder = self._name_of(address.holder)
        holder = address.target or (holder if answers.get(holder) else "")
        if text in self.tellers and holder:
            number = f"{os.environ.get('INVOCATION_ID', '')}-{address.asked}"
            self.tellers[text].tell(Word(text, holder, number))

    def _note_trouble(self, refused: ApiError) -> None:
        self.failures += 1
        left_alone_s = wait_s(99 if refused.lasting else self.failures, refused.asked_s)
        self.again_at_s = time.monotonic() + left_alone_s
        self.api_says = f"refuses the token: {refused}" if refused.token else str(refused)
        _say(f"the API: {self.api_says}; asked again in {left_alone_s:g} s")

    def _note_answer(self) -> None:
        if self.failures:
            _say("the API answers again")
        self.failures, self.api_says = 0, TAKES

    def _say_reason(self, text: str, address: Address, choice: Choice) -> None:
        if choice.reason != address.reason:
            address.reason = choice.reason
            _say(f"{text}: {choice.reason}")

    def _name_of(self, server: str | None) -> str:
        return next((name for name, number in self.servers.items() if number == server), "")

    def _holder_text(self, address: Address) -> str:
        if address.holder is None:
            return "unknown"
        return self._name_of(address.holder) or (
            f"server {address.holder}" if address.holder else "nobody"
        )

    def _note(self) -> None:
        ruling = Ruling(
            os.environ.get("INVOCATION_ID", ""),
            self.api_says,
            {name: health.up for name, health in self.healths.items()},
            {text: self._holder_text(address) for text, address in self.addresses.items()},
            {text: address.reason for text, address in self.addresses.items()},
            {text: address.moves for text, address in self.addresses.items()},
            self.handed,
        )
        if ruling != self.written:
            with contextlib.suppress(OSError):  # no room: what it does matters more
                write_ruling(ruling)
                self.written = ruling


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
