"""Who talked out, to what, by which address, under which declared policy: counted from flows.

A connection leaves several records: at the pod's node before translation, at the gateway with the
address it left by, a verdict of the network policy. They are counted together, per pods with the
same labels, destination and port; what the row says follows from the addresses that were seen.
Memory is bounded by rows: beyond them pods and destinations of a namespace are counted together,
and nothing is left out.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple

from loopback_iac.kube.flows import ASKED, LEFT, Flow
from loopback_iac.kube.policy import Accepted, Egress
from loopback_iac.kube.selectors import NAMESPACE, Audience, matches
from loopback_iac.model.fields import Address, Network

ROWS = 20_000
SHOWN = 3
CACHED = 10_000
KINDS = 32
"""Different addresses, or reasons, that one row keeps apart."""
OTHER = "(others)"
DROPPED = frozenset({"DROPPED", "ERROR"})
"""Verdicts after which a packet went nowhere."""
QUIET = ("io.cilium.", "io.kubernetes.")
"""Labels that Cilium adds; namespaces have a column of their own."""

Labels = tuple[tuple[str, str], ...]


class Cover(NamedTuple):
    """What was declared of a destination."""

    kind: Literal["policy", "port", "excluded", "accepted", "nothing"]
    """port: a policy's destination, at a port that is none of its."""
    name: str = ""
    """Of the policy; of what is accepted its place in the file."""


class Key(NamedTuple):
    """What is counted together."""

    namespace: str
    labels: Labels
    destination: str
    service: str
    cover: Cover


@dataclass(slots=True)
class Seen:
    """How often, and between when."""

    count: int = 0
    first: str = ""
    last: str = ""

    def add(self, time: str) -> None:
        """One more; `parse_flow` leaves times as texts that sort as times do."""
        self.count += 1
        if time:
            self.first = min(self.first, time) if self.first else time
            self.last = max(self.last, time)


@dataclass(slots=True)
class Row:
    """What pods with the same labels did at one destination and port."""

    flows: Seen = field(default_factory=Seen)
    via: dict[str, Seen] = field(default_factory=dict)
    """By the address it left by."""
    dropped: Counter[str] = field(default_factory=Counter)
    passed: int = 0
    """Records that do not say by which address."""
    asked: int = 0
    """Those of them that were made before a policy was asked."""
    pods: set[str] = field(default_factory=set)
    workloads: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)

    @property
    def went_nowhere(self) -> bool:
        """Whether it was dropped, and no record has it further than out of its pod."""
        return bool(self.dropped) and not self.via and self.passed == self.asked

    def add(self, flow: Flow, via: Address | None) -> None:
        """Count one record."""
        self.flows.add(flow.time)
        if flow.verdict in DROPPED:
            reason = flow.drop_reason or flow.verdict
            self.dropped[reason if len(self.dropped) < KINDS else OTHER] += 1
        elif via is None:
            self.passed += 1
            self.asked += flow.point == ASKED
        else:
            text = str(via)
            known = text in self.via or len(self.via) < KINDS
            self.via.setdefault(text if known else OTHER, Seen()).add(flow.time)
            _keep(self.nodes, flow.node)
        _keep(self.pods, flow.pod)
        _keep(self.workloads, flow.workload)
        for name in flow.names:
            _keep(self.names, name)


def _keep(kept: set[str], word: str) -> None:
    """The first few of a text's order, whichever file is read first."""
    if word:
        kept.add(word)
        if len(kept) > SHOWN:
            kept.remove(max(kept))


@dataclass(frozen=True)
class Reach:
    """A policy as flows are held to it."""

    name: str
    audience: Audience
    networks: tuple[tuple[Network, bool], ...]
    """And whether it is excluded."""
    ports: frozenset[str]


