"""Checks on upstreams: every protection is declared or waived with a reason, families match."""

from collections.abc import Iterator

from loopback_iac.model.bgp import Upstream, private_asn
from loopback_iac.model.check_space import holds
from loopback_iac.model.draft import Draft
from loopback_iac.model.problem import Problem


def check_upstreams(draft: Draft) -> list[Problem]:
    """Findings on upstreams."""
    problems: list[Problem] = []
    for path, _, upstream in draft.upstreams():
        problems += _waivers(path, upstream)
        problems += _reach(path, upstream)
        problems += _addresses(path, upstream, draft)
        problems += _identity(path, upstream, draft)
    return [*problems, *_neighbors(draft), *_families(draft)]


def _waivers(path: str, up: Upstream) -> Iterator[Problem]:
    """Each protection is either on or off with a reason, never both and never silently off."""
    for field, on, reason, what in (
        ("md5", up.md5, up.md5_waived_because, "a TCP-MD5 secret"),
        ("bfd", up.bfd, up.bfd_waived_because, "BFD"),
    ):
        if not on and reason is None:
            yield Problem(
                f"{path}.{field}",
                f"the session has no {what.removeprefix('a ')} and no reason why",
                f"{what}, or the reason for going without",
                f"declare {field}, or write {field}_waived_because",
                f"{field}-or-reason",
            )
    if up.md5 and up.md5_waived_because is not None:
        yield _both(path, "md5", "md5_waived_because", "md5-or-reason")
    if up.bfd and up.bfd_waived_because is not None:
        yield Problem(
            f"{path}.bfd_waived_because",
            "bfd is on and waived",
            "one of the two",
            "write bfd: false beside the reason, or remove the reason",
            "bfd-or-reason",
        )
    if not up.bfd and up.bfd_interval_ms is not None:
        yield Problem(
            f"{path}.bfd_interval_ms",
            "an interval without BFD",
            "bfd, or no interval",
            "remove bfd: false and its reason, or bfd_interval_ms",
            "bfd-or-reason",
        )


def _both(path: str, one: str, other: str, rule: str) -> Problem:
    return Problem(
        f"{path}.{other}", f"{one} is declared too", "one of the two", f"remove {one} or it", rule
    )


def _reach(path: str, up: Upstream) -> Iterator[Problem]:
    """One hop with TTL security, or several with a reason and a gateway."""
    if up.ttl_security and up.multihop is not None:
        yield Problem(
            f"{path}.ttl_security",
            f"TTL security and multihop {up.multihop} are both declared",
            "one of the two: TTL security accepts one hop only",
            "remove multihop, or write ttl_security: false",
            "ttl-or-multihop",
        )
    if not up.ttl_security and up.multihop is None:
        yield Problem(
            f"{path}.ttl_security",
            "neither TTL security nor multihop is declared",
            "TTL security on a direct session, or multihop with its reason",
            "remove ttl_security: false, or declare multihop and multihop_because",
            "ttl-or-multihop",
        )
    if up.multihop is not None:
        if up.multihop_because is None:
            yield Problem(
                f"{path}.multihop",
                "several hops without a reason",
                "why the neighbor is not on a link of this PoP",
                "write multihop_because, naming the provider's page",
                "multihop-reason",
            )
        for family, _, _ in up.sessions:
            if getattr(up, f"gateway_v{family}") is None:
                yield Problem(
                    f"{path}.gateway_v{family}",
                    f"is missing: the IPv{family} neighbor is several hops away",
                    "the router on this PoP's link through which it is reached",
                    f"write gateway_v{family}",
                    "multihop-gateway",
                )


