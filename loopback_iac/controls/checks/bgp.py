"""BGP: sessions, origins and filters, from the fleet's facts and from bird.conf as rendered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.result import Finding, Outcome
from loopback_iac.controls.stack import EDGE_POP, failed, inapplicable, passed, settled, unsure
from loopback_iac.controls.tree import ABSENT, UNKNOWN, Tree, at, each, items, need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from loopback_iac.controls.stack import Resource, Stack

BIRD = "/etc/bird/bird.conf"
NFTABLES = "/etc/loopback/nftables.conf"
SESSION = re.compile(r"^protocol bgp (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
CHANNEL = re.compile(r"^  ipv([46]) \{\n(.*?)^  \};", re.MULTILINE | re.DOTALL)
FILTER = re.compile(r"^filter (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
EXPORTS = re.compile(r"^    export filter (\w+);", re.MULTILINE)
# by a tunnel, to a worker that leaves by this PoP
DEFAULT_ROUTE = re.compile(
    r"^  if net = 0\.0\.0\.0/0 && source = RTS_BGP then accept;\n", re.MULTILINE
)
OWN = re.compile(r"net ~ (?:OWN|SINGLE)[46]")
ACCEPTING = re.compile(r"^  if (.*?) then \{\n(.*?)^  \}", re.MULTILINE | re.DOTALL)


@CHECKS.stack("BGP-01")
def check_sessions(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every session has TCP-MD5 and GTSM, or the program says why it has not."""
    for edge, subject, up in _upstreams(stack):
        waived, far = at(up, "md5_waived_because"), at(up, "multihop_because")
        keyed, near = at(up, "md5"), at(up, "ttl_security")
        if keyed in (False, ABSENT) and waived is ABSENT:
            yield failed(edge, f"{subject}: neither TCP-MD5 nor a reason why not", subject)
        elif near in (False, ABSENT) and far is ABSENT:
            yield failed(edge, f"{subject}: no ttl security, and no reason why not", subject)
        elif UNKNOWN in (waived, far, keyed, near):
            yield unsure(edge, [f"how {subject} is protected"], subject)
        elif waived is not ABSENT:
            yield inapplicable(f"{subject} has no TCP-MD5, with the reason the program gives")
        else:
            yield passed(edge, subject)


