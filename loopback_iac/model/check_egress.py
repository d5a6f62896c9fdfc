"""Checks on egress: addresses of ours that nothing else has, on workers that are there."""

from collections.abc import Iterator

from loopback_iac.model.check_space import holds
from loopback_iac.model.draft import Draft
from loopback_iac.model.egress import BGP_PORT, Egress
from loopback_iac.model.fields import Address
from loopback_iac.model.problem import Problem, unknown_name
from loopback_iac.model.structure import check_name


def check_egress(draft: Draft) -> list[Problem]:
    """Findings on addresses that workers leave by."""
    declared = draft.settings.egress if draft.settings else {}
    # an address that a VIP allocates by name keeps away from these by itself
    taken = {a: f"vips.{name}" for name, vip in sorted(draft.vips.items()) for a in vip.addresses}
    problems: list[Problem] = []
    for name, egress in sorted(declared.items()):
        path = f"egress.{name}"
        problems += check_name(path, name)
        problems += _workers(f"{path}.workers", egress, draft.named["workers"])
        problems += _empty(f"{path}.addresses", egress)
        for index, address in enumerate(egress.addresses):
            where = f"{path}.addresses[{index}]"
            problems += _address(where, address, draft)
            if address in taken:
                problems.append(_taken(where, address, taken[address]))
            taken.setdefault(address, path)
    return [*problems, *_ports(draft)] if declared else problems


def _workers(path: str, egress: Egress, known: frozenset[str]) -> Iterator[Problem]:
    if not egress.workers:
        yield Problem(
            path,
            "names no worker",
            "who has the addresses, first of those who may",
            "name a worker of a pool",
            "egress-workers",
        )
    for index, worker in enumerate(egress.workers):
        if worker not in known:
            yield unknown_name(f"{path}[{index}]", "workers", worker, known, "egress-worker-known")
        elif worker in egress.workers[:index]:
            yield Problem(
                f"{path}[{index}]",
                f"{worker} is named twice",
                "each worker once",
                "remove it",
                "egress-worker-twice",
            )


def _empty(path: str, egress: Egress) -> Iterator[Problem]:
    if not egress.addresses:
        fix = "write addresses of a prefix that PoPs announce"
        yield Problem(path, "is empty", "an address", fix, "egress-addresses")


def _address(path: str, address: Address, draft: Draft) -> Iterator[Problem]:
    if address.version == 6:
        yield Problem(
            path,
            f"{address} is an IPv6 address",
            "IPv4: a PoP that forwarded IPv6 would be a router on its hoster's link as well",
            "leave by IPv4 addresses; IPv6 by an address of the gateway's own provider",
            "egress-family",
        )
        return
    if len(draft.prefixes) < len(draft.named["prefixes"]):
        return  # with a prefix that did not parse, "in none" would be a guess
    around = [p for _, p in sorted(draft.prefixes.items()) if holds([p.cidr], address)]
    if not around:
        yield Problem(
            path,
            f"{address} is in no prefix of this fleet",
            "an address of a declared prefix",
            "nothing would come back; take one of yours, or declare its prefix",
            "egress-in-prefix",
        )
    for prefix in around:
        if address in (prefix.cidr.network_address, prefix.cidr.broadcast_address):
            yield Problem(
                path,
                f"{address} is an end of {prefix.cidr}",
                "an address of a host",
                "take another; some networks drop what comes from the ends of a prefix",
                "egress-network-end",
            )
        if any(prefix.hosted_at(pop) for pop in draft.named["pops"]):
            yield Problem(
                path,
                f"a provider announces {prefix.cidr}, and where it comes in is the provider's say",
                "an address of a prefix that PoPs announce by sessions of their own",
                "take one of another prefix",
                "egress-hosted",
            )
        elif not any(prefix.announced_at(pop) for pop in draft.named["pops"]):
            yield Problem(
                path,
                f"no PoP announces {prefix.cidr}",
                "a prefix that answers come back to",
                "let a PoP announce it, or take an address of another prefix",
                "egress-announced",
            )


def _ports(draft: Draft) -> Iterator[Problem]:
    for name, service in sorted(draft.services.items()):
        ready = service.health.ready_port if service.health else None
        for field, port in (("worker_port", service.worker_port), ("health.ready_port", ready)):
            if port == BGP_PORT:
                yield Problem(
                    f"services.{name}.{field}",
                    f"{BGP_PORT} is where workers that egress leaves from speak BGP",
                    "a port of its own",
                    "let the ingress listen elsewhere, for example on 8443",
                    "port-reserved",
                )


def _taken(path: str, address: Address, owner: str) -> Problem:
    return Problem(
        path,
        f"{address} is already an address of {owner}",
        "an address of its own: answers to it go to a worker",
        "take another",
        "egress-address-unique",
    )
