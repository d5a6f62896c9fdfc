"""Addresses for VIPs that ask by name.

The address follows from the VIP's name and the prefix's allocatable space and from nothing else:
the SHA-256 of the name picks a slot. So order, additions and removals renumber nobody, and there
is no record to lose. Two names may pick one slot; then the plan is refused and says which address
to write down for the newer. What is written in `addresses` stands before what a name would pick.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import collapse_addresses
from itertools import count

from loopback_iac.model.fields import Address, Network
from loopback_iac.model.fleet import Settings
from loopback_iac.model.problem import Problem, unknown_name
from loopback_iac.model.traffic import Prefix, Vip

LARGEST = 2**16  # slots of one range: of an IPv6 network its first /112
SHOWN = 3


@dataclass
class Space:
    """The allocatable addresses of one prefix, in order, and who has them."""

    name: str
    prefix: Prefix
    taken: dict[Address, str]
    given_up: frozenset[Address]
    asking: list[str] = field(default_factory=list)

    @property
    def ranges(self) -> list[Network]:
        """Networks that addresses are taken from; without any, the whole prefix."""
        networks = self.prefix.allocatable or (self.prefix.cidr,)
        return list(collapse_addresses(networks))  # type: ignore[type-var]  # of one family

    @property
    def sizes(self) -> list[int]:
        """Slots of each range."""
        return [min(network.num_addresses, LARGEST) for network in self.ranges]

    def at(self, slot: int) -> Address:
        """Address of a slot."""
        for network, size in zip(self.ranges, self.sizes, strict=True):
            if slot < size:
                return network[slot]
            slot -= size
        raise IndexError(slot)

    def usable(self, address: Address) -> bool:
        """First and, of IPv4, last address of a prefix are filtered by some and never given out."""
        ends = {self.prefix.cidr.network_address}
        if address.version == 4:
            ends.add(self.prefix.cidr.broadcast_address)
        return address not in ends

    def slot_of(self, vip: str) -> int:
        """Slot that a name picks."""
        slots = sum(self.sizes)
        for attempt in count():
            digest = hashlib.sha256(f"{vip}/{attempt}".encode()).digest()
            slot = int.from_bytes(digest, "big") % slots
            if self.usable(self.at(slot)):
                return slot
        raise AssertionError  # count() has no end

    def free(self, start: int = 0) -> Iterator[Address]:
        """Addresses that nobody has, from a slot on and round to it."""
        slots = sum(self.sizes)
        for step in range(slots):
            address = self.at((start + step) % slots)
            if self.usable(address) and address not in self.taken:
                yield address


def allocate(
    prefixes: dict[str, Prefix],
    vips: dict[str, Vip],
    settings: Settings | None,
    known: frozenset[str],
    problems: list[Problem],
) -> dict[str, Vip]:
    """VIPs with their addresses.

    In: parts that parsed; settings, for what else has addresses, blackholes and egress; `known`:
        every name under prefixes, parsed or not.
    Out: without the VIPs that got no address; why is added to `problems`.
    """
    given_up = frozenset(hole.address for hole in settings.blackholes) if settings else frozenset()
    leaving = settings.egress if settings else {}
    taken: dict[Address, str] = {a: f"egress.{n}" for n, e in leaving.items() for a in e.addresses}
    for name, vip in sorted(vips.items()):
        taken |= dict.fromkeys(vip.addresses, f"vips.{name}")
    spaces = {n: Space(n, p, taken, given_up) for n, p in sorted(prefixes.items()) if _sound(p)}
    for name, vip in sorted(vips.items()):
        problems += _ask(name, vip, spaces, known)
    given: dict[str, list[Address]] = {}
    for space in spaces.values():
        _give(space, given, problems)
    return {
        name: vip.model_copy(update={"addresses": (*vip.addresses, *given.get(name, ()))})
        for name, vip in vips.items()
        if vip.addresses or name in given or not vip.allocate_from
    }


def _sound(prefix: Prefix) -> bool:
    cidr = prefix.cidr
    return all(n.version == cidr.version and _inside(n, cidr) for n in prefix.allocatable)


def _inside(network: Network, outer: Network) -> bool:
    return network.network_address in outer and network.prefixlen >= outer.prefixlen


def _ask(name: str, vip: Vip, spaces: dict[str, Space], known: frozenset[str]) -> Iterator[Problem]:
    for index, wanted in enumerate(vip.allocate_from):
        path = f"vips.{name}.allocate_from[{index}]"
        if wanted not in known:
            yield unknown_name(path, "prefixes", wanted, known, "allocate-prefix-known")
        elif wanted in vip.allocate_from[:index]:
            yield Problem(
                path,
                f"{wanted} is named twice",
                "each prefix once",
                "remove it; a second address of the prefix is written in addresses",
                "allocate-prefix-twice",
            )
        elif wanted in spaces:
            cidr = spaces[wanted].prefix.cidr
            if not any(a.version == cidr.version and a in cidr for a in vip.addresses):
                spaces[wanted].asking.append(name)


def _give(space: Space, given: dict[str, list[Address]], problems: list[Problem]) -> None:
    """Each name the slot it picks; when there are too few, nobody gets one."""
    if not space.asking:
        return
    room = sum(1 for _, _ in zip(space.free(), space.asking, strict=False))
    if room < len(space.asking):
        problems.append(_exhausted(space))
        return
    picked = {name: space.slot_of(name) for name in space.asking}
    mine: list[str] = []
    for name, slot in picked.items():
        address = space.at(slot)
        if address not in space.taken:
            space.taken[address] = f"vips.{name}"
            given.setdefault(name, []).append(address)
        else:
            mine.append(name)
    for name in mine:
        # a VIP that is attacked may be given up where it stands; a new one need not begin there
        found = list(space.free(picked[name]))
        instead = next((a for a in found if a not in space.given_up), found[0])
        problems.append(_collision(space, name, space.at(picked[name]), instead))
        space.taken[instead] = f"vips.{name}"


def _exhausted(space: Space) -> Problem:
    left = [str(a) for a, _ in zip(space.free(), space.asking, strict=False)]
    told = f"{len(left)} left: {', '.join(left[:SHOWN])}" if left else "none left"
    many = len(space.asking)
    return Problem(
        f"prefixes.{space.name}.allocatable",
        f"{', '.join(f'vips.{name}' for name in space.asking[:SHOWN])}"
        f"{f' and {many - SHOWN} more' if many > SHOWN else ''} {'asks' if many == 1 else 'ask'}"
        f" for an address by name; {told}",
        "an address for each",
        "widen allocatable, remove VIPs, or let some allocate from another prefix",
        "allocate-exhausted",
    )


def _collision(space: Space, name: str, picked: Address, instead: Address) -> Problem:
    return Problem(
        f"vips.{name}.allocate_from",
        f"the name picks {picked} from {space.name}, which {space.taken[picked]} has",
        "an address of its own",
        f'write addresses: ["{instead}"] beside allocate_from of whichever of the two is new',
        "allocate-collision",
    )
