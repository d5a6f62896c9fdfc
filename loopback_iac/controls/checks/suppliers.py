"""SUP-01, JUR-02: whom the stack depends on, held against what is on record about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.result import Finding, Outcome
from loopback_iac.controls.stack import CONVERGED
from loopback_iac.controls.tree import ABSENT, UNKNOWN, at, items
from loopback_iac.proof import HOSTS

if TYPE_CHECKING:
    from loopback_iac.controls.stack import Stack

ASKED = ("legal_name", "country", "contact", "services", "criticality", "contract", "last_review")
CLOUDS = {"hcloud": "hetzner", "ionoscloud": "ionos", "cloudflare": "cloudflare"}
"""Package of a provider -> what components call who sells it."""
BASELINE = "loopback-iac:index:HostBaseline"
_BOUGHT = (
    (("logs", "sinks"), "provider"),
    (("time", "servers"), "operator"),
    (("backups", "targets"), "provider"),
)


@CHECKS.stack("SUP-01")
def check_register(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Everybody the stack buys from is on record, and was looked at within the year."""
    register = settings["register"]
    used, late = suppliers(stack)
    if not register:
        text = f"no register is configured; in use: {', '.join(sorted(used)) or 'nobody known'}"
        yield Finding(Outcome.MANUAL, text)
        return
    for name in sorted(used):
        wrong = _wrong(register.get(name), settings["review_days"], stack.today)
        if wrong:
            yield Finding(Outcome.FAIL, f"{name}: {wrong}", subject=name)
        else:
            yield Finding(Outcome.PASS, subject=name)
    if late:
        yield Finding(Outcome.OPEN, f"not known here: {', '.join(late)}")


@CHECKS.stack("JUR-02")
def check_control(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Who is controlled from a third country is used only for what somebody allowed."""
    used, late = suppliers(stack)
    for name in sorted(used):
        country = settings["controlled_from"].get(name)
        if country is None or country in settings["countries"]:
            yield Finding(Outcome.PASS, subject=name)
        elif name in settings["allowed"]:
            yield Finding(Outcome.PASS, f"{name}: {settings['allowed'][name]}", subject=name)
        else:
            text = f"{name} is controlled from {country}, and nobody said what for it is allowed"
            yield Finding(Outcome.FAIL, text, subject=name)
    if late:
        yield Finding(Outcome.OPEN, f"not known here: {', '.join(late)}")


def suppliers(stack: Stack) -> tuple[set[str], list[str]]:
    """Clouds, providers of machines, carriers by AS, whom hosts send logs and backups to or ask the
    time; and what of them is not known yet.
    """
    used = {CLOUDS[p] for kind in stack.kinds() if (p := kind.partition(":")[0]) in CLOUDS}
    late = []
    for host in stack.of(*HOSTS):
        place = stack.places.places[host.name]
        if "provider" in place.unknown:
            late.append(f"provider of {host.name}")
        elif place.provider:
            used.add(place.provider)
    for word, name, entry in _bought(stack):
        whose = at(entry, word)
        late += [f"{word} of {name}"] if whose is UNKNOWN else []
        used |= {whose} - {UNKNOWN, ABSENT}
    carriers, unknown = _carriers(stack)
    return used | carriers, late + unknown


def _carriers(stack: Stack) -> tuple[set[str], list[str]]:
    used: set[str] = set()
    late: list[str] = []
    for edge, fleet in stack.fleets:
        for _, pop in items(fleet, "pops"):
            for name, up in items(pop, "upstreams"):
                asn = at(up, "asn")
                if asn is UNKNOWN:
                    late.append(f"AS of {name} at {edge.name}")
                elif asn is not ABSENT and at(up, "kind") != "internal":
                    used.add(f"AS{int(asn)}")
    return used, late


def _bought(stack: Stack) -> Iterator[tuple[str, str, Any]]:
    """What baselines name: where who it is bought of stands, what it is called, its facts."""
    found = [at(each.facts, "declared") for each in stack.of(BASELINE)]
    found += [at(host.facts, "baseline") for host in stack.of(*CONVERGED)]
    for base in found:
        for path, word in _BOUGHT if base is not UNKNOWN else ():
            yield from ((word, name, entry) for name, entry in items(base, *path))


def _wrong(entry: object, review_days: int, today: date | None) -> str:
    if not isinstance(entry, Mapping):
        return "not in the register"
    missing = [name for name in ASKED if at(entry, name) is ABSENT]
    if missing:
        return f"its entry lacks {', '.join(missing)}"
    try:
        seen = date.fromisoformat(str(at(entry, "last_review")))
    except ValueError:
        return "its last_review is no day (YYYY-MM-DD)"
    if today is not None and (today - seen).days > review_days:
        return f"it was last reviewed on {seen}"
    return ""
