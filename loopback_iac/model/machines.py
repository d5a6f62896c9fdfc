"""All machines of a fleet once their addresses are known: each is there once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from loopback_iac.model.check_reach import is_private
from loopback_iac.model.host import Host, parse_host
from loopback_iac.model.problem import InputRejected, Problem

if TYPE_CHECKING:
    from loopback_iac.model.fields import Address


def parse_hosts(fleet: str, trees: Mapping[str, Mapping[str, object]]) -> dict[str, Host]:
    """Late facts of every host.

    In: name of the fleet, for messages; by host, `tree` with every value known.
    Raises: InputRejected with every problem of every host at once.
    """
    hosts: dict[str, Host] = {}
    problems: list[Problem] = []
    for name, tree in trees.items():
        try:
            hosts[name] = parse_host(name, tree)
        except InputRejected as rejected:
            problems += rejected.problems
    problems += check_machines(hosts)
    if problems:
        raise InputRejected(fleet, tuple(problems))
    return hosts


def check_machines(hosts: Mapping[str, Host]) -> list[Problem]:
    """Findings on two hosts that are one machine: they would undo each other's files for ever.

    Private addresses, and those behind a bastion, mean something in their own network only: two
    networks may use the same.
    """
    seen: dict[tuple[Address, int], str] = {}
    problems = []
    for name, host in sorted(hosts.items()):
        if host.bastion is not None:
            continue
        for address in (host.ipv4, host.ipv6):
            if address is None or is_private(address):
                continue
            other = seen.setdefault((address, host.ssh_port), name)
            if other != name:
                problems.append(
                    Problem(
                        f"{name}.ipv{address.version}",
                        f"{address} port {host.ssh_port} is {other}",
                        "a machine of its own for each",
                        f"write the address of {name}, or take one of the two out",
                        "machine-twice",
                    )
                )
    return problems
