"""Gateways of one group in a world that is simulated: an API, cards, a clock, and cuts.

The keepers are the real ones. What is not: time passes when told, a node that stands still is not
stepped, and a call that was given up may come through later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopback_iac.agent.api import ApiError
from loopback_iac.agent.gatewayapi import ConflictError, Lease, MissingError, Named
from loopback_iac.agent.gatewayfile import LAYER_2, Group, Node, Timing
from loopback_iac.agent.gatewaykeeper import Keeper
from loopback_iac.agent.gatewayparts import Wish
from loopback_iac.agent.refusal import RefusedError

if TYPE_CHECKING:
    from loopback_iac.agent.gatewaychoice import Said

LEASE_S = 6.0
TICK_S = 0.25
POLICIES = ("partners-v4", "partners-v6")


def group_of(count: int, policies: tuple[str, ...]) -> Group:
    nodes = tuple(Node(f"w{at}", f"10.0.0.{at}") for at in range(1, count + 1))
    words = ("partners", ("192.0.2.10",), "", LAYER_2)
    return Group(*words, nodes, policies, Timing(LEASE_S))


@dataclass
class Objects:
    """What the API server keeps."""

    up: bool = True
    version: int = 1
    lease: Lease = field(default_factory=lambda: Lease("", 0, "1"))
    policies: dict[str, Named] = field(default_factory=dict)
    log: list[tuple[str, ...]] = field(default_factory=list)

    def next(self) -> str:
        self.version += 1
        return str(self.version)


class SimulatedApi:
    """One node's way to the API."""

    def __init__(self, world: World, node: str) -> None:
        self.world, self.node = world, node

    def _reach(self, write) -> None:
        """A call of a node that is cut off is lost, or comes through later."""
        world = self.world
        if not world.objects.up or self.node in world.no_api:
            if write is not None and self.node in world.late:
                world.under_way.append(write)
            raise ApiError("timed out")

    def read_lease(self, timeout_s: float) -> Lease:
        self._reach(None)
        return self.world.objects.lease

    def write_lease(self, wanted: Lease, lease_s: float, timeout_s: float) -> Lease:
        objects = self.world.objects

        def write() -> Lease:
            if wanted.version != objects.lease.version:
                raise ConflictError("409", status=409)
            objects.lease = wanted._replace(version=objects.next())
            objects.log.append(("lease", wanted.holder, str(wanted.epoch)))
            return objects.lease

        self._reach(write)
        return write()

    def read_policy(self, name: str, timeout_s: float) -> Named:
        self._reach(None)
        if name not in self.world.objects.policies:
            raise MissingError("404", status=404)
        if name in self.world.refused:
            raise RefusedError(f"{name} names 2 gateways that no keeper wrote")
        return self.world.objects.policies[name]

    def write_policy(self, name: str, named: Named, timeout_s: float) -> None:
        objects = self.world.objects

        def write() -> None:
            there = objects.policies[name]
            if named.version != there.version:
                raise ConflictError("409", status=409)
            # nobody who held it before ever gets it back by a write of then
            assert named.epoch >= there.epoch, (named, there, objects.log[-20:])
            objects.policies[name] = named._replace(version=objects.next())
            objects.log.append(("name", name, str(named.hostname)))

        self._reach(write)
        write()

    def read_hostname(self, node: str, timeout_s: float) -> str:
        self._reach(None)
        return node


class SimulatedCard:
    """Addresses of one node; the kernel takes them off in time."""

    def __init__(self, world: World, node: str) -> None:
        self.world, self.node = world, node

    def is_on(self) -> bool:
        return self.node in self.world.on

    def keep(self) -> bool:
        if self.node in self.world.no_card:
            self.world.on.pop(self.node, None)
            raise RefusedError("eth1: No such device")
        missing = not self.is_on()
        self.world.on[self.node] = self.world.now_s + self.world.group.timing.lifetime_s
        if missing:
            self.world.objects.log.append(("on", self.node))
        return missing

    def drop(self) -> None:
        self.world.on.pop(self.node, None)
        self.world.objects.log.append(("off", self.node))

    def announce(self) -> None:
        self.world.objects.log.append(("announce", self.node))


class Hears:
    """What a node hears of the others."""

    def __init__(self, world: World, node: str) -> None:
        self.world, self.node = world, node
        self.said: dict[str, Said] = {}

    @property
    def ready(self) -> bool:
        return self.node not in self.world.unready

    def wish(self) -> Wish | None:
        return self.world.wish

    def listen(self) -> None:
        for other, keeper in self.world.keepers.items():
            cut = frozenset((self.node, other)) in self.world.cuts
            if other != self.node and not cut and other not in self.world.frozen:
                self.said[other] = keeper.word


class World:
    """All of it."""

    def __init__(self, count: int, policies: tuple[str, ...] = POLICIES) -> None:
        self.group, self.now_s = group_of(count, policies), 1000.0
        self.objects = Objects(policies={name: Named("1", None, 0) for name in policies})
        self.on: dict[str, float] = {}
        self.no_api: set[str] = set()
        self.late: set[str] = set()
        self.under_way: list = []
        self.cuts: set[frozenset[str]] = set()
        self.unready: set[str] = set()
        self.no_card: set[str] = set()
        self.refused: set[str] = set()  # policies
        self.frozen: set[str] = set()
        self.waking: set[str] = set()  # it took no step yet since it stood still
        self.wish: Wish | None = None
        self.wishes = 0
        self.hears: dict[str, Hears] = {}
        self.keepers: dict[str, Keeper] = {}
        for name in self.group.names:
            self.start(name)

    def start(self, name: str) -> None:
        """A new process; the card is as the old one left it."""
        self.hears[name] = Hears(self, name)
        parts = (SimulatedApi(self, name), SimulatedCard(self, name), self.hears[name])
        self.keepers[name] = Keeper(self.group, name, parts, lambda: self.now_s)

    def run(self, seconds: float, order=None) -> None:
        """Let time pass; every node that is awake takes its steps in each tick of it."""
        for _ in range(round(seconds / TICK_S)):
            self.now_s += TICK_S
            for node, until_s in list(self.on.items()):
                if self.now_s >= until_s:
                    del self.on[node]
            for name in order or self.group.names:
                for _ in range(4):
                    self.step(name)

    def ask_for(self, node: str) -> None:
        """An operator's wish."""
        self.wishes += 1
        self.wish = Wish(str(self.wishes), node)

    def step(self, name: str) -> None:
        if name in self.frozen:
            return
        self.hears[name].listen()
        self.keepers[name].step()
        self.waking.discard(name)
        self.check_holders()

    def named(self) -> list[str | None]:
        """Whom the policies name, each once."""
        return sorted({pin.hostname for pin in self.objects.policies.values()}, key=str)

    def check_holders(self) -> None:
        """Of the nodes that are awake, one holds the addresses; both ends of a handing over may.

        A new process that found them on the card, and was not told yet whose they are, does not
        keep them alive.
        """
        self.waking |= self.frozen
        awake = [
            name
            for name, keeper in self.keepers.items()
            if name in self.on
            and name not in self.waking
            and keeper.known is not None
            and keeper.prepared_epoch < 0
            and not keeper.leaving
        ]
        assert len(awake) <= 1, (awake, self.objects.log[-20:])

    def settled(self) -> list[str]:
        return [name for name, keeper in self.keepers.items() if keeper.settled]

    def land(self) -> None:
        """A call that was given up comes through now."""
        write = self.under_way.pop(0)
        try:
            write()
        except ConflictError:
            self.objects.log.append(("refused",))
