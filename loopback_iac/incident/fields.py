"""What a fact of an incident may be: known, within bounds, or unknown; a moment has a zone."""

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

from loopback_iac.model.fields import Line, described, refuse

UNKNOWN = "unknown"
ONGOING = "ongoing"
Answer = Literal["yes", "no", "unknown"]
LARGEST = Decimal(10) ** 15
YEARS = range(1970, 9000)  # what every zone's arithmetic holds
BOUNDS = ("at_least", "at_most")


@dataclass(frozen=True)
class Amount:
    """A number from `least` to `most`; None: nobody knows how many at most."""

    least: Decimal = Decimal(0)
    most: Decimal | None = None

    @property
    def known(self) -> bool:
        """Whether anything is known of it."""
        return self != Amount()

    def exceeds(self, limit: "Amount") -> Answer:
        """Whether it is more than a limit that itself may be known within bounds only."""
        if limit.most is not None and self.least > limit.most:
            return "yes"
        return "no" if self.most is not None and self.most <= limit.least else "unknown"

    def reaches(self, number: int) -> Answer:
        """Whether it is `number` or more."""
        if self.least >= number:
            return "yes"
        return "no" if self.most is not None and self.most < number else "unknown"

    def as_tree(self) -> object:
        """A number, bounds, or `unknown`."""
        if not self.known:
            return UNKNOWN
        if self.least == self.most:
            return _number(self.least)
        bounds = zip(BOUNDS, (self.least or None, self.most), strict=True)
        return {name: _number(bound) for name, bound in bounds if bound is not None}


def all_of(*answers: Answer) -> Answer:
    """Yes when each is; no as soon as one is."""
    if "no" in answers:
        return "no"
    return "unknown" if "unknown" in answers else "yes"


def any_of(*answers: Answer) -> Answer:
    """No when each is; yes as soon as one is."""
    if "yes" in answers:
        return "yes"
    return "unknown" if "unknown" in answers else "no"


def opposite(answer: Answer) -> Answer:
    """Unknown stays unknown."""
    if answer == "unknown":
        return "unknown"
    return "no" if answer == "yes" else "yes"


def amount_text(tree: object) -> str:
    """An amount as `as_tree` gives it, in words."""
    if not isinstance(tree, Mapping):
        return str(tree)
    words = {"at_least": "at least", "at_most": "at most"}
    return ", ".join(f"{words[name]} {bound}" for name, bound in tree.items())


def moment_text(moment: dt.datetime) -> str:
    """A moment in UTC, to the second, or to the millisecond where more is known."""
    precision = "milliseconds" if moment.microsecond else "seconds"
    text = moment.astimezone(dt.UTC).isoformat(timespec=precision)
    return text.removesuffix("+00:00") + "Z"


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _decimal(value: object, need: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        refuse("amount", described(value), need, "write a number, bounds, or unknown")
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = Decimal("nan")
    if not found.is_finite() or not 0 <= found <= LARGEST:
        refuse("amount", described(value), need, "write a number, bounds, or unknown")
    return found


def _amount(value: object) -> object:
    need = "a number from 0, {at_least: N, at_most: N}, or unknown"
    if isinstance(value, Amount):
        return value
    if value == UNKNOWN:
        return Amount()
    if isinstance(value, Mapping):
        if not value or set(value) - set(BOUNDS):
            got = f"a map with {', '.join(map(str, value)) or 'nothing'}"
            refuse("amount", got, need, "name at_least, at_most or both")
        bounds = {name: _decimal(each, need) for name, each in value.items()}
        found = Amount(bounds.get("at_least", Decimal(0)), bounds.get("at_most"))
        if found.most is not None and found.least > found.most:
            refuse("amount", f"at least {found.least} and at most {found.most}", need, "swap them")
        return found
    exact = _decimal(value, need)
    return Amount(exact, exact)


def _answer(value: object) -> object:
    if isinstance(value, bool):  # YAML 1.1 reads yes and no as these
        return "yes" if value else "no"
    if value not in ("yes", "no", UNKNOWN):
        refuse("answer", described(value), "yes, no or unknown", "write one of them")
    return value


def _moment(value: object) -> object:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            refuse("moment", described(value), "a day, a time and a zone", _AS_IN)
    if not isinstance(value, dt.datetime):
        got = f"{value} is a day" if isinstance(value, dt.date) else described(value)
        refuse("moment", got, "a day, a time and a zone", _AS_IN)
    if value.tzinfo is None:
        refuse("moment-zone", f"{value.isoformat()} has no zone", "an offset, or Z", _AS_IN)
    if value.year not in YEARS:
        refuse("moment", f"{value.isoformat()} is far off", "a moment of our days", _AS_IN)
    return value.astimezone(dt.UTC)


_AS_IN = "write it as in 2026-11-20T02:13:00+01:00"


def _or_unknown(value: object) -> object:
    return None if value == UNKNOWN else value


def _end(value: object) -> object:
    return value if value in (None, ONGOING) else _moment(value)


def _zone(value: object) -> object:
    found = value
    if isinstance(value, str) and value:
        with suppress(OSError, ValueError, LookupError):
            found = ZoneInfo(value)
    if not isinstance(found, ZoneInfo):
        fix = "write it as in Europe/Berlin; UTC is one as well"
        refuse("zone-name", described(value), "a name of the time zone database", fix)
    return found


def _lines(value: object) -> object:
    value = _or_unknown(value)
    return tuple(value) if isinstance(value, list) else value


KnownAmount = Annotated[Amount, BeforeValidator(_amount)]
YesNo = Annotated[Answer, BeforeValidator(_answer)]
Moment = Annotated[dt.datetime, BeforeValidator(_moment)]
PerhapsMoment = Annotated[Moment | None, BeforeValidator(_or_unknown)]
"""None: unknown."""
End = Annotated[
    dt.datetime | Literal["ongoing"] | None, BeforeValidator(lambda v: _end(_or_unknown(v)))
]
"""None: unknown."""
PerhapsLines = Annotated[tuple[Line, ...] | None, BeforeValidator(_lines)]
"""None: unknown; empty: there are none."""
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
