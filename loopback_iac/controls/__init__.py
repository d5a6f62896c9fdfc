"""Controls: what NIS-2 and its like ask of an edge, as records with a check over plain facts."""

from loopback_iac.controls import checks
from loopback_iac.controls.action import Action, plan_of_action
from loopback_iac.controls.evaluate import (
    CHECKS,
    Check,
    Wish,
    check_control,
    check_resource,
    evaluate,
)
from loopback_iac.controls.exceptions import (
    Exceptional,
    ExceptionRecord,
    cover,
    overlapping,
    read_exceptions,
    shown,
    unused,
)
from loopback_iac.controls.record import (
    Control,
    Law,
    Point,
    load_controls,
    load_laws,
    mappings_of,
)
from loopback_iac.controls.result import BLOCKING, Finding, Outcome, Report
from loopback_iac.controls.stack import Resource, Stack

__all__ = [
    "BLOCKING",
    "CHECKS",
    "Action",
    "Check",
    "Control",
    "ExceptionRecord",
    "Exceptional",
    "Finding",
    "Law",
    "Outcome",
    "Point",
    "Report",
    "Resource",
    "Stack",
    "Wish",
    "check_control",
    "check_resource",
    "checks",
    "cover",
    "evaluate",
    "load_controls",
    "load_laws",
    "mappings_of",
    "overlapping",
    "plan_of_action",
    "read_exceptions",
    "shown",
    "unused",
]
