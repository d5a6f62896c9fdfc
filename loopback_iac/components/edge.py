"""AnycastEdge: a whole fleet as one component, because tunnels need both of their ends."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import pulumi
from pulumi_command import remote

from loopback_iac.components.args import AnycastEdgeArgs, WorkerArgs
from loopback_iac.components.baseline_args import HostBaselineArgs
from loopback_iac.components.bgp_tunnels import describe_bgp_tunnels
from loopback_iac.components.boundary import Sealed, refuse_as_pulumi
from loopback_iac.components.converge import (
    DIRECT,
    Delivery,
    EdgePop,
    Values,
    Way,
    Worker,
    describe_host,
    seal,
)
from loopback_iac.components.host_args import HostRef
from loopback_iac.components.hosts import Through, as_bastion, public_facts
from loopback_iac.components.ingress_args import EdgePoolRef
from loopback_iac.components.zone_keys import zone_keys, zones_from
from loopback_iac.model import (
    Fleet,
    Host,
    fleet_facts,
    parse_fleet,
    parse_hosts,
    pool_facts,
)
from loopback_iac.render import (
    HostFiles,
    Keys,
    admin_sources,
    inner_address,
    render_pop,
    render_worker,
)

Render = Callable[[Fleet, str, Mapping[str, Host], Keys], HostFiles]


class AnycastEdge(pulumi.ComponentResource):
    """Anycast addresses announced by several PoPs and forwarded through tunnels to workers."""

    vips: pulumi.Output[Mapping[str, Sequence[str]]]
    """Addresses of each VIP."""
    pops: pulumi.Output[Sequence[str]]
    """Names of the PoPs, in the order in which changes reach them."""
    hosts: pulumi.Output[Mapping[str, Any]]
    """By host: role, how SSH reaches it, its public keys, and the digest it was converged to."""
    bgp_tunnels: pulumi.Output[Mapping[str, Any]]
    """By PoP and upstream of kind `tunnel`: what the operator of its router enters at that end."""
    standing: pulumi.Output[Mapping[str, Sequence[str]]]
    """By egress: its addresses, known once they stand on their worker. EgressPolicy takes it."""
    pools: pulumi.Output[Mapping[str, EdgePoolRef]]
    """By pool: what an ingress controller on its workers has to know, for IngressController."""

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
        self.pop = _declare_pops(fleet, late, child, args.get("baseline"))
        self.worker: dict[str, Worker] = {}
        # once for the fleet, not once per host: every host needs the facts of all its peers
        self._known = _known_hosts(name, late | zones_from(fleet, args))
        self.standing = _standing(fleet, self._converge(fleet, args, late))
        self.vips = pulumi.Output.from_input(_addresses(fleet))
        self.pops = pulumi.Output.from_input(sorted(fleet.pops))
        self.hosts = self._describe(fleet)
        self.bgp_tunnels = describe_bgp_tunnels(fleet, self.pop, late)
        self.pools = pulumi.Output.from_input(cast("Mapping[str, EdgePoolRef]", pool_facts(fleet)))
        outputs = ("vips", "pops", "hosts", "bgp_tunnels", "standing", "pools")
        # with the facts: policies over the whole stack see outputs only
        self.register_outputs(facts | {output: getattr(self, output) for output in outputs})

    def _converge(
        self, fleet: Fleet, args: AnycastEdgeArgs, late: Mapping[str, pulumi.Input[HostRef]]
    ) -> list[remote.Command]:
        """Out: the last step of every host."""
        epochs, every = sorted(fleet.tunnels.key_epochs), (*fleet.pops, *fleet.workers)
        keys = {(n, e): f"@{{secret:{key_mark(n, e)}}}" for n in every for e in epochs}

        def delivery(host: str, render: Render, *values: Values) -> Delivery:
            return {
                "files": self._known.apply(lambda known: render(fleet, host, known, keys)),
                "values": values,
                "admin_sources": self._known.apply(
                    lambda known: [str(n) for n in admin_sources(fleet, host, known)]
                ),
                "drain_s": fleet.roll.drain_s,
            }

        of_pops = self._public_keys(fleet, sorted(fleet.pops))
        joined = {n for n, w in fleet.workers.items() if w.has_joined(fleet.tunnels.key_epochs)}
        standing = sorted(fleet.workers.keys() - joined)
        self._declare_workers(fleet, standing, late, {}, args.get("baseline"))
        done = [self.worker[w].converge(delivery(w, render_worker, of_pops), []) for w in standing]
        of_workers = self._public_keys(fleet, sorted(fleet.workers))
        confirmed: dict[str, pulumi.Resource] = {}
        for p in sorted(fleet.pops):
            here = delivery(p, render_pop, of_workers, _md5(args, p), zone_keys(fleet, args, p))
            done.append(self.pop[p].converge(here, done[-1:] if confirmed else done))
            confirmed[p] = done[-1]
        # a PoP has to know their keys before anybody reaches them through it
        self._declare_workers(fleet, sorted(joined), late, confirmed, args.get("baseline"))
        return done + [
            self.worker[w].converge(delivery(w, render_worker, of_pops), []) for w in sorted(joined)
        ]

    def _declare_workers(
        self,
        fleet: Fleet,
        names: Iterable[str],
        late: Mapping[str, pulumi.Input[HostRef]],
        confirmed: Mapping[str, pulumi.Resource],
        kept: pulumi.Input[HostBaselineArgs] | None,
    ) -> None:
        """In: by PoP, what has to be done before those who are managed through it are reached."""
        child, epochs = pulumi.ResourceOptions(parent=self), fleet.tunnels.key_epochs
        for n in names:
            way = _way(fleet, n, late, confirmed)
            named = (f"{fleet.name}-{n}", n, late[n], epochs, child)
            more = "egress" if fleet.may_leave_by(n) else ""
            self.worker[n] = Worker(*named, way=way, software=more, baseline=kept)

    def _public_keys(self, fleet: Fleet, names: Iterable[str]) -> Values:
        """As hosts gave them when they were enrolled, or earlier when they joined."""
        given: dict[str, pulumi.Input[str]] = {}
        for name in names:
            host: EdgePop | Worker | None = self.pop.get(name) or self.worker.get(name)
            for epoch in sorted(fleet.tunnels.key_epochs):
                mark = key_mark(name, epoch)
                if host is None:
                    given[mark] = fleet.workers[name].join_keys[str(epoch)]
                else:
                    given[mark] = host.public_key(epoch)
        return seal(given)

    def _describe(self, fleet: Fleet) -> pulumi.Output[Mapping[str, Any]]:
        def one(name: str, child: EdgePop | Worker) -> pulumi.Output[dict[str, Any]]:
            sealed = self._known.apply(lambda known: Sealed(_through_pop(fleet, name, known)))
            host = describe_host(child)
            return pulumi.Output.all(host=host, way=sealed, keys=child.public_keys).apply(
                lambda got: {
                    **got["host"],
                    "fleet": fleet.name,
                    "node_id": (fleet.pops.get(name) or fleet.workers[name]).node_id,
                    "public_keys": got["keys"],
                    **got["way"].value,
                }
            )

        every: Mapping[str, EdgePop | Worker] = {**self.pop, **self.worker}
        return pulumi.Output.all(**{n: one(n, c) for n, c in every.items()})


def _known_hosts(
    fleet: str, refs: Mapping[str, pulumi.Input[HostRef]]
) -> pulumi.Output[dict[str, Host]]:
    return pulumi.Output.all(**{n: public_facts(ref) for n, ref in refs.items()}).apply(
        lambda trees: refuse_as_pulumi(lambda: parse_hosts(fleet, trees))
    )


def _standing(fleet: Fleet, done: Sequence[remote.Command]) -> pulumi.Output[dict[str, list[str]]]:
    """An address is of use once its worker has it and every PoP knows the way back."""
    held = {name: [str(a) for a in egress.addresses] for name, egress in fleet.egress.items()}
    if not held:
        return pulumi.Output.from_input(held)
    return pulumi.Output.all(*(each.stdout for each in done)).apply(lambda _: held)


def _addresses(fleet: Fleet) -> dict[str, list[str]]:
    return {name: [str(a) for a in vip.addresses] for name, vip in fleet.vips.items()}


def _declare_pops(
    fleet: Fleet,
    late: Mapping[str, pulumi.Input[HostRef]],
    child: pulumi.ResourceOptions,
    baseline: pulumi.Input[HostBaselineArgs] | None,
) -> dict[str, EdgePop]:
    epochs = fleet.tunnels.key_epochs
    return {
        pop: EdgePop(
            *(f"{fleet.name}-{pop}", pop, late[pop], epochs, child),
            software=fleet.name_server_at(pop) or "",
            baseline=baseline,
        )
        for pop in fleet.pops
    }


def _way(
    fleet: Fleet,
    worker: str,
    late: Mapping[str, pulumi.Input[HostRef]],
    confirmed: Mapping[str, pulumi.Resource],
) -> Way:
    pop = fleet.workers[worker].managed_through
    if pop is None:
        return DIRECT
    through = Through(pop, late[pop], str(inner_address(fleet, worker)))
    return Way(through, [confirmed[pop]] if pop in confirmed else [])


def _through_pop(fleet: Fleet, name: str, hosts: Mapping[str, Host]) -> dict[str, Any]:
    """How SSH gets to a worker that is managed through a PoP."""
    worker = fleet.workers.get(name)
    pop = worker.managed_through if worker else None
    if pop is None:
        return {}
    bastion = as_bastion(hosts[pop])
    address = str(inner_address(fleet, name))
    return {"address": address, "bastion": bastion.model_dump(mode="json")}


def key_mark(host: str, key_epoch: int) -> str:
    """Name of the mark that stands for a host's WireGuard public key in rendered files."""
    return f"wireguard-{key_epoch}-{host}"


def _worker_args(args: AnycastEdgeArgs, worker: str) -> WorkerArgs:
    return next(p["workers"][worker] for p in args["pools"].values() if worker in p["workers"])


def _md5(args: AnycastEdgeArgs, pop: str) -> Values:
    ups = args["pops"][pop]["upstreams"]
    given = {f"md5-{pop}-{up}": facts["md5"] for up, facts in ups.items() if "md5" in facts}
    return seal(given)
