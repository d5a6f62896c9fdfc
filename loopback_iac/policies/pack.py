"""The policy pack `loopback-iac`: every control with a check, as a policy.

Nothing is decided here: what a rule says stands in the control's record, what it looks at in its
check. Kinds are compared as text and no provider SDK is imported, so that the pack starts fast.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from pulumi_policy import EnforcementLevel, Policy, PolicyPack

from loopback_iac.controls import CHECKS, load_controls
from loopback_iac.policies.memo import remember
from loopback_iac.policies.projection import Clock, Ledger, Projection
from loopback_iac.policies.told import Telling

NAME = "loopback-iac"


def start_pack() -> None:
    """Start the pack's server; never returns."""
    remember()
    PolicyPack(NAME, policies=policies(), enforcement_level=EnforcementLevel.ADVISORY)


def today_utc() -> date:
    """The day on which exceptions are active or past."""
    return datetime.now(UTC).date()


def policies(today: Clock = today_utc) -> list[Policy]:
    """Every policy of the pack, in the order of the catalogue; the last tells what is left."""
    ledger = Ledger()
    controls = [c for c in load_controls().values() if c.id in CHECKS.checks]
    return [
        *(Projection(control, ledger, today).policy() for control in controls),
        Telling(ledger).policy(),
    ]
