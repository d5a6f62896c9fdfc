"""Diff: what differs from the live object, and which differences no update can make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubernetes.utils.quantity import parse_quantity

from loopback_iac.engine.diffs import Part, compare
from loopback_iac.engine.paths import is_within, parse_path
from loopback_iac.lab.kubernetes.cluster import Object, get_in
from loopback_iac.lab.kubernetes.objects import (
    AUTONAMED,
    annotation,
    name_of,
    namespace_of,
    normalize,
    prune,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopback_iac.lab.kubernetes.settings import Settings

# pulumi-kubernetes provider/pkg/provider/diff.go forceNew
_SELECTOR = ("spec.selector",)
_STATEFUL = (
    "spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName",
    "spec.volumeClaimTemplates",
)  # fmt: skip
_POD = tuple(
    f"spec.{name}"
    for name in (
        "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks",
        "hostAliases", "hostIPC", "hostNetwork", "hostPID", "hostname", "imagePullSecrets",
        "nodeName", "nodeSelector", "overhead", "preemptionPolicy", "priority",
        "priorityClassName", "readinessGates", "restartPolicy", "runtimeClassName",
        "schedulerName", "securityContext", "serviceAccount", "serviceAccountName",
        "shareProcessNamespace", "subdomain", "terminationGracePeriodSeconds", "volumes",
    )
) + tuple(
    f"spec.{place}.{name}"
    for place in ("containers", "initContainers")
    for name in (
        "args", "command", "env", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "ports",
        "readinessProbe", "resources", "securityContext", "stdin", "stdinOnce",
        "terminationMessagePath", "terminationMessagePolicy", "tty", "volumeDevices",
        "volumeMounts", "workingDir",
    )
)  # fmt: skip
_VOLUME = tuple(
    f"spec.{name}"
    for name in (
        "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc",
        "flexVolume", "flocker", "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local",
        "nfs", "photonPersistentDisk", "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos",
        "vsphereVolume",
    )
)  # fmt: skip
_REPLACING: dict[tuple[str, str], tuple[str, ...]] = {
    ("apps/v1", "DaemonSet"): _SELECTOR,
    ("apps/v1", "Deployment"): _SELECTOR,
    ("apps/v1", "StatefulSet"): _STATEFUL,
    ("batch/v1", "Job"): (
        "spec.completions", "spec.parallelism", "spec.selector", "spec.template",
    ),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io/v1", "StorageClass"): ("parameters", "provisioner"),
    ("v1", "PersistentVolume"): _VOLUME,
    ("v1", "PersistentVolumeClaim"): (
        "spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName",
    ),
    ("v1", "Pod"): _POD,
    ("v1", "ResourceQuota"): ("spec.scopes",),
    ("v1", "Secret"): ("type",),
    ("v1", "Service"): ("spec.clusterIP",),
}  # fmt: skip
_AMOUNTS = {"limits", "requests", "hard", "capacity"}
_IDENTITY = ("metadata.name", "metadata.namespace")


@dataclass(frozen=True)
class Difference:
    """What a provider answers to Diff; replacing, those parts that no update can make."""

    parts: list[Part]
    replacing: list[Part]
    delete_first: bool


def diff_objects(
    inputs: Object, live: Object, news: Object, ignored: Iterable[str], fixed: Iterable[str]
) -> Difference:
    """
    Compare the live object, as far as it was asked for, with what is asked now.

    In: inputs until now; live, the object after the last operation; fixed, places that replace.
    Sources: pulumi-kubernetes provider/pkg/provider/provider.go Diff, convertPatchToDiff.
    """
    inputs, news = normalize(inputs), normalize(news)
    old: Object = prune(live, inputs)
    for thing in (old, news):
        metadata = thing.setdefault("metadata", {})
        metadata["namespace"] = metadata.get("namespace") or "default"
    if name_of(news):
        old["metadata"]["name"] = name_of(live)
    passed = [parse_path(text) for text in ignored]
    parts = [
        part
        for part in compare(old, news)
        if not _is_same(part) and not any(is_within(part.path, path) for path in passed)
    ]
    replacing = [part for part in parts if any(_touches(part, place) for place in fixed)]
    same = (
        name_of(news) == name_of(live)
        and namespace_of(news) == (namespace_of(live) or "default")
        and annotation(news, AUTONAMED) != "true"
    )
    named = bool(name_of(news))
    return Difference(parts, replacing, bool(replacing) and named and same)


def list_fixed(thing: Object, settings: Settings, *, patch: bool) -> tuple[str, ...]:
    """
    The places of an object that only another object has otherwise.

    Sources: pulumi-kubernetes provider/pkg/provider/diff.go forceNewProperties.
    """
    if patch:
        return _IDENTITY
    kind = (str(thing.get("apiVersion")), str(thing.get("kind")))
    places = _REPLACING.get(kind, ())
    locked = thing.get("immutable") is True
    if kind == ("v1", "Secret") and (locked or not settings.secret_mutable):
        places = ("type", "stringData", "data")
    if kind == ("v1", "ConfigMap") and (locked or not settings.configmap_mutable):
        places = ("binaryData", "data")
    return (*_IDENTITY, *places)


def _touches(part: Part, place: str) -> bool:
    keys = [key for key in part.path if isinstance(key, str)]
    wanted = place.split(".")
    if len(keys) >= len(wanted):
        return keys[: len(wanted)] == wanted
    # what comes or changes as a whole, and has the place in it
    inside = [part.new] if not isinstance(part.new, list) else part.new
    rest = wanted[len(keys) :]
    return keys == wanted[: len(keys)] and any(get_in(item, rest) is not None for item in inside)


def _is_same(part: Part) -> bool:
    """Two ways to write one value: the API server keeps the shorter."""
    if part.kind == "update" and len(part.path) > 1 and part.path[-2] in _AMOUNTS:
        try:  # `1000m` and `1` are one quantity
            return bool(parse_quantity(part.old) == parse_quantity(part.new))
        except ValueError:
            return False
    return part.kind == "delete" and part.old is None
