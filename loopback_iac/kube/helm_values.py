"""Values of Cilium's chart that egress needs: ours over the chart's defaults, yours beside them.

A value of yours that contradicts is refused with the reason; nothing of yours is overwritten. The
chart's own schema knows types and no contradictions; it is not carried here.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from loopback_iac.kube.policy import Egress
from loopback_iac.model.fields import described
from loopback_iac.model.problem import Problem

RULE = "helm-value"
DOCUMENT = "Cilium 1.20 documentation, Egress Gateway"
AGENT = "Cilium 1.20.1, pkg/egressgateway/manager.go"
AUDITED = (
    "time",
    "verdict",
    "IP",
    "l4",
    "source",
    "destination",
    "is_reply",
    "trace_observation_point",
)
"""Fields of a flow without which an audit cannot say who left by which address."""


class Demand(NamedTuple):
    """One value that may be nothing else."""

    path: str
    value: object
    because: str
    source: str


DEMANDS = (
    Demand(
        "kubeProxyReplacement",
        value=True,
        because="the gateway works on its sockets",
        source=DOCUMENT,
    ),
    Demand("bpf.masquerade", value=True, because="addresses are translated in BPF", source=AGENT),
    Demand("egressGateway.enabled", value=True, because="it is what is asked for", source=DOCUMENT),
    Demand("identityAllocationMode", "crd", "the agent does not start with another", AGENT),
    Demand(
        "ciliumEndpointSlice.enabled",
        value=False,
        because="gateways do not see slices",
        source=DOCUMENT,
    ),
    Demand(
        "hubble.enabled",
        value=True,
        because="without it there is no record of who left",
        source=DOCUMENT,
    ),
)
REFUSED = (
    Demand(
        "enableIPv4Masquerade",
        value=False,
        because="the agent does not start without",
        source=AGENT,
    ),
    Demand(
        "clustermesh.useAPIServer",
        value=True,
        because="a gateway is of its pods' own cluster",
        source=DOCUMENT,
    ),
    Demand(
        "clustermesh.config.enabled",
        value=True,
        because="a gateway is of its pods' own cluster",
        source=DOCUMENT,
    ),
    Demand(
        "hubble.tls.auto.method",
        "helm",
        "it makes new certificates whenever the chart is rendered",
        "Cilium 1.20.1, chart",
    ),
)
ENFORCED = (
    Demand("policyEnforcementMode", "never", "nothing would be denied", "Cilium 1.20.1, chart"),
    Demand(
        "policyAuditMode",
        value=True,
        because="nothing would be denied",
        source="Cilium 1.20.1, chart",
    ),
)
DUAL = (
    Demand("ipv6.enabled", value=True, because="there are IPv6 destinations", source=DOCUMENT),
    Demand("enableIPv6Masquerade", value=True, because="there are IPv6 destinations", source=AGENT),
)
DEFAULTS: Mapping[str, object] = {
    # after one change of nodes or policies the agents wait this long, 1 s by the chart, before they
    # look at the next: a gateway that moves is two changes
    "egressGateway.reconciliationTriggerInterval": "100ms",
    "k8sServicePort": 6443,
    "prometheus.enabled": True,
    "hubble.tls.auto.method": "cronJob",
    "hubble.relay.enabled": True,
    "hubble.metrics.enabled": ["dns", "drop", "tcp", "flow"],
    "hubble.redact.enabled": True,
    "hubble.redact.http.urlQuery": True,
    "hubble.networkPolicyCorrelation.enabled": True,
    "hubble.export.static.enabled": True,
    "hubble.export.static.filePath": "/var/run/cilium/hubble/events.log",
    "hubble.export.static.fileMaxSizeMb": 100,
    "hubble.export.static.fileMaxBackups": 10,
    "hubble.export.static.fileCompress": True,
}
ABSENT = object()


def check_values(egress: Egress) -> Iterator[Problem]:
    """Contradictions in the values that were given; only where Cilium is the backend."""
    if egress.cilium is None or egress.backend != "cilium":
        return
    given = egress.cilium.values
    for demand in demands_of(egress):
        held = _at(given, demand.path)
        if held is not ABSENT and not _same(held, demand.value):
            yield _contradiction(demand, held, f"write {_text(demand.value)}, or leave it out")
    for refused in _refused_of(egress):
        held = _at(given, refused.path)
        if held is not ABSENT and _same(held, refused.value):
            yield _contradiction(refused, held, "leave it out")
    yield from _check_host(given)
    yield from _check_export(given)
    yield from _check_spelling(given)


def demands_of(egress: Egress) -> tuple[Demand, ...]:
    """What the declared policies demand of the values."""
    return (*DEMANDS, *DUAL) if 6 in egress.families else DEMANDS


def _refused_of(egress: Egress) -> tuple[Demand, ...]:
    denies = any(policy.default_deny != "none" for policy in egress.policies.values())
    return (*REFUSED, *ENFORCED) if denies else REFUSED


def _contradiction(demand: Demand, held: object, fix: str) -> Problem:
    got = f"{_text(held)}: {demand.because}"
    same = _same(held, demand.value)
    need = "" if same else _text(demand.value)
    path = f"cilium.values.{demand.path}"
    return Problem(path, got, need, f"{fix} (source: {demand.source})", RULE)


def _check_host(given: Mapping[str, Any]) -> Iterator[Problem]:
    if not _at(given, "k8sServiceHost") or _at(given, "k8sServiceHost") is ABSENT:
        got = "is missing: without kube-proxy the agent does not find the API server"
        fix = "write the host that nodes reach the API server by"
        path = "cilium.values.k8sServiceHost"
        yield Problem(path, got, "a host", fix, RULE)


def _check_export(given: Mapping[str, Any]) -> Iterator[Problem]:
    base = "hubble.export.static"
    path = f"cilium.values.{base}"
    if _at(given, f"{base}.enabled") is False:
        got, fix = "false: there would be nothing to audit", "leave it out"
        yield Problem(f"{path}.enabled", got, "true", fix, RULE)
    for field in ("allowList", "denyList", "fieldAggregate"):
        if _at(given, f"{base}.{field}") not in (ABSENT, None, []):
            got = "given: what is left out or folded here is in no audit"
            fix = "leave it empty, and filter where the records are shipped to"
            yield Problem(f"{path}.{field}", got, "nothing", fix, RULE)
    mask = _at(given, f"{base}.fieldMask")
    if isinstance(mask, list) and mask:
        missing = [f for f in AUDITED if not any(str(m).split(".")[0] == f for m in mask)]
        if missing:
            got, need = f"without {', '.join(missing)}", ", ".join(AUDITED)
            fix = "add them, or leave the mask empty"
            yield Problem(f"{path}.fieldMask", got, need, fix, RULE)


def _check_spelling(given: Mapping[str, Any]) -> Iterator[Problem]:
    """A key that is nearly one of ours does nothing, and Helm takes it without a word."""
    paths = [d.path for d in (*DEMANDS, *REFUSED, *ENFORCED, *DUAL)] + list(DEFAULTS)
    known: dict[str, set[str]] = {}
    for path in (*paths, "k8sServiceHost", "ipv4.enabled"):
        steps = path.split(".")
        for at in range(len(steps)):
            known.setdefault(".".join(steps[:at]), set()).add(steps[at])
    for level, names in known.items():
        held = _at(given, level) if level else given
        for key in held if isinstance(held, Mapping) else ():
            lower = {name.lower(): name for name in names}
            close = difflib.get_close_matches(str(key).lower(), lower, n=1, cutoff=0.9)
            if key not in names and close and f"{level}.{key}" not in CHARTS_OWN:
                where = ".".join(filter(None, ("cilium.values", level, str(key))))
                fix = f"did you mean {lower[close[0]]!r}?"
                yield Problem(where, "no value of the chart's", "", fix, "helm-value-spelling")


CHARTS_OWN = frozenset({".ipv4", ".ipv6", ".enableIPv4Masquerade", ".enableIPv6Masquerade"})
"""Keys of the chart that look like another of ours."""


def render_values(egress: Egress) -> dict[str, Any]:
    """Values for the chart: yours, what is demanded, and defaults where you say nothing."""
    assert egress.cilium is not None  # noqa: S101  # checked before: backend cilium has the section
    found: dict[str, Any] = json.loads(json.dumps(dict(egress.cilium.values)))
    for demand in demands_of(egress):
        _put(found, demand.path, demand.value)
    for path, value in DEFAULTS.items():
        if _at(found, path) is ABSENT:
            _put(found, path, value)
    return found


def _at(tree: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - whatever was given
    here: Any = tree
    for step in path.split("."):
        if not isinstance(here, Mapping) or step not in here:
            return ABSENT
        here = here[step]
    return here


def _put(tree: dict[str, Any], path: str, value: object) -> None:
    *steps, last = path.split(".")
    for step in steps:
        below = tree.get(step)
        tree[step] = below if isinstance(below, dict) else {}
        tree = tree[step]
    tree[last] = value


def _same(held: object, wanted: object) -> bool:
    """The chart takes "true" for true in some places."""
    if isinstance(wanted, bool) and isinstance(held, str):
        return held == str(wanted).lower()
    return held == wanted and isinstance(held, bool) == isinstance(wanted, bool)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) and value else described(value)
