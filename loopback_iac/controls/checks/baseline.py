"""LOG-02, TIM-01, BAK-02, PAT-02: what hosts keep beside their work, from the declared baseline."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any

from loopback_iac.controls.checks.bgp import rendered
from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.result import Finding, Outcome
from loopback_iac.controls.stack import CONVERGED, EDGE_POP, failed, passed, settled, unsure
from loopback_iac.controls.tree import ABSENT, UNKNOWN, Tree, at, each, items, need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from loopback_iac.controls.stack import Resource, Stack

CHRONY = "/etc/chrony/conf.d/loopback.conf"
TIME = "/etc/chrony/conf.d/loopback-time.conf"
LOGS = "/etc/loopback/logs.conf"
PRIMARY_HOST = "loopback-iac:index:PrimaryHost"
SINK = re.compile(r'^  name="([a-z0-9-]+)"', re.MULTILINE)
SOURCE = re.compile(r"^(?:server|pool) (\S+)", re.MULTILINE)


@CHECKS.stack("LOG-02")
def check_logs(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Every host ships its journal to sinks of several providers, which keep it."""

    def look(host: Resource, base: Tree) -> Finding:
        sinks = dict(items(base, "logs", "sinks"))
        providers = {need(sink, "provider") for sink in sinks.values()}
        short = [n for n, s in sinks.items() if int(need(s, "kept_days")) < settings["kept_days"]]
        text = at(host.facts, "files", LOGS)
        if text is UNKNOWN:
            return unsure(host, [f"{LOGS} of {host.name}"])
        if not isinstance(text, str) or set(SINK.findall(text)) != set(sinks):
            return failed(host, f"its {LOGS} does not name the declared sinks")
        if len(providers) < settings["providers"]:
            return failed(host, f"logs go to sinks of {len(providers)} provider(s)")
        if short:
            told = (
                f"{', '.join(sorted(short))} keeps logs for less than {settings['kept_days']} days"
            )
            return failed(host, told)
        if all(need(sink, "unalterable_by") is ABSENT for sink in sinks.values()):
            return failed(host, "no sink says what keeps entries from being altered there")
        return passed(host)

    yield from _looked(stack, CONVERGED, look, "ships logs")


@CHECKS.stack("TIM-01")
def check_time(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Hosts have several sources of time, of several operators."""
    for host in stack.of(*CONVERGED):
        base = at(host.facts, "baseline")
        if base is not ABSENT:
            yield settled(host, host.name, lambda h=host, b=base: _time(h, b, settings))  # type: ignore[misc]
    for pop, text in rendered(stack, EDGE_POP, CHRONY):
        if at(pop.facts, "baseline") is not ABSENT:
            continue
        if isinstance(text, Finding):
            yield text
            continue
        sources = set(SOURCE.findall(text))
        if not sources:
            told = "the program names no sources of time: the host's own chrony.conf decides"
            yield Finding(Outcome.MANUAL, told, pop.label, pop.name)
        elif len(sources) < settings["sources"]:
            told = f"{len(sources)} sources of time; needed: {settings['sources']}"
            yield failed(pop, told)
        else:
            yield passed(pop)


@CHECKS.stack("BAK-02")
def check_copies(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """What only a primary has is copied to another provider, and was restored lately."""

    def look(host: Resource, base: Tree) -> Finding:
        backups = need(base, "backups")
        if backups is ABSENT:
            return failed(host, "its baseline has no backups, and it holds the keys of zones")
        own = need(host.facts, "place", "provider")
        targets = [target for _, target in items(backups, "targets")]
        if own is ABSENT:
            return failed(host, "nobody says whose machine it is, so no target is elsewhere")
        if all(need(target, "provider") == own for target in targets):
            return failed(host, "every target is at the provider that has the host")
        if int(need(backups, "kept_days")) < settings["kept_days"]:
            return failed(host, f"backups are kept for less than {settings['kept_days']} days")
        wrong = _restored(need(backups, "restored_on"), settings["restored_days"], stack.today)
        return failed(host, wrong) if wrong else passed(host)

    yield from _looked(stack, (PRIMARY_HOST,), look, "copies zones and keys elsewhere")


@CHECKS.stack("PAT-02")
def check_updates(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Updates come daily, but for what carries traffic, which is held."""

    def look(host: Resource, base: Tree) -> Finding:
        if need(base, "updates", "unattended") is not True:
            told = need(base, "updates", "waived_because")
            text = f"its updates are somebody else's to bring: {told}"
            return Finding(Outcome.MANUAL, text, host.label, host.name)
        if not list(each(host.facts, "held")):
            return failed(host, "no package is held, so daemons are updated under traffic")
        return passed(host)

    yield from _looked(stack, CONVERGED, look, "brings updates")


def _looked(
    stack: Stack, kinds: tuple[str, ...], look: Callable[[Resource, Tree], Finding], does: str
) -> Iterator[Finding]:
    """What `look` finds at each host; a baseline that some hosts lack was forgotten there."""
    hosts = [(host, at(host.facts, "baseline")) for host in stack.of(*kinds)]
    if hosts and all(at(h.facts, "baseline") is ABSENT for h in stack.of(*CONVERGED)):
        told = f"no host is given a HostBaseline; what else {does} is for people to say"
        yield Finding(Outcome.MANUAL, told)
        return
    for host, base in hosts:
        if base is ABSENT:
            yield failed(host, "it is not given the baseline that other hosts have")
        else:
            yield settled(host, host.name, lambda h=host, b=base: look(h, need(b)))  # type: ignore[misc]


def _time(host: Resource, base: Tree, settings: Mapping[str, Any]) -> Finding:
    servers = dict(items(base, "time", "servers"))
    operators = {need(server, "operator") for server in servers.values()}
    files = need(host.facts, "files")
    texts = [at(files, path) for path in (CHRONY, TIME)]
    if UNKNOWN in texts:
        return unsure(host, [f"{TIME} of {host.name}"])
    sources = {s for text in texts if isinstance(text, str) for s in SOURCE.findall(text)}
    if len(sources) < settings["sources"]:
        return failed(host, f"{len(sources)} sources of time; needed: {settings['sources']}")
    if len(operators) < settings["operators"]:
        return failed(host, f"sources of time of {len(operators)} operator(s)")
    return passed(host)


def _restored(day: Any, most_days: int, today: date | None) -> str:  # noqa: ANN401  # a fact
    if day is ABSENT:
        return "nobody says that a backup was ever restored (restored_on)"
    if today is not None and (today - date.fromisoformat(str(day))).days > most_days:
        return f"a backup was last restored on {day}"
    return ""
