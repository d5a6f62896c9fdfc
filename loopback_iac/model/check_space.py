"""Checks on the address space: prefixes and VIPs."""

from itertools import combinations

from loopback_iac.model.draft import Draft
from loopback_iac.model.fields import Address, Network
from loopback_iac.model.problem import Problem


def holds(networks: list[Network], address: Address) -> bool:
    """Whether an address lies in one of the networks."""
    return any(n.version == address.version and address in n for n in networks)


def check_space(draft: Draft) -> list[Problem]:
    """Findings on prefixes and VIPs."""
    return [
        *_overlaps(draft),
        *_family_names(draft),
        *_vips(draft),
        *_unused(draft),
    ]


def _overlaps(draft: Draft) -> list[Problem]:
    return [
        Problem(
            f"prefixes.{second}.cidr",
            f"{two.cidr} overlaps prefixes.{first} ({one.cidr})",
            "prefixes that share no address",
            "announce the larger one, or split it",
            "prefix-overlap",
        )
        for (first, one), (second, two) in combinations(sorted(draft.prefixes.items()), 2)
        if one.cidr.version == two.cidr.version and one.cidr.overlaps(two.cidr)
    ]


def _family_names(draft: Draft) -> list[Problem]:
    return [
        Problem(
            f"prefixes.{name}.cidr",
            f"{prefix.cidr} is IPv{prefix.family} under the name {name!r}",
            f"an IPv{name[1]} network",
            "move it under a name of its own family",
            "family-mixed",
        )
        for name, prefix in draft.prefixes.items()
        if name in {"v4", "v6"} and name != f"v{prefix.family}"
    ]


def _vips(draft: Draft) -> list[Problem]:
    networks = draft.networks()
    whole = len(networks) == len(draft.named["prefixes"])
    known = ", ".join(map(str, networks))
    seen: dict[Address, str] = {}
    problems = []
    for name, vip in sorted(draft.vips.items()):
        if not vip.addresses:
            problems.append(
                Problem(
                    f"vips.{name}.addresses",
                    "a VIP without an address",
                    "one IPv4 or IPv6 address, or both",
                    "write an address of a declared prefix, or allocate_from",
                    "vip-empty",
                )
            )
        for index, address in enumerate(vip.addresses):
            path = f"vips.{name}.addresses[{index}]"
            # with a prefix that did not parse, "in none" would be a guess
            if whole and not holds(networks, address):
                problems.append(
                    Problem(
                        path,
                        f"{address} is in no prefix of this fleet ({known})",
                        "",
                        "take an address from a declared prefix, or declare its prefix",
                        "vip-in-prefix",
                    )
                )
            if address in seen:
                problems.append(
                    Problem(
                        path,
                        f"{address} is already an address of {seen[address]}",
                        "an address of one VIP only",
                        "give the second VIP an address of its own",
                        "vip-address-unique",
                    )
                )
            seen.setdefault(address, f"vips.{name}")
    return problems


def _unused(draft: Draft) -> list[Problem]:
    for key in ("vips", "services"):
        # with one of them missing or not parsed, "no service" would be a guess
        if not draft.named[key] or len(getattr(draft, key)) < len(draft.named[key]):
            return []
    gating = {s.vip for s in draft.services.values() if s.gate != "none"}
    if draft.settings is not None and (names := draft.settings.name_service):
        if names.vip not in draft.vips:
            return []
        gating.add(names.vip)
    used = [a for name, vip in draft.vips.items() if name in gating for a in vip.addresses]
    return [
        Problem(
            f"prefixes.{name}.cidr",
            f"no service gates {prefix.cidr}",
            "a service whose health decides whether it is announced",
            "declare a service on an address of it, or remove the prefix",
            "prefix-without-service",
        )
        for name, prefix in sorted(draft.prefixes.items())
        if any(prefix.announced_at(pop) for pop in draft.named["pops"])
        and not any(holds([prefix.cidr], a) for a in used)
    ]
