"""Whether an incident is significant: each criterion met, not met or unknown, and why.

A test decides by what is known. What is unknown stays unknown unless it cannot change the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from loopback_iac.incident.check_facts import lasted
from loopback_iac.incident.clock import add_months
from loopback_iac.incident.facts import Facts, Service
from loopback_iac.incident.fields import (
    Amount,
    Answer,
    all_of,
    amount_text,
    any_of,
    opposite,
)
from loopback_iac.incident.law import Criterion, load_significance

VERDICTS = {"yes": "met", "no": "not met", "unknown": "unknown"}
Result = tuple[Answer, str]


@dataclass(frozen=True)
class Judged:
    """One criterion, of one service where it is about services."""

    criterion: Criterion
    service: str
    answer: Answer
    because: str
    unknown: tuple[str, ...]
    """Paths of facts that would decide it."""


@dataclass(frozen=True)
class Untested:
    """An article that nothing was held to, and why."""

    article: str
    because: str


@dataclass(frozen=True)
class Verdict:
    """All of it. `answer` is for a person to check, like every answer below it."""

    answer: Answer
    because: str
    judged: tuple[Judged, ...]
    untested: tuple[Untested, ...]


def judge_significance(facts: Facts) -> Verdict:
    """Hold an incident to CIR (EU) 2024/2690, Articles 3 to 10.

    Sources: laws/cir-2024-2690.yaml.
    """
    law = load_significance()
    judged = [_judge(facts, None, "", criterion) for criterion in law.general]
    untested = []
    for kind in law.kinds:
        held = [
            (f"services[{at}]", service)
            for at, service in enumerate(facts.services)
            if service.kind in (kind.kind, "unknown")
        ]
        if not held:
            untested.append(Untested(kind.article, f"no service is declared of {kind.who}"))
        for path, service in held:
            judged += [_judge(facts, service, path, each) for each in kind.criteria]
    untested.append(Untested("11 to 14", law.not_tested))
    answer, because = _overall(facts, judged)
    return Verdict(answer, because, tuple(judged), tuple(untested))


def _overall(facts: Facts, judged: list[Judged]) -> Result:
    law = load_significance()
    fulfilled = any_of(*(each.answer for each in judged))
    answer = all_of(fulfilled, opposite(facts.scheduled))
    met = dict.fromkeys(each.criterion.point for each in judged if each.answer == "yes")
    open_ = dict.fromkeys(each.criterion.point for each in judged if each.answer == "unknown")
    words = []
    if met:
        words.append(f"met: {', '.join(met)}")
    if open_:
        words.append(f"unknown: {', '.join(open_)}")
    if not met and not open_:
        words.append("no criterion that was tested is met")
    if facts.scheduled == "yes":
        words.append(f"it was scheduled, so {law.exempt.point} takes it out")
    elif facts.scheduled == "unknown" and fulfilled != "no":
        words.append(f"whether it was scheduled ({law.exempt.point}) is unknown")
    return answer, "; ".join(words)


def _judge(facts: Facts, service: Service | None, path: str, criterion: Criterion) -> Judged:
    if service is not None and service.kind == "unknown":
        because = f"{service.name}: what kind of service it is, is unknown"
        return Judged(criterion, service.name, "unknown", because, (f"{path}.kind",))
    context = _Context(facts, service, criterion)
    answer, because = TESTS[criterion.test](context)
    missing = []
    if answer == "unknown":
        missing = [context.path(name, path) for name in criterion.facts if not context.known(name)]
    name = service.name if service else ""
    return Judged(criterion, name, answer, because, tuple(missing))


@dataclass(frozen=True)
class _Context:
    facts: Facts
    service: Service | None
    criterion: Criterion

    def get(self, name: str) -> object:
        """A fact of the service, else of the incident."""
        if name in Service.model_fields and self.service is not None:
            return getattr(self.service, name)
        found: object = self.facts
        for step in name.split("."):
            found = getattr(found, step)
        return found

    def known(self, name: str) -> bool:
        """Whether anything is known of a fact."""
        found = self.get(name)
        return found.known if isinstance(found, Amount) else found not in (None, "unknown")

    def path(self, name: str, service: str) -> str:
        """Where somebody would write it."""
        return f"{service}.{name}" if name in Service.model_fields and service else name

    def amount(self, name: str) -> Amount:
        """A number."""
        found = self.get(name)
        return found if isinstance(found, Amount) else Amount()

    def answer(self, name: str) -> Answer:
        """Yes, no, unknown."""
        found = self.get(name)
        if found == "yes":
            return "yes"
        return "no" if found == "no" else "unknown"

    def says(self, *names: str) -> str:
        """Facts with their values."""
        return ", ".join(f"{name} {_text(self.get(name))}" for name in names)


def _text(value: object) -> str:
    return amount_text(value.as_tree()) if isinstance(value, Amount) else str(value)


def _all_of(context: _Context) -> Result:
    names = context.criterion.facts
    return all_of(*map(context.answer, names)), context.says(*names)


def _least_of(most: int, percent: int, whole: Amount) -> Amount:
    """A share of something, or a number, whichever is smaller."""
    share, cap = Decimal(percent) / 100, Decimal(most)
    top = cap if whole.most is None else min(whole.most * share, cap)
    return Amount(min(whole.least * share, cap), top)


def _loss_limit(context: _Context) -> Amount:
    rule = context.criterion
    return _least_of(rule.most, rule.percent, context.facts.entity.turnover_eur)


def _loss(context: _Context) -> Result:
    limit = _loss_limit(context)
    because = f"{context.says('loss_eur', 'entity.turnover_eur')}; the limit is {_limit(limit)}"
    return context.facts.loss_eur.exceeds(limit), because


def _limit(limit: Amount) -> str:
    if limit.least == limit.most:
        return _text(limit)
    return f"{_text(Amount(limit.most or limit.least, limit.most))} or less"


def _recurring(context: _Context) -> Result:
    facts, rule = context.facts, context.criterion
    if facts.earlier is None:
        return "unknown", "whether there were incidents before it is unknown"
    since = add_months(facts.detected_at, -rule.months, facts.zone)
    near = [each for each in facts.earlier if each.detected_at >= since]
    alike = [each for each in near if each.same_cause != "no"]
    if not alike:
        return "no", f"{len(near)} incidents in the {rule.months} months before, none of its cause"
    surely = [each for each in alike if each.same_cause == "yes"]
    least = sum((each.loss_eur.least for each in surely), facts.loss_eur.least)
    losses = [facts.loss_eur.most, *(each.loss_eur.most for each in alike)]
    most = sum(each for each in losses if each is not None) if None not in losses else None
    together = Amount(least, None if most is None else Decimal(most))
    repeated: Answer = "yes" if surely else "unknown"
    names = ", ".join(f"{each.id} (same cause: {each.same_cause})" for each in alike)
    because = (
        f"with {names} a loss of {_text(together)}; the limit is {_limit(_loss_limit(context))}"
    )
    return all_of(repeated, together.exceeds(_loss_limit(context))), because


def _minutes(context: _Context) -> tuple[Amount, str]:
    """Minutes of the service, within what the incident's own length allows."""
    name = context.criterion.facts[0]
    found = context.amount(name)
    if name == "limited_minutes":  # what is unavailable is limited as well
        found = Amount(max(found.least, context.amount("unavailable_minutes").least), found.most)
    whole = lasted(context.facts)
    said = f"{name} {_text(found)}"
    if context.facts.ended is None and found.least == found.most:
        # what has begun may go on; what has not begun is not met so far
        found = Amount(found.least) if found.least else found
        said += " so far"
    if found.most is None and whole is not None:
        length = Decimal(int(whole.total_seconds())) / 60
        found = Amount(found.least, max(found.least, length))
        said += f", at most {length:.0f} as long as it lasted"
    return found, f"{said}; the limit is {context.criterion.minutes}"


