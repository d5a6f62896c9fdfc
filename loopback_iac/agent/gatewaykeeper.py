"""One group on one node: each step decides, does what is local, and makes at most one API call.

A move, in this order: the lease is ours; the addresses are on the card; every policy names this
node, by one write each. A policy names one node or none, so at no time two of them translate.
Whatever ends it in between leaves policies at a node without the addresses, and Cilium drops what
would leave by that.

Handing over: the next node has the addresses on before the lease is written to it, and this
one keeps them until every policy names the next one.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING

from .api import ApiError
from .gatewayapi import ConflictError, Lease
from .gatewaychoice import HOLD, LET_GO, NEVER_S, TAKE, Choice, Known, Said, Sight, choose
from .gatewayheld import Held
from .gatewaynames import Names
from .gatewayparts import Op, plan_move
from .refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gatewayfile import Group
    from .gatewayparts import Api, Around, Card

TICK_S = 0.05
# what another hand changed, or policies that are new
AUDIT_S = 2.0
# An agent that restarts leaves its datapath where it is; one that is gone for longer will not.
UNREADY_S = 30.0


class Keeper:
    """One node's part in one group."""

    def __init__(
        self, group: Group, node: str, parts: tuple[Api, Card, Around], clock: Callable[[], float]
    ) -> None:
        self.group, self.node, self.timing = group, node, group.timing
        self.api, card, self.around = parts
        self.clock = clock
        self.held = Held(card, group.timing, self._complain)
        self.lease: Lease | None = None
        self.known: Known | None = None
        self.renewed_s = self.looked_s = self.api_ok_s = self.audited_s = NEVER_S
        self.api_since_s: float | None = None
        self.again_s, self.ready_s = NEVER_S, clock()
        self.settled = False
        self.gone_epoch = self.prepared_epoch = -1
        self.floor = 0
        self.offer = self.leaving = ""
        # a wish from before this start was heeded by who ran then; or its operator asks again
        wish = self.around.wish()
        self.heeded = wish.ident if wish else ""
        self.leaving_s = 0.0
        self.blind_s: dict[str, float] = {}
        self.todo: deque[Op] = deque()
        self.choice = Choice("", "")
        self.trouble = ""
        self.names = Names(node, self.api, self._complain)
        self.moves = self.api_errors = self.strays = 0
        self.word = self._speak(self.clock())

    def step(self) -> float:
        """Out: how long to sleep before the next one, in seconds."""
        now = self.clock()
        if self.api_since_s is not None and now - self.api_ok_s >= self.timing.lost_s:
            self.api_since_s = None
        self._decide(now)
        self._hand_over(now)
        self.word = self._speak(now)
        asked = self._ask(now)
        if asked:  # what was learnt is acted on at once
            self._decide(self.clock())
        self.word = self._speak(self.clock())
        return 0.0 if asked and self.todo else TICK_S

    # what is local

    def _decide(self, now: float) -> None:
        self.blind_s |= {n: said.at_s for n, said in self.around.said.items() if not said.api}
        choice = choose(self.node, self.group.names, self._sight(now), self.timing)
        if choice.act == LET_GO and self._leaves(now):
            choice = Choice(HOLD, f"it is being handed over to {self.leaving}")
        self._prepare(now)
        if choice.act == LET_GO:
            self._drop()
        elif choice.act == HOLD or self.prepared_epoch >= 0:
            self._refresh(now)
        if choice.act != HOLD:
            self.todo.clear()
        if choice != self.choice:
            _say(f"{self.group.name}: {choice.act}: {choice.reason}")
        self.choice = choice

    def _sight(self, now: float) -> Sight:
        return Sight(
            now,
            self.known,
            self.renewed_s,
            self.api_since_s,
            self.around.ready,
            self._holds,
            self.around.said,
            self.blind_s,
            self.held.is_able(now),
        )

    @property
    def _holds(self) -> bool:
        return self.held.on and self.prepared_epoch < 0

    def _refresh(self, now: float) -> None:
        """The kernel takes the addresses away from a program that does not come by again."""
        if not self.held.on or not self.held.is_due(now):
            return
        missing = self.held.try_keep(now)
        if missing and self.settled and not self.todo:
            for policy in self.group.policies:
                self.todo += (Op("read", policy), Op("name", policy))

    def _drop(self) -> None:
        if not self.held.drop():
            return
        if self.known is not None and self.known.holder == self.node:
            self.gone_epoch = self.known.epoch
        self.settled = False
        self.names.unnamed.clear()
        self.prepared_epoch, self.leaving, self.offer = -1, "", ""

    def _prepare(self, now: float) -> None:
        """Addresses on, silently, before they are handed over; off when nothing came of it."""
        said = self.around.said.get(self.known.holder) if self.known else None
        offered = (
            said is not None
            and self.known is not None
            and said.offer == self.node
            and said.holds
            and said.epoch >= self.known.epoch
            and now - said.at_s < self.timing.lease_s
        )
        able = self._is_ready(now) and self.api_since_s is not None
        free = not self.held.on and (self.held.is_due(now) or not self.held.is_failing())
        if offered and able and free and self.known is not None:
            self.prepared_epoch = self.known.epoch
            self.held.try_keep(now)
        mine = self.known is not None and self.known.holder == self.node
        if self.prepared_epoch >= 0 and not mine and (not offered or self.held.is_failing()):
            self._drop()

    def _is_ready(self, now: float) -> bool:
        return self.around.ready and self.held.is_able(now)

    def _leaves(self, now: float) -> bool:
        """Whether the addresses stay until the next node is done, however many policies it has."""
        said = self.around.said.get(self.leaving)
        epoch = self.known.epoch if self.known else 0
        if said is not None and said.epoch >= epoch:
            if said.settled:
                return False
            if said.holds and now - said.at_s < self.timing.trust_s:
                self.leaving_s = now + self.timing.give_up_s
        return bool(self.leaving) and now < self.leaving_s

    # what the API is asked

    def _ask(self, now: float) -> bool:
        """At most one call; out: whether it was one, and it went well."""
        due = now - self.looked_s >= self.timing.interval_s
        mine = self.known is not None and self.known.holder == self.node
        if now < self.again_s:
            return False
        try:
            if self.choice.act == TAKE:
                self._take(now)
            elif due and mine and self.choice.act == HOLD:
                self._renew(now)
            elif due:
                self._read(now)
            elif mine and self.settled and self._given(now):
                self._give(now)
            elif mine and self.choice.act == HOLD and self.api_since_s is not None:
                return self._go_on(now)
            else:
                return False
        except ConflictError:
            self.looked_s = NEVER_S  # somebody wrote: read at once
            self.lease = None  # our own write may have come through unseen
        except (ApiError, RefusedError, OSError) as refused:
            self.api_errors += isinstance(refused, ApiError)
            self.again_s = self.clock() + self.timing.interval_s / 2
            self._complain(str(refused))
            return False
        return True

    def _patience(self, now: float) -> float:
        """A call that hangs must not keep us from noting in time that it does."""
        ends = [now + self.timing.interval_s * 2]
        if self.api_since_s is not None:
            ends.append(self.api_ok_s + self.timing.lost_s)
        if self.held.on and now - self.renewed_s < self.timing.give_up_s:
            ends.append(self.renewed_s + self.timing.give_up_s)
        return max(min(ends) - now, 0.02)

    def _note(self, lease: Lease) -> None:
        now = self.clock()
        if self.lease is None or lease.version != self.lease.version:
            self.known = Known(lease.holder, lease.epoch, now)
        if lease.holder != self.node:
            self.renewed_s = NEVER_S
        self.lease, self.api_ok_s = lease, now
        if self.api_since_s is None:
            self.api_since_s = now
            self._complain("")

    def _read(self, now: float) -> None:
        self.looked_s = now
        self._note(self.api.read_lease(self._patience(now)))

    def _renew(self, now: float) -> None:
        if self.lease is None:
            self._read(now)
            return
        self.looked_s, wanted = now, self.lease
        self._note(self.api.write_lease(wanted, self.timing.lease_s, self._patience(now)))
        self.renewed_s = now

    def _take(self, now: float) -> None:
        if self.lease is None:
            self._read(now)
            return
        epoch = self.lease.epoch
        if self.lease.holder != self.node or epoch < self.floor:
            epoch = max(epoch, self.floor) + 1
        self.looked_s = now
        wanted = self.lease._replace(holder=self.node, epoch=epoch)
        self._note(self.api.write_lease(wanted, self.timing.lease_s, self._patience(now)))
        self.renewed_s, self.gone_epoch, self.settled = now, -1, False
        self.moves += 1
        self.todo = plan_move(self.group, prepared=self.prepared_epoch >= 0)

    def _go_on(self, now: float) -> bool:
        """The next thing of a move, or of an audit."""
        if not self.todo:
            if not self.settled or now - self.audited_s < AUDIT_S:
                return False
            self.audited_s = now
            self.todo.extend(Op("see", policy) for policy in self.group.policies)
        op = self.todo[0]
        getattr(self, f"_op_{op.verb}")(op, self._patience(now))
        if self.todo and self.todo[0] is op:
            self.todo.popleft()
        return True

    @property
    def _epoch(self) -> int:
        return self.known.epoch if self.known else 0

    def _op_node(self, _: Op, timeout_s: float) -> None:
        self.names.look(timeout_s)

    def _op_read(self, op: Op, timeout_s: float) -> None:
        found = self.names.read(op.policy, timeout_s)
        if found is not None:
            self._check_epoch(found.epoch)

    def _check_epoch(self, found: int) -> None:
        """A newer one: the lease is somebody else's, or was made anew."""
        if found > self._epoch:
            self.floor = found
            self.renewed_s = self.looked_s = NEVER_S
            self.settled = False
            self.todo.clear()

    def _op_hold(self, _: Op, __: float) -> None:
        prepared, self.prepared_epoch = self.prepared_epoch >= 0, -1
        self.held.keep(self.clock())
        if not prepared:  # else answers still come to who hands over
            self.held.card.announce()

    def _op_renew(self, _: Op, __: float) -> None:
        self._renew(self.clock())

    def _op_name(self, op: Op, timeout_s: float) -> None:
        if not self.names.write(op.policy, self._epoch, timeout_s):
            self.todo.appendleft(Op("read", op.policy))

    def _op_settle(self, _: Op, __: float) -> None:
        self.settled, self.audited_s = True, self.clock()
        self.held.card.announce()
        _say(f"{self.group.name}: held here, epoch {self._epoch}")

    def _op_see(self, op: Op, timeout_s: float) -> None:
        found = self.names.read(op.policy, timeout_s)
        if found is None or self.names.is_ours(found, self._epoch):
            return
        self._check_epoch(found.epoch)
        if self.todo:
            # one that is new names nobody, and had no epoch
            self.strays += found.epoch == self._epoch
            _say(f"{self.group.name}: {op.policy} named {found.hostname}; it is put right")
            self.todo.appendleft(Op("name", op.policy))

    # handing over

    def _hand_over(self, now: float) -> None:
        """Choose whom to offer the addresses to."""
        if self.around.ready:
            self.ready_s = now
        if self.leaving and now >= self.leaving_s and self.choice.act == HOLD:
            # the lease was never written, or it is ours again
            self.settled, self.leaving = self.held.on, ""
        if not self.settled or self.choice.act != HOLD or self.leaving:
            self.offer = ""
            return
        wish = self.around.wish()
        wanted = ""
        if wish is not None and wish.ident != self.heeded:
            wanted = wish.node
        elif now - self.ready_s >= UNREADY_S:
            wanted = next((name for name in self.group.names if self._able(name, now)), "")
        self.offer = wanted if wanted in self.group.names and wanted != self.node else ""

    def _able(self, name: str, now: float) -> bool:
        said = self.around.said.get(name)
        fresh = said is not None and now - said.at_s < self.timing.trust_s
        return fresh and said is not None and said.api and said.ready

    def _given(self, now: float) -> bool:
        """Whether whom we offer them to has them on."""
        said = self.around.said.get(self.offer)
        there = said is not None and said.prepared and said.epoch == self._epoch
        return there and self._able(self.offer, now)

    def _give(self, now: float) -> None:
        if self.lease is None:
            return
        self.looked_s = now
        wanted = self.lease._replace(holder=self.offer, epoch=self.lease.epoch + 1)
        self.leaving, self.leaving_s = self.offer, now + self.timing.give_up_s
        self.offer, self.settled = "", False
        wish = self.around.wish()
        self.heeded = wish.ident if wish else self.heeded
        self.todo.clear()
        self._note(self.api.write_lease(wanted, self.timing.lease_s, self._patience(now)))
        _say(f"{self.group.name}: handed over to {self.leaving}")

    def _speak(self, now: float) -> Said:
        return Said(
            now,
            self._epoch,
            api=self.api_since_s is not None,
            ready=self._is_ready(now),
            holds=self._holds,
            settled=self.settled,
            gone=self.gone_epoch == self._epoch,
            prepared=self.prepared_epoch == self._epoch,
            offer=self.offer or self.leaving,
        )

    def _complain(self, text: str) -> None:
        if text and text != self.trouble:
            _say(f"{self.group.name}: {text}")
        self.trouble = text


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
