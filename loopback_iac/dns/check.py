"""A zone held to its rules, by itself: no server is asked, no operator is thought of."""

from collections.abc import Callable, Iterator, Mapping

from loopback_iac.dns.check_structure import (
    HOUR_S,
    check_aliases,
    check_apex,
    check_cuts,
    check_owners,
    soa_times,
)
from loopback_iac.dns.check_targets import check_dangling, check_targets
from loopback_iac.dns.check_values import check_mail, check_mail_advice, check_values
from loopback_iac.dns.findings import finding, placed
from loopback_iac.dns.zone import Key, Zone
from loopback_iac.model.problem import Problem

Check = Callable[[Zone], Iterator[Problem]]
MINUTE_S = 60


def check_zone(zone: Zone, places: Mapping[Key, str] | None = None) -> tuple[Problem, ...]:
    """Everything that makes a zone wrong.

    In: `places`: file and line by owner and type, as `read_zone_file` gives them.
    Out: problems by name and type; none for a zone that may be served.
    Sources: `findings.ERRORS` names the RFC of each rule.
    """
    checks = (
        check_apex,
        check_aliases,
        check_cuts,
        check_owners,
        check_targets,
        check_values,
        check_mail,
    )
    return _found(zone, checks, places or {})


def check_hygiene(zone: Zone, places: Mapping[Key, str] | None = None) -> tuple[Problem, ...]:
    """What works and will surprise somebody; told, never refused.

    In: as `check_zone`.
    Sources: `findings.ADVICE` names the RFC of each rule.
    """
    return _found(zone, (_check_times, check_dangling, check_mail_advice), places or {})


def _found(zone: Zone, checks: tuple[Check, ...], places: Mapping[Key, str]) -> tuple[Problem, ...]:
    rank = {owner: at for at, owner in enumerate(zone.by_owner)}
    found = [placed(problem, places) for check in checks for problem in check(zone)]
    return tuple(
        sorted(set(found), key=lambda problem: (rank.get(problem.path.split(" ")[0], -1), problem))
    )


def _check_times(zone: Zone) -> Iterator[Problem]:
    for rrset in zone.by_type.get("NS", []):
        if rrset.ttl_s < HOUR_S:
            got, need = f"TTL {rrset.ttl_s} s", f"{HOUR_S} s or more"
            yield finding("ns-ttl-short", rrset, got, need, "write ttl_s 3600")
    for rrset in zone.rrsets:
        if rrset.ttl_s < MINUTE_S:
            got, need = f"TTL {rrset.ttl_s} s", f"{MINUTE_S} s or more"
            yield finding("ttl-short", rrset, got, need, "write ttl_s 60 or more")
    for rrset in zone.by_type.get("SOA", []):
        if (negative := soa_times(rrset)[3]) > HOUR_S:
            got, need = f"negative TTL {negative} s", f"{HOUR_S} s at most"
            yield finding("negative-ttl-long", rrset, got, need, "write 3600")