def _lasts(context: _Context) -> Result:
    minutes, because = _minutes(context)
    limit = Decimal(context.criterion.minutes)
    return minutes.exceeds(Amount(limit, limit)), because


def _for_users(context: _Context, name: str) -> Result:
    rule = context.criterion
    limit = _least_of(rule.most, rule.percent, context.amount("users_total"))
    because = f"{context.says(name, 'users_total')}; the limit is {_limit(limit)}"
    return context.amount(name).exceeds(limit), because


def _lasts_for_users(context: _Context) -> Result:
    longer, minutes = _lasts(context)
    more, users = _for_users(context, "users_affected")
    return all_of(longer, more), f"{minutes}; {users}"


def _compromised_for_users(context: _Context) -> Result:
    more, users = _for_users(context, "data_users_affected")
    told = context.says("data_compromised")
    return all_of(context.answer("data_compromised"), more), f"{told}; {users}"


def _compromised_names(context: _Context) -> Result:
    """Compromised, and not by a misconfiguration that is small by number and by share."""
    rule, wrong = context.criterion, context.amount("domains_wrong")
    managed, share = context.amount("domains_managed"), Decimal(rule.percent) / 100
    top = None if managed.most is None else managed.most * share
    few = opposite(wrong.reaches(rule.most))
    small = opposite(wrong.exceeds(Amount(managed.least * share, top)))
    exception = all_of(context.answer("misconfiguration"), few, small)
    because = context.says(*rule.facts)
    return all_of(context.answer("data_compromised"), opposite(exception)), because


TESTS: dict[str, Callable[[_Context], Result]] = {
    "all-of": _all_of,
    "loss": _loss,
    "recurring": _recurring,
    "lasts": _lasts,
    "lasts-for-users": _lasts_for_users,
    "compromised-for-users": _compromised_for_users,
    "compromised-names": _compromised_names,
}
