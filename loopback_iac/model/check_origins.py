"""Checks on origins: nothing is announced that its ROA would make invalid.

The declared facts are judged, not the Internet: a validator is asked by whoever writes them down.
"""

from collections.abc import Iterator
from datetime import date

from loopback_iac.model.bgp import private_asn
from loopback_iac.model.draft import Draft
from loopback_iac.model.origin import Origin, Roa
from loopback_iac.model.problem import Problem, unknown_name
from loopback_iac.model.reserved import DOCUMENTATION, PRIVATE, lies_in
from loopback_iac.model.traffic import Prefix


def check_origins(draft: Draft) -> list[Problem]:
    """Findings on who originates each prefix, where, and with whose leave."""
    problems: list[Problem] = []
    for name, prefix in sorted(draft.prefixes.items()):
        path = f"prefixes.{name}"
        problems += [*_form(path, prefix), *_ranges(path, prefix), *_places(path, prefix, draft)]
        for key, origin in sorted(prefix.origins.items()):
            at = f"{path}.origins.{key}"
            problems += [*_who(at, origin, draft), *_days(at, origin, draft.today)]
            if origin.pops is None or origin.pops:
                problems += _leave(at, prefix, origin, draft.today)
    return [*problems, *_bound_communities(draft), *_silent_pops(draft)]


def _form(path: str, prefix: Prefix) -> Iterator[Problem]:
    """The short form says nothing, so it is for space that no ROA can name; the long one says whose
    it is and who originates it.
    """
    given = {
        "origin": prefix.origin is not None,
        "holder": prefix.holder is not None,
        "origins": bool(prefix.origins),
    }
    if any(given.values()):
        for field in (field for field, there in given.items() if not there):
            yield Problem(
                f"{path}.{field}",
                f"is missing beside {', '.join(f for f, there in given.items() if there)}",
                "origin, holder and origins together, or none of them",
                {
                    "origin": "write byoip or platform-pool",
                    "holder": "write the legal name the registry has for this space",
                    "origins": "declare the AS number that originates it, and its ROA",
                }[field],
                "origin-whole",
            )
    elif not lies_in(prefix.cidr, (*DOCUMENTATION, *PRIVATE)):
        yield Problem(
            f"{path}.origins",
            f"is missing: {prefix.cidr} can be somebody's, and nothing says who may originate it",
            "origin, holder and origins, with a ROA that a validator has seen",
            "declare them; without, a prefix can only be of space for documentation, benchmarks or"
            " private use",
            "roa-declared",
        )


def _ranges(path: str, prefix: Prefix) -> Iterator[Problem]:
    for index, network in enumerate(prefix.allocatable):
        cidr = prefix.cidr
        same = network.version == cidr.version
        if not (same and network.network_address in cidr and network.prefixlen >= cidr.prefixlen):
            yield Problem(
                f"{path}.allocatable[{index}]",
                f"{network} is not inside {cidr}",
                "a part of the prefix",
                "correct it, or leave allocatable out for the whole prefix",
                "allocatable-in-prefix",
            )


def _places(path: str, prefix: Prefix, draft: Draft) -> Iterator[Problem]:
    """Known PoPs, and one origin at each."""
    known = draft.named["pops"]
    seen: dict[str, str] = {}
    for key, origin in sorted(prefix.origins.items()):
        for index, pop in enumerate(origin.pops or ()):
            if pop not in known:
                at = f"{path}.origins.{key}.pops[{index}]"
                yield unknown_name(at, "pops", pop, known, "origin-pop-known")
        for pop in sorted(pop for pop in known if origin.holds_at(pop)):
            if pop in seen:
                yield Problem(
                    f"{path}.origins.{key}.pops",
                    f"{pop} has an origin already: {seen[pop]}",
                    "one origin of a prefix at a PoP",
                    "name the PoPs of each origin, and each PoP once",
                    "origin-once",
                )
            seen.setdefault(pop, key)


def _who(path: str, origin: Origin, draft: Draft) -> Iterator[Problem]:
    ours = draft.settings.asn if draft.settings else origin.asn
    if private_asn(origin.asn):
        yield Problem(
            f"{path}.asn",
            f"{origin.asn} is for private use (RFC 6996); no ROA can name it",
            "the AS number that other networks see as the origin",
            "write the carrier's that takes the private one off, and asn_source",
            "origin-asn-public",
        )
        return
    if origin.asn == ours:
        if origin.announced_by == "provider":
            yield Problem(
                f"{path}.asn",
                f"{ours} is the fleet's own, and announced_by says the provider originates",
                "the AS number that the provider originates with",
                "copy it from the provider's page, or remove announced_by",
                "origin-asn",
            )
        return
    if origin.announced_by == "pop" and not private_asn(ours):
        yield Problem(
            f"{path}.asn",
            f"AS{origin.asn} would originate, but the PoPs announce with AS{ours},"
            " which carriers pass on",
            f"{ours}, or announced_by: provider where a provider originates by itself",
            f"write {ours}, or announced_by: provider",
            "origin-asn",
        )
    elif origin.asn_source is None:
        yield Problem(
            f"{path}.asn_source",
            f"is missing: AS{origin.asn} is somebody else's",
            "the provider's page that says it originates customers' prefixes with it",
            "write asn_source",
            "origin-asn-sourced",
        )


