"""An address of a provider that one host holds and others stand in for; checked before anything."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from loopback_iac.model.cloud_host import Labels
from loopback_iac.model.fields import (
    AddressV4,
    AdminSources,
    Given,
    Int,
    Line,
    Port,
    Several,
    Value,
    matching,
    refuse,
)
from loopback_iac.model.host import Host, parse_host
from loopback_iac.model.places import HETZNER_LOCATIONS, IONOS_LOCATIONS
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import check_name, collect, plain

HETZNER, IONOS = "hetzner", "ionos"
INSTANCE = "hcloud-"
"""What a HetznerHost's instance id begins with; its server's number follows."""
APIS = {HETZNER: "https://api.hetzner.cloud/v1", IONOS: "https://api.ionos.com/cloudapi/v6"}
_PLACES = {HETZNER: HETZNER_LOCATIONS, IONOS: IONOS_LOCATIONS}
MOST_MEMBERS = 16


def _endpoint(value: object) -> object:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is not None and (parts.scheme != "https" or not parts.hostname or parts.query):
        refuse(
            "api-endpoint",
            f"{value!r} is no https address",
            "https, a host, and the path before /floating_ips or /datacenters",
            "leave it out for the provider's own",
        )
    return value


class FailoverMember(Value):
    """A host that may hold the address."""

    name: str
    host: Given
    server_id: Given = False
    card: Given = False


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
    endpoint: Annotated[Line, BeforeValidator(_endpoint)] | None = None
    ca_certificate: str = ""
    baseline: Given = False

    @property
    def api(self) -> str:
        """Where the arbiter asks."""
        return self.endpoint or APIS[self.provider]


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
    places = _PLACES.get(vip.provider)
    if places is None:
        fix = "take members at one of them; or announce an own prefix (AnycastEdge)"
        got, need = f"{vip.provider!r} is not known", " or ".join(_PLACES)
        return [Problem(f"{name}.provider", got, need, fix, "failover-provider")]
    found = []
    if vip.location not in places:
        got, need = f"{vip.location!r} is no location", ", ".join(places)
        fix = "write the location of the members"
        found.append(Problem(f"{name}.location", got, need, fix, "location-unknown"))
    if vip.provider == IONOS and vip.labels != Labels():
        fix = "leave them out; the host that reserves the address has labels of its own"
        got = "IONOS has no labels for addresses"
        found.append(Problem(f"{name}.labels", got, "", fix, "failover-labels"))
    return [*found, *_check_cards(name, vip)]


def _check_cards(name: str, vip: FailoverVip) -> list[Problem]:
    """How a member is named to its provider: a server there, a card here."""
    found = []
    for number, member in enumerate(vip.hosts):
        path = f"{name}.hosts[{number}]"
        if vip.provider == IONOS and not member.card:
            fix, need = "give output `card` of the IonosHost", "the card that has the address"
            got = "IONOS sends addresses to cards, and it names none"
            found.append(Problem(f"{path}.card", got, need, fix, "failover-card"))
        stray = "server_id" if vip.provider == IONOS else "card"
        if getattr(member, stray):
            fix = f"leave it out at {vip.provider}"
            got = "is of another provider"
            found.append(Problem(f"{path}.{stray}", got, "", fix, "failover-card"))
    return found


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


Ident = Annotated[
    str,
    matching(
        # they become parts of a path
        r"[A-Za-z0-9-]{1,64}",
        "ionos-id",
        "is no id of IONOS",
        "letters, digits and '-'",
        "take it from output `card` of an IonosHost",
    ),
]


class Card(Value):
    """A network card at IONOS, where it is, and the failover address that it carries."""

    datacenter_id: Ident
    lan_id: Ident
    nic_id: Ident
    failover_ipv4: AddressV4 | None = None

    @property
    def group(self) -> str:
        """What the arbiter's API calls the group."""
        return f"{self.datacenter_id}/{self.lan_id}/{self.failover_ipv4}"


