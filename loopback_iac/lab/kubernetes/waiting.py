"""Waiting until an object is ready, or gone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.lab.kubernetes.cluster import ApiError, Cluster, ClusterError, Object, get_in
from loopback_iac.lab.kubernetes.conditions import parse_conditions
from loopback_iac.lab.kubernetes.objects import SKIP_AWAIT, annotation, is_kind, name_of
from loopback_iac.lab.kubernetes.pods import PodReadiness
from loopback_iac.lab.kubernetes.readiness import Verdict
from loopback_iac.lab.kubernetes.traffic import SETTLED_S, IngressReadiness, ServiceReadiness
from loopback_iac.lab.kubernetes.workloads import (
    DaemonSetReadiness,
    DeploymentReadiness,
    JobReadiness,
    StatefulSetReadiness,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loopback_iac.lab.kubernetes.readiness import Readiness

_TIMEOUT_S = 600.0  # provider/pkg/await/await.go, of every wait
_PAUSES_S = (0.1, 1.0)  # between looks: at first, at last
# provider/pkg/metadata/overrides.go allowsSkipAwaitWithDelete
_UNAWAITED = {
    ("v1", "Namespace"), ("v1", "Pod"), ("v1", "ReplicationController"), ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job"),
}  # fmt: skip


class UnreadyError(Exception):
    """The object is there and not in order; `live`, as it was seen last."""

    def __init__(self, text: str, live: Object, reasons: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.live, self.reasons = live, list(reasons)


@dataclass(frozen=True)
class Patience:
    """Units: timeout_s, 0 for the default. `ended`: nobody waits any more; `pause` ends with it."""

    timeout_s: float
    ended: Callable[[], bool]
    pause: Callable[[float], object]
    say: Callable[[str], None]
    warn: Callable[[str], None]


_FILLED = {"Secret", "PersistentVolumeClaim", "PersistentVolume", "ResourceQuota"}
_FILLED_S = {"Secret": 5.0, "ResourceQuota": 60.0}  # others as long as any
_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105  # a type's name


class _FilledReadiness:
    """
    A token that a controller writes, a claim that a volume answers, and the like.

    Sources: pulumi-kubernetes provider/pkg/await/awaiters.go.
    """

    plain = True

    def look(self, live: Object) -> Verdict:
        """See the protocol."""
        phase = get_in(live, ("status", "phase"), "")
        if live["kind"] == "Secret":
            return Verdict(bool(live.get("data")))
        if live["kind"] == "ResourceQuota":
            wanted = get_in(live, ("spec", "hard"), {})
            return Verdict(wanted == get_in(live, ("status", "hard"), {}))
        return Verdict(phase in {"Available", "Bound"}, f"{live['kind']} is {phase or 'new'}")


def choose_readiness(
    cluster: Cluster, inputs: Object, live: Object, settled_s: float = SETTLED_S
) -> Readiness | None:
    """
    How to tell that an object is ready; None when it is as soon as it exists.

    Units: settled_s, 0 for a single look.
    Raises: ExpressionError.
    Sources: pulumi-kubernetes provider/pkg/await/awaiters.go, provider/pkg/metadata/overrides.go.
    """
    if annotation(inputs, SKIP_AWAIT) == "true":
        return None
    said = annotation(live, "pulumi.com/waitFor")
    if said:
        return parse_conditions(said)
    kind = (live["apiVersion"], live["kind"])
    workloads: dict[tuple[str, str], Callable[[], Readiness]] = {
        ("apps/v1", "Deployment"): lambda: DeploymentReadiness(cluster),
        ("apps/v1", "StatefulSet"): lambda: StatefulSetReadiness(cluster),
        ("apps/v1", "DaemonSet"): DaemonSetReadiness,
        ("batch/v1", "Job"): lambda: JobReadiness(cluster),
        ("v1", "Pod"): PodReadiness,
        ("v1", "Service"): lambda: ServiceReadiness(cluster, settled_s),
        ("networking.k8s.io/v1", "Ingress"): lambda: IngressReadiness(cluster, settled_s),
    }
    if kind in workloads:
        return workloads[kind]()
    if is_kind(live, "v1", "Secret") and live.get("type") != _TOKEN:
        return None
    if is_kind(live, "v1", "PersistentVolumeClaim") and _waits_for_pod(cluster, live):
        return None
    core = live["apiVersion"] == "v1" and live["kind"] in _FILLED
    return _FilledReadiness() if core else None


def _waits_for_pod(cluster: Cluster, claim: Object) -> bool:
    """A class that binds with the first pod that mounts the claim."""
    name = get_in(claim, ("spec", "storageClassName"))
    wanted = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
    }
    try:
        return bool(name) and cluster.get(wanted).get("volumeBindingMode") == "WaitForFirstConsumer"
    except ClusterError:
        return False


def await_ready(cluster: Cluster, live: Object, readiness: Readiness, patience: Patience) -> Object:
    """
    Look until the object is ready; an API server that is away for a while is waited for as well.

    Raises: UnreadyError in the provider's words.
    Sources: pulumi-kubernetes provider/pkg/await/error.go, provider/pkg/await/internal/awaiter.go.
    """
    limit_s = _FILLED_S.get(live["kind"], _TIMEOUT_S) if readiness.plain else _TIMEOUT_S
    until = time.monotonic() + (patience.timeout_s or limit_s)
    pause_s, last = _PAUSES_S
    said, verdict, name = "", Verdict(ready=False), name_of(live)
    while True:
        try:
            verdict = readiness.look(live)
        except ClusterError as error:
            verdict = Verdict(ready=False, status=str(error), reasons=verdict.reasons)
        if verdict.ready:
            patience.say(verdict.status)
            return live
        if verdict.failed:
            text = f"Resource '{name}' was created but failed to initialize"
            raise UnreadyError(text, live, verdict.reasons)
        if verdict.status != said:
            said = verdict.status
            patience.say(said)
        if patience.ended():
            text = f'Resource operation was cancelled for "{name}"'
            raise UnreadyError(
                "context canceled" if readiness.plain else text, live, verdict.reasons
            )
        if time.monotonic() > until:
            text = f"'{name}' timed out waiting to be Ready"
            waited = "timed out waiting for the condition"
            raise UnreadyError(waited if readiness.plain else text, live, verdict.reasons)
        patience.pause(pause_s)
        pause_s = min(pause_s * 1.5, last)
        live = _look_again(cluster, live)


def _look_again(cluster: Cluster, live: Object) -> Object:
    try:
        return cluster.get(live)
    except ClusterError:
        return live


def read_timeout_s(asked_s: float, thing: Object) -> float:
    """
    How long to wait: the resource option, else the annotation, else 0 for the default.

    Sources: pulumi-kubernetes provider/pkg/metadata/overrides.go TimeoutDuration.
    """
    said = annotation(thing, "pulumi.com/timeoutSeconds")
    return asked_s or (float(said) if said.isdecimal() else 0.0)


def delete_object(cluster: Cluster, inputs: Object, live: Object, patience: Patience) -> None:
    """
    Delete an object and wait until it is gone; what is gone already is well.

    Raises: ClusterError, UnreadyError when something keeps it.
    Sources: pulumi-kubernetes provider/pkg/await/await.go Deletion, provider/pkg/metadata/
    overrides.go, provider/pkg/await/condition/deleted.go.
    """
    policy = annotation(inputs, "pulumi.com/deletionPropagationPolicy").lower()
    how = {"orphan": "Orphan", "background": "Background"}.get(policy, "Foreground")
    try:
        path = cluster.path_of(live)
        cluster.request("DELETE", path, {"propagationPolicy": how})
    except ApiError as error:
        if error.code == 404:
            return
        raise
    kind = (str(inputs.get("apiVersion")), str(inputs.get("kind")))
    if annotation(inputs, SKIP_AWAIT) == "true" and kind in _UNAWAITED:
        return
    until = time.monotonic() + (patience.timeout_s or _TIMEOUT_S)
    pause_s, last = _PAUSES_S
    while True:
        try:
            live = cluster.request("GET", path)
        except ApiError as error:
            if error.code == 404:
                return
        except ClusterError as error:
            patience.say(f"unexpected error while checking cluster state: {error}")
        if patience.ended() or time.monotonic() > until:
            held = ", ".join(get_in(live, ("metadata", "finalizers"), []))
            patience.warn(f"finalizers might be preventing deletion ({held})")
            text = "context canceled" if patience.ended() else "timed out waiting for the condition"
            raise UnreadyError(text, live)
        patience.pause(pause_s)
        pause_s = min(pause_s * 1.5, last)
