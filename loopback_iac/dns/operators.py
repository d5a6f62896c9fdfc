"""What operators can hold of a zone: data with a source for each line; a zone held against it.

What nobody says is unknown: it refuses nothing and promises nothing. `unknown_of` names it, and
a probe of the served zone decides.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from loopback_iac.dns import names
from loopback_iac.dns.rdata import filled, pack_strings, strings
from loopback_iac.dns.refusal import Refusal
from loopback_iac.dns.zone import RRset, Zone
from loopback_iac.model.fields import Value
from loopback_iac.model.problem import InputRejected, Problem

TABLE = "operators.yaml"
ALL = "all"
RECUT = "recut"
"""Of txt_strings: joined, and cut anew at 255 octets."""
_SERVED_BY_OPERATOR = frozenset({"SOA"})  # with mode api every primary makes its own


class Fact(Value):
    """One line of the table; `value` is None where it is unknown."""

    mark: Literal["read", "measured", "unknown"]
    source: str
    value: Any = None


Facts = Mapping[str, Fact]
"""Of one operator in one mode, by name."""


@cache
def operators() -> Mapping[str, Mapping[str, Facts]]:
    """The table: operator -> mode (transfer, api) -> name -> fact."""
    tree = yaml.safe_load(files(__package__).joinpath(TABLE).read_text())
    return {
        operator: {
            mode: {name: Fact.model_validate(fact) for name, fact in facts.items()}
            for mode, facts in modes.items()
        }
        for operator, modes in tree.items()
    }


def facts_of(operator: str, mode: str) -> Facts:
    """What is known of one operator in one mode.

    Raises: InputRejected for an operator or a mode that is not in the table.
    """
    known = {name: sorted(modes) for name, modes in operators().items()}
    if mode in known.get(operator, []):
        return operators()[operator][mode]
    need = ", ".join(f"{name} ({', '.join(modes)})" for name, modes in known.items())
    got = f"{operator!r} with mode {mode!r}"
    problem = Problem("operator", got, need, "choose one of them", "operator-unknown")
    raise InputRejected("operator", (problem,))


def unknown_of(operator: str, mode: str) -> tuple[str, ...]:
    """What nobody says about an operator, each with where it was looked for.

    Raises: InputRejected for an operator or a mode that is not in the table.
    """
    return tuple(
        f"{operator} ({mode}): {name} is unknown: {fact.source}"
        for name, fact in facts_of(operator, mode).items()
        if fact.mark == "unknown"
    )


def check_operator(
    zone: Zone, operator: str, mode: str = "transfer", *, registered: str = "", signed: bool = False
) -> tuple[Problem, ...]:
    """What an operator cannot hold of a zone, as far as it is known.

    In: `registered`: the registered domain the zone belongs to, where that is known; `signed`: the
        zone comes with signatures.
    Out: problems that name the operator and the record.
    Raises: InputRejected for an operator or a mode that is not in the table.
    """
    facts = facts_of(operator, mode)
    found: list[Problem] = []
    rrsets = [r for r in zone.rrsets if mode != "api" or r.type not in _SERVED_BY_OPERATOR]
    for rrset in rrsets:
        found += _check_type(operator, rrset, facts)
        found += _check_ttl(operator, rrset, facts)
        if rrset.type == "TXT":
            found += _check_txt(operator, rrset, facts)
    if registered and facts["subzone"].value is False:
        try:
            domain = names.parse_zone_name(registered)
        except Refusal as cause:
            raise InputRejected("registered", (cause.at("registered"),)) from None
        found += _check_subzone(operator, zone, domain, facts)
    if signed and facts["presigned"].value is False:
        got, need = f"{operator} ({mode}) serves no signatures", "an unsigned zone"
        fix = "let it be a secondary, or leave the zone unsigned and its DS out of the parent"
        found.append(
            _problem("operator-signed", zone.name, facts["presigned"], got=got, need=need, fix=fix)
        )
    return tuple(found)


def _problem(rule: str, path: str, fact: Fact, *, got: str, need: str, fix: str) -> Problem:
    return Problem(path, got, need, f"{fix} (source: {fact.source})", rule)


def _check_type(operator: str, rrset: RRset, facts: Facts) -> list[Problem]:
    types = facts["types"].value
    if types is None or types == ALL or rrset.type in types:
        return []
    got, need = f"{operator} has no type {rrset.type}", ", ".join(types)
    fix = "remove the record, or serve the zone without this operator"
    path = f"{rrset.owner} {rrset.type}"
    return [_problem("operator-type", path, facts["types"], got=got, need=need, fix=fix)]


def _check_ttl(operator: str, rrset: RRset, facts: Facts) -> list[Problem]:
    least, most = facts["ttl_min_s"], facts["ttl_max_s"]
    path = f"{rrset.owner} {rrset.type}"
    if least.value is not None and rrset.ttl_s < least.value:
        got, need = f"TTL {rrset.ttl_s} s at {operator}", f"{least.value} s or more"
        return [
            _problem("operator-ttl", path, least, got=got, need=need, fix=f"write {least.value}")
        ]
    if most.value is not None and rrset.ttl_s > most.value:
        got, need = f"TTL {rrset.ttl_s} s at {operator}", f"{most.value} s at most"
        return [_problem("operator-ttl", path, most, got=got, need=need, fix=f"write {most.value}")]
    return []


def _check_txt(operator: str, rrset: RRset, facts: Facts) -> list[Problem]:
    path = f"{rrset.owner} {rrset.type}"
    found = []
    texts = [b"".join(strings(wire)) for wire in rrset.rdata]
    for name, size in (
        ("txt_max_octets", max(map(len, texts))),
        ("txt_name_octets", sum(map(len, texts))),
    ):
        fact = facts.get(name)
        if fact is not None and size > fact.value:
            got, need = f"{size} octets of text at {operator}", f"{fact.value} at most"
            fix = "shorten it, or divide it over several names"
            found.append(_problem("operator-txt", path, fact, got=got, need=need, fix=fix))
    cut = facts["txt_strings"]
    if cut.value == RECUT:
        for text, wire in zip(texts, rrset.rdata, strict=True):
            if pack_strings(filled(text)) != wire:
                got = f"{len(strings(wire))} strings, which {operator} cuts anew"
                need, fix = "strings filled to 255 octets", "join them, if their cuts mean nothing"
                found.append(
                    _problem("operator-txt-strings", path, cut, got=got, need=need, fix=fix)
                )
    return found


def _check_subzone(operator: str, zone: Zone, registered: str, facts: Facts) -> list[Problem]:
    if zone.name == registered:
        return []
    got, need = f"{operator} takes no zone below {registered}", registered
    fix = "declare the records in that zone, or serve this one without the operator"
    return [_problem("operator-subzone", zone.name, facts["subzone"], got=got, need=need, fix=fix)]
