"""Checks on blackholes: an own address, once, at known PoPs, and every upstream there drops it.

A single address is longer than any prefix a fleet may announce and than a ROA's maxLength; only a
declared blackhole is exempt, by the upstream's word that it takes them.
"""

from collections.abc import Iterator

from loopback_iac.model.bgp import BLACKHOLE, Upstream
from loopback_iac.model.check_space import holds
from loopback_iac.model.draft import Draft
from loopback_iac.model.fleet import Blackhole
from loopback_iac.model.problem import Problem, unknown_name


def check_blackholes(draft: Draft) -> list[Problem]:
    """Findings on blackholes and on the upstreams that are to carry them."""
    declared = draft.settings.blackholes if draft.settings else ()
    return [
        *_places(draft, declared),
        *(p for path, pop, up in draft.upstreams() for p in _upstream(path, pop, up, declared)),
    ]


def _places(draft: Draft, declared: tuple[Blackhole, ...]) -> Iterator[Problem]:
    networks = draft.networks()
    known = draft.named["pops"]
    seen: dict[object, str] = {}
    for index, hole in enumerate(declared):
        path = f"blackholes[{index}]"
        # with a prefix that did not parse, "in none" would be a guess
        whole = len(networks) == len(draft.named["prefixes"])
        if whole and not holds(networks, hole.address):
            yield Problem(
                f"{path}.address",
                f"{hole.address} is in no prefix of this fleet",
                "an address of a declared prefix",
                "an upstream drops only what you announce; remove it",
                "blackhole-in-prefix",
            )
        if hole.address in seen:
            yield Problem(
                f"{path}.address",
                f"{hole.address} is already given up by {seen[hole.address]}",
                "an address once",
                "name all its PoPs in one entry, or leave pops out for every PoP",
                "blackhole-twice",
            )
        seen.setdefault(hole.address, path)
        if hole.pops is not None and not hole.pops:
            yield Problem(
                f"{path}.pops",
                "names no PoP",
                "at least one",
                "leave pops out for every PoP, or remove the blackhole",
                "blackhole-pops-empty",
            )
        for pop in (p for p in hole.pops or () if p not in known):
            yield unknown_name(f"{path}.pops", "pops", pop, known, "blackhole-pop-known")


def _upstream(
    path: str, pop: str, up: Upstream, declared: tuple[Blackhole, ...]
) -> Iterator[Problem]:
    families = {family for family, _, _ in up.sessions}
    here = {h.address for h in declared if h.holds_at(pop) and h.address.version in families}
    takes = bool(up.communities_for("blackhole"))
    if takes and up.blackhole_waived_because is not None:
        yield Problem(
            f"{path}.blackhole_waived_because",
            "a community of use: blackhole is declared too",
            "one of the two",
            "remove the community or the reason",
            "blackhole-or-reason",
        )
    if here and not takes and up.blackhole_waived_because is None:
        addresses = ", ".join(map(str, sorted(here, key=lambda a: (a.version, a.packed))))
        yield Problem(
            f"{path}.communities",
            f"declares no blackhole community, so it would go on delivering {addresses}",
            f"a community of use: blackhole ({BLACKHOLE} unless its page says otherwise),"
            " or the reason why it takes none",
            "declare the community, or write blackhole_waived_because",
            "blackhole-community",
        )
    budget = up.limits.blackholes
    if takes and len(here) > budget:
        yield Problem(
            f"{path}.limits.blackholes",
            f"{len(here)} blackholes exceed the agreed {budget}",
            "no more blackholes than the upstream takes",
            "remove some, or agree on a higher number and declare it",
            "blackhole-budget",
        )
