"""AnycastEdge: a whole fleet as one component, because tunnels need both of their ends."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi

from loopback_iac.components.args import AnycastEdgeArgs, WorkerArgs
from loopback_iac.components.bgp_tunnels import describe_bgp_tunnels
from loopback_iac.components.boundary import Sealed, refuse_as_pulumi
from loopback_iac.components.converge import Delivery, EdgePop, Values, Worker, describe_host, seal
from loopback_iac.model import Fleet, Host, fleet_facts, parse_fleet, parse_hosts
from loopback_iac.render import HostFiles, Keys, render_pop, render_worker

Render = Callable[[Fleet, str, Mapping[str, Host], Keys], HostFiles]


class AnycastEdge(pulumi.ComponentResource):
    """Anycast addresses announced by several PoPs and forwarded through tunnels to workers."""

    vips: pulumi.Output[Mapping[str, Sequence[str]]]
    """Addresses of each VIP."""
    pops: pulumi.Output[Sequence[str]]
    """Names of the PoPs, in the order in which changes reach them."""
    hosts: pulumi.Output[Mapping[str, Any]]
    """By host: role, address, SSH port, user and host key, and the digest it was converged to."""
    bgp_tunnels: pulumi.Output[Mapping[str, Any]]
    """By PoP and upstream of kind `tunnel`: what the operator of its router enters at that end."""

    def __init__(
        self, name: str, args: AnycastEdgeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Parse the whole tree, declare every host, converge: workers first, then PoP by PoP."""
        fleet = refuse_as_pulumi(lambda: parse_fleet(name, args))
        # one key: Pulumi turns every input into an attribute, and `pops` is an output already
        facts = {"fleet": fleet_facts(fleet)}
        super().__init__("loopback-iac:index:AnycastEdge", name, facts, opts)

        late = {pop: args["pops"][pop]["host"] for pop in fleet.pops}
        late |= {w: _worker_args(args, w)["host"] for w in fleet.workers}
        child = pulumi.ResourceOptions(parent=self)
        epochs = fleet.tunnels.key_epochs
        self.pop = {p: EdgePop(f"{name}-{p}", p, late[p], epochs, child) for p in fleet.pops}
        self.worker = {w: Worker(f"{name}-{w}", w, late[w], epochs, child) for w in fleet.workers}
        self._converge(fleet, args)

        self.vips = pulumi.Output.from_input(
            {name: [str(a) for a in vip.addresses] for name, vip in fleet.vips.items()}
        )
        self.pops = pulumi.Output.from_input(sorted(fleet.pops))
        self.hosts = self._describe()
        self.bgp_tunnels = describe_bgp_tunnels(fleet, self.pop, late)
        self.register_outputs(
            {
                "vips": self.vips,
                "pops": self.pops,
                "hosts": self.hosts,
                "bgp_tunnels": self.bgp_tunnels,
            }
        )

    def _converge(self, fleet: Fleet, args: AnycastEdgeArgs) -> None:
        every: Mapping[str, EdgePop | Worker] = {**self.pop, **self.worker}
        epochs = sorted(fleet.tunnels.key_epochs)
        keys = {(n, e): f"@{{secret:{key_mark(n, e)}}}" for n in every for e in epochs}
        # once for the fleet, not once per host: every host needs the facts of all its peers
        hosts = pulumi.Output.all(**{n: each.facts for n, each in every.items()}).apply(
            lambda trees: refuse_as_pulumi(lambda: parse_hosts(fleet.name, trees))
        )

        def known(peers: Mapping[str, EdgePop | Worker]) -> pulumi.Output[Sealed[dict[str, str]]]:
            public = {key_mark(n, e): c.public_key(e) for n, c in peers.items() for e in epochs}
            return pulumi.Output.all(**public).apply(Sealed)

        def delivery(host: str, render: Render, *values: Values) -> Delivery:
            return {
                "files": hosts.apply(lambda known: render(fleet, host, known, keys)),
                "values": values,
                "admin_sources": [str(n) for n in fleet.admin_sources],
                "drain_s": fleet.roll.drain_s,
            }

        of_pops, of_workers = known(self.pop), known(self.worker)
        before: list[pulumi.Resource] = [
            self.worker[w].converge(delivery(w, render_worker, of_pops), [])
            for w in sorted(fleet.workers)
        ]
        for p in sorted(fleet.pops):
            here = delivery(p, render_pop, of_workers, _md5(args, p))
            before = [self.pop[p].converge(here, before)]

    def _describe(self) -> pulumi.Output[Mapping[str, Any]]:
        every: Mapping[str, EdgePop | Worker] = {**self.pop, **self.worker}
        return pulumi.Output.all(**{n: describe_host(c) for n, c in every.items()})


def key_mark(host: str, key_epoch: int) -> str:
    """Name of the mark that stands for a host's WireGuard public key in rendered files."""
    return f"wireguard-{key_epoch}-{host}"


def _worker_args(args: AnycastEdgeArgs, worker: str) -> WorkerArgs:
    return next(p["workers"][worker] for p in args["pools"].values() if worker in p["workers"])


def _md5(args: AnycastEdgeArgs, pop: str) -> Values:
    ups = args["pops"][pop]["upstreams"]
    given = {f"md5-{pop}-{up}": facts["md5"] for up, facts in ups.items() if "md5" in facts}
    return seal(given)