class Audit:
    """Flows of any number, counted into a bounded number of rows."""

    def __init__(self, egress: Egress, today: date, rows: int = ROWS) -> None:
        self.egress, self.today, self.most = egress, today, rows
        self.own = {a: name for name, node in egress.nodes.items() for a in node.addresses}
        self.ours = {a for policy in egress.policies.values() for a in policy.addresses}
        self.ours |= {a for node in egress.nodes.values() for a in node.carries}
        self.rows: dict[Key, Row] = {}
        self.folded = 0
        """Flows that stand in rows of others, for want of rows."""
        self.skipped: Counter[str] = Counter()
        self._reaches = [_reach(egress, name) for name in egress.policies]
        self._meant: dict[tuple[str, Labels], tuple[Reach, ...]] = {}

    def add(self, flow: Flow) -> None:
        """Count a flow, if it is one of a pod that leaves the cluster."""
        why = self._not_egress(flow)
        if why:
            self.skipped[why] += 1
            return
        cover = self._cover(flow)
        labels = tuple(each for each in flow.labels if not each[0].startswith(QUIET))
        key = Key(flow.namespace, labels, str(flow.destination), _service(flow), cover)
        if key not in self.rows and len(self.rows) >= self.most:
            self.folded += 1
            namespace = flow.namespace if len(self.rows) < 2 * self.most else OTHER
            key = Key(namespace, (), OTHER, OTHER, cover)
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Row()
        row.add(flow, _left_by(flow, self.ours))

    def _not_egress(self, flow: Flow) -> str:
        """Why a flow says nothing of egress."""
        if flow.reply:
            return "replies"
        if flow.tunnelled:
            # the same packet is recorded before it goes in and after it comes out
            return "in a tunnel between nodes"
        to = flow.destination
        inside = (*self.egress.pod_cidrs, *self.egress.service_cidrs)
        if flow.inside or to in self.own or _in(to, inside):
            return "within the cluster"
        if to.is_multicast or to.is_link_local:
            return "link-local and multicast"
        pod = flow.namespace or flow.labels or _in(flow.source, self.egress.pod_cidrs)
        if pod or flow.source in self.ours:
            return ""
        return "not from pods: nodes, and what comes in"

    def _cover(self, flow: Flow) -> Cover:
        """The longest network decides, as it does in the agent."""
        found, longest = Cover("nothing"), -1
        for reach in self._meant_by(flow):
            for network, excluded in reach.networks:
                if network.prefixlen > longest and flow.destination in network:
                    longest = network.prefixlen
                    allowed = not reach.ports or _service(flow) in reach.ports
                    kind = "excluded" if excluded else "policy" if allowed else "port"
                    found = Cover(kind, reach.name)  # type: ignore[arg-type]  # one of three
        if found.kind == "nothing":
            for at, each in enumerate(self.egress.accepted):
                if _accepts(each, flow, self.today):
                    return Cover("accepted", str(at))
        return found

    def _meant_by(self, flow: Flow) -> tuple[Reach, ...]:
        key = flow.namespace, flow.labels
        known = self._meant.get(key)
        if known is None:
            labels = {NAMESPACE: flow.namespace, **dict(flow.labels)}
            known = tuple(reach for reach in self._reaches if matches(reach.audience, labels))
            if len(self._meant) >= CACHED:
                self._meant.clear()
            self._meant[key] = known
        return known


def _in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _reach(egress: Egress, name: str) -> Reach:
    policy = egress.policies[name]
    # of two equal networks the exclusion stands first and is met first
    networks = [(n, True) for n in policy.excluded] + [(n, False) for n in policy.destinations]
    return Reach(name, policy.audience, tuple(networks), frozenset(policy.ports))


def _service(flow: Flow) -> str:
    return f"{flow.protocol}:{flow.port}" if flow.port else flow.protocol


def _left_by(flow: Flow, ours: set[Address]) -> Address | None:
    """The address a packet left by; None where the record does not say it.

    A record of leaving without a translated address may be made before translation (at the pod's
    own node, with BPF host routing), so a pod's own address in it proves nothing.
    Sources: Cilium 1.20.1, bpf/bpf_lxc.c and pkg/hubble/parser/threefour/parser.go.
    """
    if flow.translated is not None:
        return flow.translated
    return flow.source if flow.point == LEFT and flow.source in ours else None


def _accepts(accepted: Accepted, flow: Flow, today: date) -> bool:
    if flow.namespace not in accepted.namespaces or (accepted.until and today > accepted.until):
        return False
    return not accepted.destinations or _in(flow.destination, accepted.destinations)