@CHECKS.stack("BGP-02")
def check_rpki(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Where more than a default route is imported, validators are asked."""
    for edge, fleet in stack.fleets:
        if at(fleet, "rpki", "applies") is not True:
            yield inapplicable(str(at(fleet, "rpki", "not_applicable_because")))
        elif len(list(each(fleet, "rpki", "caches"))) < settings["caches"]:
            yield failed(edge, f"fewer than {settings['caches']} RPKI caches")
        else:
            yield passed(edge)


@CHECKS.stack("BGP-03")
def check_roas(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Each declared origin has a declared ROA for it, no longer than what is announced."""
    for edge, fleet in stack.fleets:
        for name, prefix in items(fleet, "prefixes"):
            origins = list(items(prefix, "origins"))
            if not origins:
                text = f"prefix {name} declares no origins, so no ROA is on record"
                yield Finding(Outcome.MANUAL, text, edge.label, edge.name, f"prefix {name}")
            for origin_name, origin in origins:
                subject = f"prefix {name}, origin {origin_name}"

                def look(
                    origin: Tree = origin, prefix: Tree = prefix, subject: str = subject
                ) -> Finding:
                    wrong = _roa_wrong(origin, str(need(prefix, "cidr")))
                    text = f"{subject}: {wrong}"
                    return failed(edge, text, subject) if wrong else passed(edge, subject)  # noqa: B023  # asked before the next fleet

                yield settled(edge, subject, look)


@CHECKS.stack("BGP-04")
def check_policies(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every channel of every session has an import and an export filter of its own (RFC 8212)."""

    def wrong(channel: str) -> str:
        ways = [
            w
            for w in ("import", "export")
            if not re.search(rf"^    {w} filter \w+;", channel, re.MULTILINE)
        ]
        return f"no filter on {' and '.join(ways)}" if ways else ""

    yield from _channels(stack, wrong)


@CHECKS.stack("BGP-05")
def check_limits(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every channel of every session takes so many routes and no more."""

    def wrong(channel: str) -> str:
        found = re.search(r"^    import limit \d+ action \w+;", channel, re.MULTILINE)
        return "" if found else "no import limit with an action"

    yield from _channels(stack, wrong)


@CHECKS.stack("BGP-06")
def check_roles(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every session with another network has a role (RFC 9234)."""
    for edge, subject, up in _upstreams(stack):
        tunnel = at(up, "tunnel", "router")
        if UNKNOWN in (at(up, "kind"), at(up, "role"), tunnel):
            yield unsure(edge, [f"what {subject} is"], subject)
        elif at(up, "kind") == "internal" or tunnel not in (ABSENT, "carrier"):
            yield inapplicable(f"{subject} is a router of one's own")
        elif at(up, "role") is ABSENT:
            yield failed(edge, f"{subject}: no role", subject)
        else:
            yield passed(edge, subject)


@CHECKS.stack("BGP-07")
def check_exports(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every export filter accepts own prefixes only, and rejects at its end; own hosts may have a
    default route beside.
    """
    for pop, bird in rendered(stack, EDGE_POP, BIRD):
        if isinstance(bird, Finding):
            yield bird
            continue
        filters, inside = dict(FILTER.findall(bird)), _sent_to_own_hosts(bird)
        for name in sorted(set(EXPORTS.findall(bird))):
            body = filters.get(name, "")
            if name in inside:
                body = DEFAULT_ROUTE.sub("", body)
            open_ways = [
                c for c, then in ACCEPTING.findall(body) if "accept;" in then and not OWN.search(c)
            ]
            rest = ACCEPTING.sub("", body)
            if open_ways or "accept;" in rest or not rest.rstrip().endswith("reject;"):
                yield failed(pop, f"filter {name} lets out more than own prefixes", name)
            else:
                yield passed(pop, name)


def _sent_to_own_hosts(bird: str) -> set[str]:
    """Export filters of sessions within the own network, and of no other."""
    sent: dict[bool, set[str]] = {True: set(), False: set()}
    for _, body in SESSION.findall(bird):
        own = re.search(r"^  neighbor \S+ as LOCAL_AS;$", body, re.MULTILINE) is not None
        sent[own].update(EXPORTS.findall(body))
    return sent[True] - sent[False]


@CHECKS.stack("BGP-08")
def check_gates(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Every prefix is announced while something that serves it proves healthy."""
    for edge, fleet in stack.fleets:
        for name, prefix in items(fleet, "prefixes"):
            subject = f"prefix {name}"
            if at(prefix, "services") is UNKNOWN:
                yield unsure(edge, [f"services of {subject}"], subject)
            elif not list(each(prefix, "services")):
                yield failed(
                    edge, f"{subject}: announced whatever happens to what it serves", subject
                )
            else:
                yield passed(edge, subject)


@CHECKS.stack("BGP-09")
def check_sources(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Nothing leaves under a foreign address, and none of one's own comes in from outside."""
    for pop, guard in rendered(stack, EDGE_POP, NFTABLES):
        if isinstance(guard, Finding):
            yield guard
            continue
        chains = dict(re.findall(r"^\tchain (\w+) \{\n(.*?)^\t\}", guard, re.MULTILINE | re.DOTALL))
        leaving, coming = chains.get("output", ""), chains.get("input", "")
        if "policy drop" not in leaving or "fib saddr type local accept" not in leaving:
            yield failed(pop, "packets may leave under a foreign source address", "output")
        elif not re.search(r"ip6? saddr @own[46] counter drop", coming):
            yield failed(pop, "packets from outside may carry an own source address", "input")
        else:
            yield passed(pop)


def rendered(stack: Stack, kind: str, path: str) -> Iterator[tuple[Resource, str | Finding]]:
    """
    One file of every host of a kind.

    Out: its text, or the finding that stands for it while it is not known.
    """
    for host in stack.of(kind):
        files = at(host.facts, "files")
        text = at(files, path)
        if files is UNKNOWN or files is ABSENT or text is UNKNOWN:
            yield host, unsure(host, [f"{path} of {host.name}"])
        elif isinstance(text, str):
            yield host, text
        else:
            yield host, failed(host, f"there is no {path} among its files")


def _channels(stack: Stack, wrong: Callable[[str], str]) -> Iterator[Finding]:
    for pop, bird in rendered(stack, EDGE_POP, BIRD):
        if isinstance(bird, Finding):
            yield bird
            continue
        for session, body in SESSION.findall(bird):
            for family, channel in CHANNEL.findall(body):
                subject = f"{session}, IPv{family}"
                found = wrong(channel)
                yield failed(pop, f"{subject}: {found}", subject) if found else passed(pop, subject)


def _upstreams(stack: Stack) -> Iterator[tuple[Resource, str, Tree]]:
    for edge, fleet in stack.fleets:
        for pop, facts in items(fleet, "pops"):
            for name, up in items(facts, "upstreams"):
                yield edge, f"{pop} to {name}", up


def _roa_wrong(origin: Tree, cidr: str) -> str:
    """RFC 9319: a ROA longer than what is announced invites forged origins of its parts."""
    if need(origin, "announced_by") == "provider":
        return ""
    roa = need(origin, "roa")
    if roa is ABSENT:
        return "no ROA was seen"
    if need(roa, "asn") != need(origin, "asn"):
        return "its ROA names another AS"
    length = int(cidr.rpartition("/")[2])
    most = need(roa, "max_length")
    return "its ROA allows longer prefixes" if most is not ABSENT and most > length else ""
