"""The API server as anybody else sees it, in one namespace."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.kubernetes.cluster import APPLY, JSON_PATCH, Cluster, ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_GROUPS = {"deployments": "/apis/apps/v1", "jobs": "/apis/batch/v1"}
_GROUPS |= {"replicasets": "/apis/apps/v1", "ingresses": "/apis/networking.k8s.io/v1"}


@dataclass
class Api:
    """`plural` with a slash is a path's beginning, for kinds of one's own."""

    cluster: Cluster
    namespace: str

    def path(self, plural: str, name: str = "") -> str:
        group = _GROUPS.get(plural, "/api/v1")
        if plural.startswith("/"):
            group, _, plural = plural.rpartition("/")
        return "/".join(filter(None, [f"{group}/namespaces/{self.namespace}/{plural}", name]))

    def names(self, plural: str) -> list[str]:
        found = self.cluster.request("GET", self.path(plural))["items"]
        names = {row["metadata"]["name"] for row in found}
        return sorted(names - {"kube-root-ca.crt"})  # every namespace is given that one

    def get(self, plural: str, name: str) -> dict[str, Any]:
        return self.cluster.request("GET", self.path(plural, name))

    def make(self, plural: str, thing: dict[str, Any]) -> dict[str, Any]:
        return self.cluster.request("POST", self.path(plural), thing, fieldManager="theirs")

    def apply(self, plural: str, name: str, thing: dict[str, Any], manager: str) -> None:
        """Somebody else takes fields."""
        body = {"apiVersion": "v1", "kind": "ConfigMap", **thing}
        body["metadata"] = {"name": name, **thing.get("metadata", {})}
        where = self.path(plural, name)
        self.cluster.request("PATCH", where, body, APPLY, fieldManager=manager, force="true")

    def set(self, plural: str, name: str, path: str, value: object) -> None:
        """Put a value at a path of an object; `name` may end in `/status`."""
        change = {"op": "add", "path": path, "value": value}
        self.cluster.request("PATCH", self.path(plural, name), [change], JSON_PATCH)

    @contextmanager
    def meanwhile(self, plural: str, name: str, path: str, value: object) -> Iterator[None]:
        """Set a value as soon as the object is there."""
        told: list[Exception] = []

        def wait() -> None:
            until = time.monotonic() + 60
            while True:
                time.sleep(0.2)
                try:
                    self.set(plural, name, path, value)
                except ClusterError as error:
                    if time.monotonic() > until:
                        told.append(error)
                        return
                else:
                    return

        thread = threading.Thread(target=wait)
        thread.start()
        yield
        thread.join()
        assert not told

    def delete(self, plural: str, name: str) -> None:
        self.cluster.request("DELETE", self.path(plural, name))

    def define(self, group: str, kind: str, scope: str = "Namespaced") -> None:
        """Make a CustomResourceDefinition."""
        self.cluster.request("POST", DEFINITIONS, definition(group, kind, scope))

    def undefine(self, group: str, kind: str) -> None:
        self.cluster.request("DELETE", f"{DEFINITIONS}/{kind.lower()}s.{group}")


def definition(group: str, kind: str, scope: str = "Namespaced") -> dict[str, Any]:
    names = {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower()}
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}}
    version["schema"] = {"openAPIV3Schema": anything}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.lower()}s.{group}"},
        "spec": {"group": group, "scope": scope, "versions": [version], "names": names},
    }
