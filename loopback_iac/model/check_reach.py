"""Checks on how hosts are reached: behind NAT, through a bastion, through a PoP."""

from collections.abc import Mapping
from ipaddress import ip_network

from loopback_iac.model.draft import Draft
from loopback_iac.model.fields import Address, Network
from loopback_iac.model.fleet import Fleet
from loopback_iac.model.host import Host
from loopback_iac.model.problem import Problem, unknown_name
from loopback_iac.model.traffic import Worker

# RFC 1918, RFC 6598, RFC 4193: nobody reaches them from another network
PRIVATE = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
)


def check_reach(draft: Draft) -> list[Problem]:
    """Findings on workers that are managed through a PoP; hosts' addresses are known later."""
    return [
        problem
        for path, name, worker in draft.workers()
        for problem in _joined(path, name, worker, draft.named["pops"])
    ]


def _joined(path: str, name: str, worker: Worker, pops: frozenset[str]) -> list[Problem]:
    if worker.managed_through is None:
        if not worker.join_keys:
            return []
        need = "the PoP through which it is managed"
        fix = "set managed_through as `loopback join` printed it, or remove join_keys"
        return [Problem(path, "it has join_keys and no managed_through", need, fix, "join-half")]
    found = []
    if worker.managed_through not in pops:
        where = f"{path}.managed_through"
        found.append(unknown_name(where, "pops", worker.managed_through, pops, "pop-unknown"))
    if not worker.behind_nat:
        got = "it is managed through a PoP and not behind NAT"
        fix = "set behind_nat, or reach it at its own address and remove managed_through"
        found.append(Problem(path, got, "behind_nat: true", fix, "join-half"))
    if not worker.join_keys:
        got = "it is managed through a PoP that does not know its key"
        fix = f"run what `loopback join {name}` prints on the machine, and copy its answer"
        found.append(Problem(path, got, "join_keys", fix, "join-half"))
    return found


def check_way(fleet: Fleet, name: str, hosts: Mapping[str, Host]) -> list[Problem]:
    """Findings on the way to one host, once addresses are known."""
    if name not in hosts:
        return []
    worker = fleet.workers.get(name)
    through = worker.managed_through if worker else None
    found = _bastion(fleet, name, hosts)
    if through is not None:
        return found + _through(name, through, hosts)
    if worker is not None and worker.behind_nat and hosts[name].bastion is None:
        found += _nobody(fleet, name, hosts[name])
    if worker is None and any(w.behind_nat for w in fleet.workers.values()):
        found += _both_ends(name, hosts[name])
    return found


def is_private(address: Address) -> bool:
    """Whether it means something in its own network only."""
    return any(address.version == net.version and address in net for net in PRIVATE)


def _within_reach(fleet: Fleet, address: Address) -> bool:
    """A private address is reached by those who administer from private ones."""
    return not is_private(address) or any(_private(net) for net in fleet.admin_sources)


def _private(network: Network) -> bool:
    return is_private(network.network_address)


def _bastion(fleet: Fleet, name: str, hosts: Mapping[str, Host]) -> list[Problem]:
    bastion = hosts[name].bastion
    if bastion is None:
        return []
    hidden = [
        other
        for other, worker in fleet.workers.items()
        if worker.behind_nat
        and other in hosts
        and bastion.address in (hosts[other].ipv4, hosts[other].ipv6)
    ]
    if not hidden and _within_reach(fleet, bastion.address):
        return []
    whose = f"that of {hidden[0]}" if hidden else "a private address"
    return [
        Problem(
            f"hosts.{name}.bastion.address",
            f"{bastion.address} is {whose}: the bastion is behind NAT itself",
            "a bastion that admin_sources reach",
            "use a machine with an address of its own, or set managed_through on the worker",
            "bastion-behind-nat",
        )
    ]


def _through(name: str, pop: str, hosts: Mapping[str, Host]) -> list[Problem]:
    if hosts[name].bastion is not None:
        return [
            Problem(
                f"hosts.{name}.bastion",
                f"{name} is managed through {pop} and has a bastion as well",
                "one way",
                "remove managed_through and join_keys, or the bastion",
                "way-twice",
            )
        ]
    if pop in hosts and hosts[pop].bastion is not None:
        return [
            Problem(
                f"hosts.{name}",
                f"it is managed through {pop}, which is reached through a bastion itself",
                "a PoP that is dialled directly: SSH jumps once",
                "name another PoP in managed_through, or take the bastion off this one",
                "bastion-behind-nat",
            )
        ]
    return []


def _nobody(fleet: Fleet, name: str, host: Host) -> list[Problem]:
    if any(_within_reach(fleet, a) for a in (host.ipv4, host.ipv6) if a is not None):
        return []
    return [
        Problem(
            f"hosts.{name}",
            f"{host.address} is behind NAT, and nothing leads there",
            "a bastion, or a PoP through which it is managed",
            f"set host.bastion, or let the machine join: `loopback join {name}`",
            "nat-without-way",
        )
    ]


def _both_ends(name: str, host: Host) -> list[Problem]:
    if not is_private(host.address):
        return []
    return [
        Problem(
            f"hosts.{name}",
            f"{host.address} is a private address, and workers behind NAT have to dial it",
            "one end of a tunnel that is not behind NAT",
            "give the PoP's host its public address",
            "nat-on-both-ends",
        )
    ]
