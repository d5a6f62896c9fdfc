"""Check: names and namespaces that the program left to the provider."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pulumi.runtime.proto import provider_pb2

from loopback_iac.engine.values import UNKNOWN
from loopback_iac.lab.kubernetes.cluster import ClusterError, NoMatchError, get_in
from loopback_iac.lab.kubernetes.objects import (
    AUTONAMED,
    annotation,
    is_definition,
    is_kind,
    is_patch,
    name_of,
    namespace_of,
    normalize,
    set_metadata,
)

if TYPE_CHECKING:
    from loopback_iac.lab.kubernetes.cluster import Cluster, Object

_NAMING = provider_pb2.CheckRequest.AutonamingOptions
# built-in kinds that are in no namespace, for when no API server says so
# pulumi-kubernetes provider/pkg/kinds/kinds.go
_GLOBAL = {
    "APIService", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding", "CSIDriver",
    "CSINode", "CustomResourceDefinition", "FlowSchema", "IngressClass",
    "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PriorityClass",
    "PriorityLevelConfiguration", "RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration", "VolumeAttachment",
}  # fmt: skip


class RefusedInputsError(Exception):
    """The provider does not take these inputs; the text is its own."""


class Scopes:
    """Which kinds live in a namespace: asked of the cluster, of definitions in the program."""

    def __init__(self, cluster: Cluster | None) -> None:
        self._cluster = cluster
        self._defined: dict[tuple[str, str], bool] = {}

    def add(self, thing: Object) -> None:
        """Note what a CustomResourceDefinition defines, before the API server knows it."""
        if is_definition(thing):
            spec = thing.get("spec") or {}
            key = (str(spec.get("group")), str(get_in(spec, ("names", "kind"))))
            self._defined[key] = spec.get("scope") != "Cluster"

    def is_namespaced(self, api_version: str, kind: str) -> bool | None:
        """Out: None when nobody can tell yet."""
        group = api_version.rpartition("/")[0]
        if kind in _GLOBAL and (not group or group.endswith("k8s.io")):
            return False
        if (group, kind) in self._defined:
            return self._defined[group, kind]
        if self._cluster is None:
            return None
        try:
            return self._cluster.find(api_version, kind).namespaced
        except ClusterError:
            return None


def check_object(
    request: provider_pb2.CheckRequest, given: Object, olds: Object, namespace: str, scopes: Scopes
) -> Object:
    """
    Inputs with a name and a namespace.

    In: namespace, of what has none; empty without a cluster.
    Raises: RefusedInputsError.
    Sources: pulumi-kubernetes provider/pkg/provider/provider.go Check, provider/pkg/metadata/
    naming.go: a generated name is the resource's and eight hex digits, and is kept.
    """
    kind = request.type.rpartition(":")[2]
    if kind.endswith("List") and isinstance(given.get("items"), list):
        raise RefusedInputsError(
            "list resources exist for compatibility with YAML manifests and Helm charts, and cannot"
            " be created directly. Use the underlying resource type instead"
        )
    if is_kind(given, "v1", "ReplicationController"):
        raise RefusedInputsError("this stand-in does not have v1 ReplicationController")
    thing = normalize(given)
    if is_patch(request.type, thing) and not name_of(thing):
        raise RefusedInputsError("patch resources require the `.metadata.name` field to be set")
    if not name_of(thing):
        if get_in(thing, ("metadata", "generateName")):
            raise RefusedInputsError(
                "the `.metadata.generateName` field is not supported in Server-Side Apply mode"
            )
        _name(thing, olds, request)
    scopes.add(thing)
    if namespace and not namespace_of(thing) and thing.get("apiVersion") != UNKNOWN:
        # what nobody knows is taken for namespaced, and put right when it is made
        version, named = str(thing.get("apiVersion")), str(thing.get("kind"))
        if scopes.is_namespaced(version, named) is not False:
            set_metadata(thing, "namespace", value=namespace)
    return thing


def _name(thing: Object, olds: Object, request: provider_pb2.CheckRequest) -> None:
    if olds:
        # what was named by the program and is named no more stays without: the API server says so
        if annotation(olds, AUTONAMED) != "true":
            return
        name = name_of(olds)
    elif request.autonaming.mode == _NAMING.DISABLE and request.HasField("autonaming"):
        raise RefusedInputsError(
            "autonaming is disabled, resource requires the .metadata.name field to be set"
        )
    else:
        name = request.autonaming.proposed_name or f"{request.name}-{os.urandom(4).hex()}"
    set_metadata(thing, "name", value=name)
    set_metadata(thing, "annotations", AUTONAMED, value="true")


def settle_namespace(thing: Object, cluster: Cluster) -> None:
    """
    Take the namespace from what turns out to be in none.

    Raises: ClusterError.
    """
    try:
        place = cluster.find(thing["apiVersion"], thing["kind"])
    except NoMatchError:
        return
    if not place.namespaced:
        (thing.get("metadata") or {}).pop("namespace", None)
