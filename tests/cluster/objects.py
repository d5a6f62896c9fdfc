"""A stack of Kubernetes objects in a namespace of its own, and the API server's view of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pulumi.runtime.proto import provider_pb2

from loopback_iac.engine import up
from loopback_iac.engine.processes import Command
from loopback_iac.engine.provider import Provider
from loopback_iac.engine.values import parse_struct, render_struct, strip_secrets
from loopback_iac.lab.kubernetes.cluster import APPLY, JSON_PATCH, Cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.engine import Options, Result
    from tests.engine.conftest import Stack

HERE = Path(__file__).parent
PLUGIN = HERE.parents[1] / "loopback_iac" / "lab" / "plugins" / "kubernetes"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass
class Objects:
    """In: kubeconfig, its text; `namespace` is that of all objects which name none."""

    stack: Stack
    cluster: Cluster
    kubeconfig: str
    namespace: str
    word: str = "a-word-that-is-secret"
    token: str = "no-token"
    wrote: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stack.write_project(
            main=str(HERE / "programs" / "objects"),
            plugins={"providers": [{"name": "kubernetes", "path": str(PLUGIN)}]},
        )
        self.make("", {"metadata": {"name": self.namespace}}, place="/api/v1/namespaces")

    def write(self, *rows: dict[str, Any], at: str = "", **settings: Any) -> None:
        """In: at, another server than the one there is."""
        config = yaml.safe_load(self.kubeconfig)
        if at:
            config["clusters"][0]["cluster"]["server"] = at
            settings["clusterIdentifier"] = "the-same"
        settings = {"namespace": self.namespace, **settings}
        self.stack.write(
            [],
            secrets={"kubeconfig": yaml.safe_dump(config), "word": self.word},
            objects=list(rows),
            settings=settings,
        )

    def fail(self, verb: Callable[[Options], Result] = up) -> str:
        """Run a verb that has to fail; out: what it said."""
        result = self.stack.run(verb)
        assert not result.ok
        return "\n".join(item.message for item in result.diagnostics)

    def path(self, plural: str, name: str = "", place: str = "") -> str:
        where = place or f"/api/v1/namespaces/{self.namespace}/{plural}"
        if plural.startswith("/apis"):
            where = f"{plural}/namespaces/{self.namespace}"
        return f"{where}/{name}" if name else where

    def names(self, plural: str) -> list[str]:
        found = self.cluster.request("GET", self.path(plural))["items"]
        # every namespace is given one
        return sorted(
            row["metadata"]["name"]
            for row in found
            if row["metadata"]["name"] != "kube-root-ca.crt"
        )

    def get(self, plural: str, name: str) -> dict[str, Any]:
        return self.cluster.request("GET", self.path(plural, name))

    def make(self, plural: str, thing: dict[str, Any], place: str = "") -> None:
        self.cluster.request("POST", self.path(plural, place=place), thing, fieldManager="theirs")

    def apply(
        self, plural: str, name: str, thing: dict[str, Any], manager: str, *, force: bool = True
    ) -> None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", **thing}
        body["metadata"] = {"name": name, **thing["metadata"]}
        self.cluster.request(
            "PATCH", self.path(plural, name), body, APPLY, fieldManager=manager,
            force="true" if force else "false",
        )  # fmt: skip

    def patch(self, plural: str, name: str, changes: list[dict[str, Any]]) -> None:
        self.cluster.request("PATCH", self.path(plural, name), changes, JSON_PATCH)

    def delete(self, plural: str, name: str) -> None:
        self.cluster.request("DELETE", self.path(plural, name))

    def define(self, group: str, kind: str) -> None:
        plural = f"{kind.lower()}s"
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1", "served": True, "storage": True}
        version["schema"] = {"openAPIV3Schema": anything}
        spec = {"group": group, "scope": "Namespaced", "versions": [version]}
        spec["names"] = {"kind": kind, "plural": plural, "singular": kind.lower()}
        thing = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": spec,
        }
        self.make("", thing, place=_DEFINITIONS)

    def undefine(self, group: str) -> None:
        self.cluster.request("DELETE", f"{_DEFINITIONS}/things.{group}")

    def read(self, name: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """What a refresh of the Pulumi CLI asks; out: id, state, inputs without marks."""
        row = self.stack.rows()[name]
        request = provider_pb2.ReadRequest(
            id=row["id"], urn=row["urn"], name=name, type=row["type"],
            properties=render_struct(row["outputs"], secrets=False),
            inputs=render_struct(row["inputs"], secrets=False),
        )  # fmt: skip
        answer = self._call("Read", request)
        state, inputs = (parse_struct(part) for part in (answer.properties, answer.inputs))
        return answer.id, strip_secrets(state), strip_secrets(inputs)

    def diff(self, name: str, state: dict[str, Any]) -> dict[str, str]:
        """What differs from the program when the state is this one."""
        row = self.stack.rows()[name]
        inputs = render_struct(row["inputs"], secrets=False)
        request = provider_pb2.DiffRequest(
            id=row["id"], urn=row["urn"], name=name, type=row["type"],
            olds=render_struct(state, secrets=False), old_inputs=inputs, news=inputs,
        )  # fmt: skip
        kinds = provider_pb2.PropertyDiff.Kind
        parts = self._call("Diff", request).detailedDiff
        return {path: kinds.Name(part.kind) for path, part in parts.items()}

    def _call(self, method: str, request: Any) -> Any:
        python = Path(sys.executable)
        plugin = Provider("kubernetes", Command(python, "path", str(PLUGIN)), self.stack.folder, "")
        plugin.start()
        try:
            settings = {"kubeconfig": self.kubeconfig, "namespace": self.namespace}
            plugin.configure("kubernetes", settings)
            return plugin._call(method, request)
        finally:
            plugin.close()
