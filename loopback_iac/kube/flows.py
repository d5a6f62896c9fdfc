"""Flow records as Hubble exports them: JSON lines in, what an audit needs out; nothing is believed.

Files are read a line at a time, so their size does not matter; a line that is no record is counted
and told. Names of fields are those of Hubble's protobuf (api/v1/flow/flow.proto, Cilium 1.20.1).
"""

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, BinaryIO

from loopback_iac.model.fields import Address

LINE_MAX = 1 << 20
"""Octets of one line; a flow has about 1,500."""
PLACES = 5
"""Broken lines whose place is told, per file."""
OTHER_EVENTS = ("agent_event", "debug_event", "node_status")
OUTSIDE = ("world", "unknown")
"""Reserved identities of what is in no cluster, or of nobody knows whom."""
LEFT = "TO_NETWORK"
"""Where Cilium saw a packet go out of a device of the node, after translation."""
ASKED = "FROM_ENDPOINT"
"""Where it saw a packet come out of a pod, before any policy was asked."""
MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")
NO_RECORD = "no record of Hubble's"
Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Flow:
    """One record of one packet or verdict."""

    time: str
    verdict: str
    source: Address
    translated: Address | None
    """Source address after translation."""
    destination: Address
    protocol: str
    port: int
    labels: tuple[tuple[str, str], ...]
    """Of the source, without where they are from."""
    reserved: frozenset[str]
    namespace: str
    pod: str
    workload: str
    names: tuple[str, ...]
    """Names of the destination that the pod had asked for."""
    point: str
    reply: bool | None
    drop_reason: str
    inside: bool
    """Whether Cilium knows the destination as something in the cluster."""
    tunnelled: bool
    """Whether it was seen in a tunnel between nodes: there it goes by the name of a node."""
    node: str


@dataclass
class Reading:
    """What came of one file."""

    name: str
    lines: int = 0
    flows: int = 0
    other: int = 0
    """Records that are no flows."""
    lost: int = 0
    """Flows that Hubble itself says it lost."""
    malformed: int = 0
    unusable: Counter[str] = field(default_factory=Counter)
    """Flows without a field that is needed, by field: an export mask leaves them out."""
    told: list[str] = field(default_factory=list)

    def fault(self, why: str, *, line: bool = True) -> None:
        """A line, or an end, that is no record."""
        self.malformed += 1
        if len(self.told) < PLACES:
            place = f"{self.name}:{self.lines}" if line else self.name
            self.told.append(f"{place}: {why}")


def read_flows(stream: BinaryIO, reading: Reading) -> Iterator[Flow]:
    """Flows of one file, as they stand.

    In: stream: uncompressed; `reading` is filled as lines are read.
    """
    try:
        while line := stream.readline(LINE_MAX + 1):
            reading.lines += 1
            if len(line) > LINE_MAX:
                _skip_line(stream, line)
                reading.fault(f"longer than {LINE_MAX} octets")
                continue
            flow = _parsed(line, reading)
            if flow is not None:
                yield flow
    except (EOFError, OSError, ValueError, ArithmeticError, zlib.error) as cause:
        # a rotated file that is still being compressed, or a damaged one: gzip tells it so
        reading.fault(f"ends in the middle: {cause}", line=False)


def _skip_line(stream: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(LINE_MAX)


def _parsed(line: bytes, reading: Reading) -> Flow | None:
    if not line.strip():
        return None
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError):
        cut = not line.endswith(b"\n")
        reading.fault("cut off: the file was still being written" if cut else "no JSON")
        return None
    given = _flow_of(tree if isinstance(tree, dict) else {}, reading)
    if given is None:
        return None
    flow = parse_flow(given, _text(tree.get("time")))
    if isinstance(flow, str):
        reading.unusable[flow] += 1
        return None
    reading.flows += 1
    return flow


