"""An address of a provider that one host holds and others stand in for; checked before anything."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from loopback_iac.model.cloud_host import Labels
from loopback_iac.model.fields import (
    AdminSources,
    Given,
    Int,
    Line,
    Port,
    Several,
    Value,
    refuse,
)
from loopback_iac.model.host import Host, parse_host
from loopback_iac.model.places import HETZNER_LOCATIONS
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import check_name, collect, plain

HETZNER = "hetzner"
INSTANCE = "hcloud-"
"""What a HetznerHost's instance id begins with; its server's number follows."""
HETZNER_API = "https://api.hetzner.cloud/v1"
MOST_MEMBERS = 16


def _endpoint(value: object) -> object:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is not None and (parts.scheme != "https" or not parts.hostname or parts.query):
        refuse(
            "api-endpoint",
            f"{value!r} is no https address",
            "https, a host, and the path before /floating_ips",
            f"leave it out for {HETZNER_API}",
        )
    return value


class FailoverMember(Value):
    """A host that may hold the address."""

    name: str
    host: Given
    server_id: Given = False


class FailoverCheck(Value):
    """How the arbiter sees that a member serves."""

    port: Port
    interval_ms: Int = Field(1000, ge=200, le=60_000)
    timeout_ms: Int = Field(1000, ge=50, le=10_000)
    fall: Int = Field(3, ge=2, le=100)
    rise: Int = Field(3, ge=1, le=100)

    @property
    def longest_s(self) -> float:
        """From a member's death to the verdict, at most: the last look before it was a good one."""
        return (self.fall * max(self.interval_ms, self.timeout_ms) + self.timeout_ms) / 1000


class FailoverVip(Value):
    """The address, its members in the order of preference, and who watches them."""

    provider: str
    location: str
    hosts: Several[FailoverMember]
    arbiter: Given
    check: FailoverCheck
    token: Given
    admin_sources: AdminSources
    labels: Labels = Labels()
    protection: bool = True
    endpoint: Annotated[Line, BeforeValidator(_endpoint)] = HETZNER_API
    ca_certificate: str = ""


def parse_failover_vip(name: str, tree: Mapping[str, object]) -> FailoverVip:
    """A failover address as declared.

    In: `name` of the component; late values are not looked into.
    Raises: InputRejected with every problem at once.
    """
    problems = check_name("name", name)
    vip = collect(FailoverVip, name, plain(tree), problems)
    if vip is not None:
        problems += [*_check_provider(name, vip), *_check_members(name, vip)]
    if problems or vip is None:
        raise InputRejected(name, tuple(problems))
    return vip


def _check_provider(name: str, vip: FailoverVip) -> list[Problem]:
    if vip.provider != HETZNER:
        ionos = vip.provider == "ionos"
        got = "IP failover of IONOS is not built" if ionos else f"{vip.provider!r} is not known"
        fix = "take members at Hetzner; or announce an own prefix (AnycastEdge)"
        return [Problem(f"{name}.provider", got, HETZNER, fix, "failover-provider")]
    if vip.location not in HETZNER_LOCATIONS:
        got, need = f"{vip.location!r} is no location", ", ".join(HETZNER_LOCATIONS)
        fix = "write the location of the members"
        return [Problem(f"{name}.location", got, need, fix, "location-unknown")]
    return []


def _check_members(name: str, vip: FailoverVip) -> list[Problem]:
    path = f"{name}.hosts"
    found: list[Problem] = []
    names = [member.name for member in vip.hosts]
    for number, member in enumerate(names):
        found += check_name(f"{path}[{number}].name", member)
        if member in names[:number] or member == "arbiter":
            other = "another member's" if member in names[:number] else "the arbiter's"
            fix = "give each host a name of its own"
            where = f"{path}[{number}].name"
            found.append(Problem(where, f"{member!r} is {other}", "", fix, "failover-names"))
    if not 2 <= len(names) <= MOST_MEMBERS:
        need, fix = f"2 to {MOST_MEMBERS}", "name a host that stands in for the first"
        found.append(Problem(path, f"names {len(names)}", need, fix, "failover-members"))
    return found


class FailoverMachines(Value):
    """What of members and arbiter is known once they exist."""

    members: dict[str, tuple[Host, int]]
    """Host and number of its server, in the order of preference."""
    arbiter: Host


def parse_failover_machines(
    name: str,
    vip: FailoverVip,
    trees: Mapping[str, Mapping[str, object]],
    servers: Mapping[str, str],
) -> FailoverMachines:
    """Members and arbiter, checked once they are known.

    In: `trees` by member, and `arbiter`; `servers`: ids that were given beside them.
    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    hosts: dict[str, Host] = {}
    for member in [*(m.name for m in vip.hosts), "arbiter"]:
        try:
            hosts[member] = parse_host(f"{name}.{member}", trees[member])
        except InputRejected as refused:
            problems += refused.problems
    problems += _check_apart(name, hosts)
    numbers = {
        m.name: _server_number(f"{name}.{m.name}", hosts[m.name], servers.get(m.name), problems)
        for m in vip.hosts
        if m.name in hosts
    }
    if problems:
        raise InputRejected(name, tuple(problems))
    members = {m.name: (hosts[m.name], numbers[m.name]) for m in vip.hosts}
    return FailoverMachines(members=members, arbiter=hosts["arbiter"])


def _check_apart(name: str, hosts: Mapping[str, Host]) -> list[Problem]:
    """One machine under two names: it cannot stand in for itself, nor judge itself."""
    found: list[Problem] = []
    seen: dict[str, str] = {}
    for member, host in hosts.items():
        if other := seen.get(host.host_key):
            what = f"{member} and {other} are one machine (the same host key)"
            fix = "name machines of their own; the arbiter stands outside"
            found.append(Problem(f"{name}.{member}", what, "", fix, "failover-apart"))
        seen[host.host_key] = member
    return found


def _server_number(path: str, host: Host, given: str | None, problems: list[Problem]) -> int:
    text = given if given is not None else (host.instance_id or "")
    number = text.removeprefix(INSTANCE)
    if number.isdecimal() and (given is not None or text != number):
        return int(number)
    problems.append(
        Problem(
            path,
            f"{text or 'nothing'!r} does not say which server of Hetzner it is",
            f"the output of a HetznerHost, whose instance_id is {INSTANCE}NUMBER, or server_id",
            "give server_id, the number that Hetzner's console shows",
            "failover-server",
        )
    )
    return 0
