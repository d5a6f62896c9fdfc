"""A group's addresses on this node's card, and whether the card takes them.

A node whose card did not take them for so long that another could have had them counts as not able
for some leases, says so to the others, and then tries again: what it lacks may have come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .gatewaychoice import NEVER_S
from .refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gatewayfile import Timing
    from .gatewayparts import Card

PAUSE_LEASES = 4


class Held:
    """What one group has on the card; they stay while somebody comes by."""

    def __init__(self, card: Card, timing: Timing, complain: Callable[[str], None]) -> None:
        self.card, self._timing, self._complain = card, timing, complain
        self.on = card.is_on()
        self._kept_s = NEVER_S
        self._failing_s: float | None = None

    def is_due(self, now: float) -> bool:
        """Whether the kernel should hear of them again; one that failed waits as long."""
        return now - self._kept_s >= self._timing.lease_s / 4

    def is_failing(self) -> bool:
        """Whether the card did not take them when it was tried last."""
        return self._failing_s is not None

    def is_able(self, now: float) -> bool:
        """Whether this node may have them, as far as its card goes."""
        return self._failing_s is None or not (
            self._timing.give_up_s <= now - self._failing_s < self._again_s
        )

    @property
    def _again_s(self) -> float:
        return self._timing.give_up_s + PAUSE_LEASES * self._timing.lease_s

    def keep(self, now: float) -> bool:
        """Put them on, or give them time again; on they are even if they came on in part.

        Out: whether one had been missing.
        Raises: RefusedError, OSError when the card does not take them.
        """
        self.on, self._kept_s = True, now
        try:
            missing = self.card.keep()
        except (RefusedError, OSError):
            if self._failing_s is None or now - self._failing_s >= self._again_s:
                self._failing_s = now
            raise
        self._failing_s = None
        return missing

    def try_keep(self, now: float) -> bool:
        """The same; what is refused is complained of, and seen in `is_failing`."""
        try:
            return self.keep(now)
        except (RefusedError, OSError) as refused:
            self._tell(refused)
            return False

    def drop(self) -> bool:
        """Out: False when it is to be tried again; nothing keeps them alive meanwhile."""
        try:
            self.card.drop()
        except (RefusedError, OSError) as refused:
            self._tell(refused)
            return False
        self.on = False
        return True

    def _tell(self, refused: Exception) -> None:
        self._complain(str(getattr(refused, "what", refused)).splitlines()[0])