def _flow_of(tree: Tree, reading: Reading) -> Tree | None:
    """The flow in a record; `hubble observe -o json` writes it bare, the exporter wraps it."""
    given = tree.get("flow", tree if "verdict" in tree or "IP" in tree else None)
    if isinstance(given, dict):
        return given
    if "lost_events" in tree:
        reading.lost += _whole(_tree(tree["lost_events"]).get("num_events_lost"))
    elif any(kind in tree for kind in OTHER_EVENTS):
        reading.other += 1
    else:
        reading.fault(NO_RECORD)
    return None


def parse_flow(tree: Tree, time: str = "") -> Flow | str:
    """One flow, or the field without which it says nothing.

    In: `time` of the record around it.
    """
    ip = _tree(tree.get("IP"))
    source, destination = _address(ip.get("source")), _address(ip.get("destination"))
    if source is None or destination is None:
        return "IP"
    verdict = tree.get("verdict")
    if not isinstance(verdict, str):
        return "verdict"
    if not isinstance(tree.get("source"), dict):
        return "source"
    if "destination" not in tree:
        return "destination"
    who, where = _tree(tree["source"]), _tree(tree.get("destination"))
    labels, reserved = _labels(who)
    protocol, port = _transport(_tree(tree.get("l4")))
    return Flow(
        time=_moment(tree.get("time") or time),
        verdict=verdict,
        source=source,
        translated=_address(ip.get("source_xlated")),
        destination=destination,
        protocol=protocol,
        port=port,
        labels=labels,
        reserved=reserved,
        namespace=_text(who.get("namespace")),
        pod=_text(who.get("pod_name")),
        workload=_workload(who),
        names=tuple(sorted(_texts(tree.get("destination_names")))),
        point=_text(tree.get("trace_observation_point")),
        reply=tree.get("is_reply") if isinstance(tree.get("is_reply"), bool) else None,
        drop_reason=_text(tree.get("drop_reason_desc")),
        inside=_inside(where),
        tunnelled=bool(tree.get("tunnel")),
        node=_text(tree.get("node_name")),
    )


def _inside(where: Tree) -> bool:
    """The world is outside, and what nobody knows; pods, hosts and the API server are not."""
    _, reserved = _labels(where)
    if where.get("namespace") or where.get("pod_name") or "kube-apiserver" in reserved:
        return True
    return bool(reserved) and not any(name.startswith(OUTSIDE) for name in reserved)


def _labels(endpoint: Tree) -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    """Labels of Kubernetes, and the reserved ones, of an endpoint."""
    found, reserved = [], set()
    for text in _texts(endpoint.get("labels")):
        origin, _, rest = text.partition(":")
        key, _, value = rest.partition("=")
        if origin == "k8s":
            found.append((key, value))
        elif origin == "reserved":
            reserved.add(key)
    return tuple(sorted(found)), frozenset(reserved)


def _workload(endpoint: Tree) -> str:
    listed = endpoint.get("workloads")
    for each in listed if isinstance(listed, list) else ():
        tree = _tree(each)
        if tree.get("name"):
            return f"{_text(tree.get('kind')) or 'Workload'}/{_text(tree.get('name'))}"
    return ""


def _transport(l4: Tree) -> tuple[str, int]:
    for protocol in ("TCP", "UDP", "SCTP"):
        if isinstance(part := l4.get(protocol), dict):
            return protocol.lower(), _whole(part.get("destination_port"))
    for protocol in ("ICMPv4", "ICMPv6"):
        if protocol in l4:
            return protocol.lower(), 0
    return "", 0


def _tree(value: object) -> Tree:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _moment(value: object) -> str:
    """A time whose text sorts as times do: protobuf writes 0, 3, 6 or 9 digits of a second."""
    found = MOMENT.fullmatch(value) if isinstance(value, str) else None
    return f"{found[1]}.{found[2] or '':0<9}Z" if found else ""


def _whole(value: object) -> int:
    """Protobuf writes large numbers as text."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20:
        return int(value)
    return value if isinstance(value, int) and value >= 0 else 0


def _address(value: object) -> Address | None:
    try:
        return ip_address(value) if isinstance(value, str) else None
    except ValueError:
        return None
