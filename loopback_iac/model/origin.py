"""Who originates a prefix, by whose leave: ROA, route object, letter of authorisation, progress.

All of it is declared: no registry, validator or carrier is asked here. Each fact carries the day
on which somebody saw it, and what a plan refuses follows from the facts alone.
"""

import re
from contextlib import suppress
from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from loopback_iac.model.fields import (
    AnyNetwork,
    Asn,
    Int,
    Line,
    LineList,
    Network,
    Value,
    described,
    refuse,
)

STEPS = ("requested", "roa-valid", "irr-visible", "upstream-accepted", "announced")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _day(value: object) -> object:
    if isinstance(value, date):
        return value
    # fromisoformat also reads weeks and days without hyphens; one way to write it is enough
    if isinstance(value, str) and DAY.fullmatch(value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    return refuse(
        "date-syntax",
        described(value),
        "a day as YYYY-MM-DD",
        "write it as in 2026-11-21",
    )


Day = Annotated[date, BeforeValidator(_day)]


class Roa(Value):
    """A route origin authorisation (RFC 9582) as a validator showed it."""

    # AS0 stands in a ROA that forbids everybody (RFC 7607), so it is no Asn
    asn: Int = Field(ge=0, le=2**32 - 1)
    valid_on: Day
    prefix: AnyNetwork | None = None
    max_length: Int | None = Field(None, ge=0, le=128)
    expires_on: Day | None = None

    def network_for(self, announced: Network) -> Network:
        """The ROA's own prefix; unless said, the announced one."""
        return self.prefix if self.prefix is not None else announced

    def longest_for(self, announced: Network) -> int:
        """Its maxLength; unless said, the length of its prefix (RFC 9582 4.3.2)."""
        if self.max_length is not None:
            return self.max_length
        return self.network_for(announced).prefixlen

    def covers(self, announced: Network) -> bool:
        """Whether it speaks of an announced prefix at all (RFC 6811 section 2)."""
        mine = self.network_for(announced)
        return (
            mine.version == announced.version
            and mine.prefixlen <= announced.prefixlen
            and announced.network_address in mine
        )

    def matches(self, announced: Network, asn: int) -> bool:
        """Whether an announcement of that origin is valid by it (RFC 6811 section 2)."""
        return (
            self.covers(announced)
            and announced.prefixlen <= self.longest_for(announced)
            and self.asn == asn != 0
        )


class RouteObject(Value):
    """A route or route6 object of the prefix and its origin in a routing registry."""

    registry: Line
    visible_on: Day


class Letter(Value):
    """The letter by which the holder lets the fleet's carriers take the announcement."""

    reference: Line
    signed_on: Day
    expires_on: Day | None = None


class Origin(Value):
    """One AS number that originates a prefix, at these PoPs, and how far that has come."""

    asn: Asn
    announced_by: Literal["pop", "provider"] = "pop"
    asn_source: Line | None = None
    pops: LineList | None = None
    requested_on: Day | None = None
    roa: Roa | None = None
    route_object: RouteObject | None = None
    letter: Letter | None = None
    accepted_on: dict[str, Day] = Field(default_factory=dict)
    announced_on: Day | None = None

    def holds_at(self, pop: str) -> bool:
        """Whether it is the origin at a PoP; without a list, at every one."""
        return self.pops is None or pop in self.pops

    @property
    def state(self) -> str:
        """The last step up to which nothing is missing; `undeclared` before the first."""
        done = (
            self.requested_on is not None,
            self.roa is not None,
            self.route_object is not None,
            bool(self.accepted_on),
            self.announced_on is not None,
        )
        reached = "undeclared"
        for step, there in zip(STEPS, done, strict=True):
            if not there:
                return reached
            reached = step
        return reached

    @property
    def happened(self) -> tuple[tuple[str, date], ...]:
        """(field, day) of everything that is said to have happened."""
        parts = {
            "requested_on": self.requested_on,
            "roa.valid_on": self.roa.valid_on if self.roa else None,
            "route_object.visible_on": self.route_object.visible_on if self.route_object else None,
            "letter.signed_on": self.letter.signed_on if self.letter else None,
            **{f"accepted_on.{name}": day for name, day in sorted(self.accepted_on.items())},
            "announced_on": self.announced_on,
        }
        return tuple((field, day) for field, day in parts.items() if day is not None)