def _addresses(path: str, up: Upstream, draft: Draft) -> Iterator[Problem]:
    for family in (4, 6):
        local, neighbor = getattr(up, f"local_v{family}"), getattr(up, f"neighbor_v{family}")
        if (local is None) != (neighbor is None):
            lacking = "local" if local is None else "neighbor"
            yield Problem(
                f"{path}.{lacking}_v{family}",
                f"is missing beside {'neighbor' if local is None else 'local'}_v{family}",
                "both ends of the session",
                f"write {lacking}_v{family}, or remove the other end",
                "session-both-ends",
            )
        elif local is not None and local == neighbor:
            yield Problem(
                f"{path}.neighbor_v{family}",
                f"{neighbor} is this PoP's own address",
                "the upstream's address",
                "swap or correct one of them",
                "session-both-ends",
            )
        for end, address in (("local", local), ("neighbor", neighbor)):
            if address is not None and holds(draft.networks(), address):
                yield Problem(
                    f"{path}.{end}_v{family}",
                    f"{address} is inside a prefix this fleet announces",
                    "a link address of the upstream",
                    "an address inside would be routed by the very session it carries",
                    "session-outside-prefix",
                )
        # a tunnel's ends are checked with it
        anywhere = up.interface is None and up.kind != "tunnel"
        if family == 6 and neighbor and neighbor.is_link_local and anywhere:
            yield Problem(
                f"{path}.interface",
                f"is missing: {neighbor} exists on every link",
                "the interface it is on",
                "write interface",
                "link-local-interface",
            )
    if not any((up.local_v4, up.neighbor_v4, up.local_v6, up.neighbor_v6)):
        yield Problem(
            path,
            "no session in either family",
            "local_v4 and neighbor_v4, local_v6 and neighbor_v6, or all four",
            "copy the addresses from the upstream's order form",
            "session-both-ends",
        )


def _identity(path: str, up: Upstream, draft: Draft) -> Iterator[Problem]:
    if draft.settings is not None and up.asn == draft.settings.asn:
        yield Problem(
            f"{path}.asn",
            f"{up.asn} is the fleet's own AS number",
            "the upstream's; PoPs speak eBGP only",
            "correct it, or let your own router use a private AS number with kind: internal",
            "upstream-asn-foreign",
        )
    if up.carrier and private_asn(up.asn) and up.asn_source is None:
        yield Problem(
            f"{path}.asn",
            f"{up.asn} is for private use (RFC 6996)",
            "a public AS number, or the page where the provider names this one",
            "write asn_source, or tunnel.router: own for your own router"
            if up.kind == "tunnel"
            else "write asn_source, or kind: internal for your own router",
            "asn-private-sourced",
        )
    if not up.carrier and up.role_strict:
        yield Problem(
            f"{path}.role_strict",
            "an internal router has no BGP role to insist on",
            "a carrier, whose customer the PoP is (RFC 9234)",
            "remove role_strict",
            "role-strict-transit",
        )
    caches = draft.settings.rpki if draft.settings else ("unknown",)
    if up.routes == "full" and not caches:
        yield Problem(
            f"{path}.routes",
            "a full table without a validator accepts hijacked routes",
            "at least one RPKI cache",
            "declare rpki, or write routes: default",
            "full-table-rpki",
        )


def _neighbors(draft: Draft) -> Iterator[Problem]:
    seen: dict[tuple[str, object], str] = {}
    for path, pop, up in draft.upstreams():
        for family, _, neighbor in up.sessions:
            key = (pop, (neighbor, up.interface if neighbor.is_link_local else None))
            if key in seen:
                yield Problem(
                    f"{path}.neighbor_v{family}",
                    f"{neighbor} is already the neighbor of {seen[key]}",
                    "one session per neighbor",
                    "correct the address, or merge the two upstreams",
                    "neighbor-unique",
                )
            seen.setdefault(key, path)


def _families(draft: Draft) -> Iterator[Problem]:
    for name, pop in sorted(draft.pops.items()):
        if not pop.upstreams:
            continue
        wanted = sorted({p.family for p in draft.prefixes.values() if p.announced_at(name)})
        spoken = {family for up in pop.upstreams.values() for family, _, _ in up.sessions}
        for family in wanted:
            if family not in spoken:
                yield Problem(
                    f"pops.{name}.upstreams",
                    f"no IPv{family} session, so this PoP cannot announce the IPv{family} prefix",
                    f"one upstream with local_v{family} and neighbor_v{family}",
                    "add the session, or move the prefix to a fleet whose PoPs have it",
                    "family-announced",
                )
