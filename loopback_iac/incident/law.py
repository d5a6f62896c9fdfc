"""Texts of law as data: which criteria make an incident significant, what is due when."""

from functools import cache
from importlib.resources import files
from typing import Literal

import yaml

from loopback_iac.model.fields import Int, Line, LineList, Several, Value
from loopback_iac.model.law import LawText

Stage = Literal["early-warning", "notification", "final"]
Test = Literal[
    "all-of",
    "loss",
    "recurring",
    "lasts",
    "lasts-for-users",
    "compromised-for-users",
    "compromised-names",
]


class Criterion(Value):
    """One point, in short words of ours, and the test that stands for it."""

    point: Line
    says: Line
    test: Test
    facts: LineList
    """What it looks at: of the service, else of the incident; dotted for the entity's."""
    minutes: Int = 0
    percent: Int = 0
    most: Int = 0
    months: Int = 0


class KindOfService(Value):
    """One article about one kind of provider."""

    article: Line
    kind: Line
    who: Line
    criteria: Several[Criterion]


class Exempt(Value):
    """What is never significant."""

    point: Line
    says: Line


class Significance(LawText):
    """Criteria for every entity, and by kind of service."""

    exempt: Exempt
    not_tested: Line
    general: Several[Criterion]
    kinds: Several[KindOfService]


class DueStage(Value):
    """One report: hours after awareness, or months after the notification was submitted."""

    stage: Stage
    title: Line
    point: Line
    says: Line
    hours: Int = 0
    months: Int = 0
    asks: LineList


class Reporting(LawText):
    """What is reported by when."""

    starts: Line
    counting: Line
    stages: Several[DueStage]

    def of(self, stage: Stage) -> DueStage:
        """One of its stages."""
        return next(each for each in self.stages if each.stage == stage)


@cache
def load_significance() -> Significance:
    """CIR (EU) 2024/2690, Articles 3 to 10."""
    return Significance.model_validate(_read("cir-2024-2690.yaml"))


@cache
def load_reporting() -> Reporting:
    """Directive (EU) 2022/2555, Article 23(4)."""
    return Reporting.model_validate(_read("nis-2.yaml"))


def _read(name: str) -> object:
    text = files(__package__).joinpath("laws", name).read_text(encoding="utf-8")
    tree: object = yaml.safe_load(text)
    return tree