def _days(path: str, origin: Origin, today: date) -> Iterator[Problem]:
    for field, day in origin.happened:
        if day > today:
            yield Problem(
                f"{path}.{field}",
                f"{day} has not come yet",
                f"a day on which it was seen, at the latest {today} (UTC)",
                "write the day, or leave it out until then",
                "date-in-future",
            )
    for name in sorted(origin.accepted_on):
        if not name.strip():
            yield Problem(
                f"{path}.accepted_on",
                "a carrier without a name",
                "the name of the upstream or provider that accepts it",
                "write the name",
                "accepted-by-name",
            )


def _leave(path: str, prefix: Prefix, origin: Origin, today: date) -> Iterator[Problem]:
    """What is announced has a ROA that makes it valid, and no longer prefix with it."""
    cidr, roa = prefix.cidr, origin.roa
    if roa is None:
        yield Problem(
            f"{path}.roa",
            f"is missing: nothing says that AS{origin.asn} may originate {cidr}",
            f"a ROA for AS{origin.asn} and {cidr} that a validator has seen",
            "create it at the holder's registry and declare it, or write pops: [] until then",
            "roa-declared",
        )
    elif not roa.covers(cidr):
        yield Problem(
            f"{path}.roa.prefix",
            f"{roa.prefix} does not hold {cidr}",
            f"{cidr}, or a network around it",
            f"create a ROA for {cidr}",
            "roa-covers",
        )
    else:
        yield from _verdict(f"{path}.roa", prefix, origin, roa, today)


def _verdict(path: str, prefix: Prefix, origin: Origin, roa: Roa, today: date) -> Iterator[Problem]:
    cidr, longest = prefix.cidr, roa.longest_for(prefix.cidr)
    if roa.asn != origin.asn:
        nobody = " (AS0: nobody may originate it)" if roa.asn == 0 else ""
        yield Problem(
            f"{path}.asn",
            f"the ROA names AS{roa.asn}{nobody}, AS{origin.asn} would originate: RPKI-invalid",
            f"a ROA for AS{origin.asn}",
            f"create a ROA for AS{origin.asn} and {cidr}, maxLength {cidr.prefixlen}",
            "roa-asn",
        )
    if longest < cidr.prefixlen:
        yield Problem(
            f"{path}.max_length",
            f"maxLength {longest} is shorter than the announced /{cidr.prefixlen}: RPKI-invalid",
            f"{cidr.prefixlen}",
            f"create a ROA for {cidr}, maxLength {cidr.prefixlen}",
            "roa-max-length",
        )
    elif longest > cidr.prefixlen:
        yield Problem(
            f"{path}.max_length",
            f"maxLength {longest} lets anybody who forges AS{origin.asn} hijack a part of {cidr}",
            f"the announced length, {cidr.prefixlen} (RFC 9319)",
            f"set maxLength {cidr.prefixlen}; blackholes are the carrier's to take, not the ROA's",
            "roa-max-length",
        )
    if roa.expires_on is not None and roa.expires_on < today:
        yield Problem(
            f"{path}.expires_on",
            f"the ROA expired on {roa.expires_on}; today is {today}",
            "a ROA that holds",
            "renew it at the registry, then write the new day",
            "roa-expired",
        )


def _bound_communities(draft: Draft) -> Iterator[Problem]:
    known = draft.named["prefixes"]
    for path, _, up in draft.upstreams():
        for name, community in sorted(up.communities.items()):
            at = f"{path}.communities.{name}.prefixes"
            if community.prefixes is not None and community.use == "blackhole":
                yield Problem(
                    at,
                    "a blackhole community is sent with single addresses",
                    "use: announce or drain",
                    "remove prefixes",
                    "community-prefixes",
                )
            for prefix in (p for p in community.prefixes or () if p not in known):
                yield unknown_name(at, "prefixes", prefix, known, "community-prefix-known")


def _silent_pops(draft: Draft) -> Iterator[Problem]:
    if len(draft.prefixes) < len(draft.named["prefixes"]):
        return
    for pop in sorted(draft.pops):
        if not any(prefix.announced_at(pop) for prefix in draft.prefixes.values()):
            yield Problem(
                f"pops.{pop}",
                "no prefix has an origin here, so this PoP announces nothing",
                "a prefix that it announces",
                "name it under pops of an origin, or remove the PoP",
                "pop-announces-nothing",
            )
