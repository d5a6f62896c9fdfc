"""Texts of law that data of ours speak of: which one, in which version, and where it was read."""

from loopback_iac.model.fields import Line, Value
from loopback_iac.model.origin import Day


class LawText(Value):
    """Which version of which text was read, and how."""

    id: Line
    law: Line
    version: Line
    source: Line
    read_on: Day
    note: Line
