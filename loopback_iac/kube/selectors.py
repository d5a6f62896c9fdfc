"""Who is meant: requirements on labels, as Kubernetes and Cilium read them.

Namespaces are labels here too, under the names that Cilium gives them in a pod's identity, so that
a declared policy, a manifest somebody wrote by hand and a flow record are held to the same thing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

NAMESPACE = "io.kubernetes.pod.namespace"
NAMESPACE_LABELS = "io.cilium.k8s.namespace.labels."
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
VALUE_MAX, NAME_MAX, PREFIX_MAX = 63, 63, 253

# Sources: Kubernetes, Labels and Selectors, "Syntax and character set"
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

# Sources: cilium 1.20.1 pkg/labelsfilter/filter.go, the default: the first pattern that matches at
# the start of a key decides.
_IDENTITY_KEEPS = re.compile(
    r"io\.kubernetes\.pod\.namespace|io\.cilium\.k8s\.namespace\.labels|app\.kubernetes\.io"
    r"|io\.cilium\.k8s\.policy\.(cluster|serviceaccount)"
)
_IDENTITY_LEAVES_OUT = re.compile(
    r"io\.kubernetes|kubernetes\.io|statefulset\.kubernetes\.io/pod-name"
    r"|apps\.kubernetes\.io/pod-index|batch\.kubernetes\.io/(job-completion-index|controller-uid)"
    r"|.*beta\.kubernetes\.io|k8s\.io|pod-template-generation|pod-template-hash"
    r"|controller-revision-hash|controller-uid|annotation.*|etcd_node|topology\.kubernetes\.io"
)


@dataclass(frozen=True, order=True)
class Requirement:
    """One demand on one label."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def met_by(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it; NotIn is met by a label that is not there."""
        held = labels.get(self.key)
        match self.operator:
            case "In":
                return held in self.values
            case "NotIn":
                return held not in self.values
            case "Exists":
                return held is not None
            case _:
                return held is None


Audience = tuple[Requirement, ...]
"""Everything that has to hold of a pod; without any, every pod is meant."""


def equals(labels: Mapping[str, str], prefix: str = "") -> Iterator[Requirement]:
    """Requirements of a map of labels."""
    for key, value in sorted(labels.items()):
        yield Requirement(f"{prefix}{key}", "In", (value,))


def matches(audience: Audience, labels: Mapping[str, str]) -> bool:
    """Whether a pod with these labels is meant."""
    return all(each.met_by(labels) for each in audience)


def may_meet(one: Audience, other: Audience) -> bool:
    """Whether some pod could be meant by both."""
    by_key: dict[str, list[Requirement]] = {}
    for each in (*one, *other):
        by_key.setdefault(each.key, []).append(each)
    return all(_possible(demands) for demands in by_key.values())


def _possible(demands: list[Requirement]) -> bool:
    """Whether one value, or none, meets all demands on one label."""
    listed: list[set[str | None]] = [set(d.values) for d in demands if d.operator == "In"]
    candidates = set.intersection(*listed) if listed else {None, _fresh(demands)}
    return any(
        all(each.met_by({} if value is None else {each.key: value}) for each in demands)
        for value in candidates
    )


def _fresh(demands: Iterable[Requirement]) -> str:
    """A value that no demand names."""
    named = {value for each in demands for value in each.values}
    return max(named, default="") + "x"


def key_fault(key: str) -> str:
    """What is wrong with a label's key; empty for a good one."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > PREFIX_MAX or not _PREFIX.fullmatch(prefix)):
        return f"{prefix!r} is no DNS name in lower case"
    if len(name) > NAME_MAX or not _NAME.fullmatch(name):
        return f"{name!r} is no name of a label"
    return ""


def value_fault(value: str) -> str:
    """What is wrong with a label's value; empty for a good one."""
    if len(value) > VALUE_MAX:
        return f"{value!r} has {len(value)} characters"
    return "" if _VALUE.fullmatch(value) else f"{value!r} is no value of a label"


def in_identity(key: str) -> bool:
    """Whether Cilium, as it is installed, keeps a label in a pod's identity.

    A selector on one that it leaves out matches no pod, without a word.
    Sources: cilium 1.20.1 pkg/labelsfilter/filter.go.
    """
    return bool(_IDENTITY_KEEPS.match(key)) or not _IDENTITY_LEAVES_OUT.match(key)