class FailoverMachines(Value):
    """What of members and arbiter is known once they exist."""

    members: dict[str, tuple[Host, str]]
    """Host and its server or card at the provider, in the order of preference."""
    arbiter: Host
    group: Card | None = None
    """At IONOS: a card of the group."""


def parse_failover_machines(
    name: str,
    vip: FailoverVip,
    trees: Mapping[str, Mapping[str, object]],
    given: Mapping[str, object],
) -> FailoverMachines:
    """Members and arbiter, checked once they are known.

    In: `trees` by member, and `arbiter`; `given` beside them: server ids, or cards.
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
    there = {m.name: hosts[m.name] for m in vip.hosts if m.name in hosts}
    cards: dict[str, Card] = {}
    if vip.provider == IONOS:
        cards = _parse_cards(name, given, problems)
        problems += _check_own(name, there)
        holders = {member: card.nic_id for member, card in cards.items()}
    else:
        holders = {
            member: _server_number(f"{name}.{member}", host, given.get(member), problems)
            for member, host in there.items()
        }
    problems += _check_holders(name, holders)
    if problems:
        raise InputRejected(name, tuple(problems))
    members = {member: (host, holders[member]) for member, host in there.items()}
    group = next(iter(cards.values()), None)
    return FailoverMachines(members=members, arbiter=hosts["arbiter"], group=group)


def _check_holders(name: str, holders: Mapping[str, str]) -> list[Problem]:
    """An address that is moved from a machine to itself is not moved."""
    found, first = [], dict[str, str]()
    for member, holder in holders.items():
        other = first.setdefault(holder, member)
        if holder and other != member:
            got = f"{holder} is what {other} is at the provider already"
            fix = "give each member its own server or card"
            found.append(Problem(f"{name}.{member}", got, "", fix, "failover-twice"))
    return found


def _parse_cards(
    name: str, given: Mapping[str, object], problems: list[Problem]
) -> dict[str, Card]:
    """Cards of one group: the same address, in the same LAN."""
    cards: dict[str, Card] = {}
    for member, tree in given.items():
        path = f"{name}.{member}.card"
        card = collect(Card, path, tree, problems)
        if card is None:
            continue
        if card.failover_ipv4 is None:
            fix = "failover of the host that has the address first, failover_ipv4 of the others"
            got, need = "carries no failover address", "an address of a failover group"
            problems.append(Problem(path, got, need, f"set {fix}", "failover-card"))
            continue
        first = next(iter(cards.values()), card)
        if card.group != first.group:
            problems.append(
                Problem(
                    path,
                    f"carries {card.failover_ipv4} in LAN {card.lan_id} of {card.datacenter_id}",
                    f"{first.failover_ipv4} in LAN {first.lan_id} of {first.datacenter_id}",
                    "members share a LAN (lan_id), and the failover_ipv4 of the first one's card",
                    "failover-card",
                )
            )
        cards[member] = card
    return cards


def _check_own(name: str, hosts: Mapping[str, Host]) -> list[Problem]:
    """The card is found by the host's own address, and told at it."""
    return [
        Problem(
            f"{name}.{member}",
            f"{host.address} is no IPv4 address",
            "the address on the card",
            "give the host's ipv4",
            "failover-card",
        )
        for member, host in hosts.items()
        if host.address.version != 4
    ]


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


def _server_number(path: str, host: Host, given: object, problems: list[Problem]) -> str:
    text = str(given) if given is not None else (host.instance_id or "")
    number = text.removeprefix(INSTANCE)
    if number.isdecimal() and (given is not None or text != number):
        return str(int(number))
    problems.append(
        Problem(
            path,
            f"{text or 'nothing'!r} does not say which server of Hetzner it is",
            f"the output of a HetznerHost, whose instance_id is {INSTANCE}NUMBER, or server_id",
            "give server_id, the number that Hetzner's console shows",
            "failover-server",
        )
    )
    return ""
