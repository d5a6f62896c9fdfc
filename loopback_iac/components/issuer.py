"""CertificateIssuer: certificates that renew themselves, proved by the edge or by own zones."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import pulumi

from loopback_iac.components.artifact import read_artifact
from loopback_iac.components.boundary import Sealed, refuse_as_pulumi
from loopback_iac.components.issuer_args import CertificateIssuerArgs
from loopback_iac.components.manifests import child_name, declare_manifest
from loopback_iac.dns import parse_declared_zones
from loopback_iac.kube import (
    Artifact,
    Issuer,
    Update,
    check_http01_edge,
    load_yaml,
    parse_issuer,
    parse_update,
    records_of,
    render_issuer,
)
from loopback_iac.kube.chart_values import merge_values
from loopback_iac.kube.issuer import CHART_VALUES
from loopback_iac.kube.manifests import MADE_BY, Manifest
from loopback_iac.model import InputRejected, Problem

FIRST = ("Namespace", "CustomResourceDefinition")
WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
READY = {"pulumi.com/waitFor": "condition=Ready", "pulumi.com/timeoutSeconds": "180"}
"""An issuer is ready when the authority knows its account."""
TRUSTED = {"pulumi.com/waitFor": "jsonpath={.webhooks[0].clientConfig.caBundle}"}
"""Before cert-manager has written it, the API server refuses every issuer."""


class CertificateIssuer(pulumi.ComponentResource):
    """A ClusterIssuer of cert-manager."""

    name: pulumi.Output[str]
    """What an Ingress writes as cert-manager.io/cluster-issuer."""
    records: pulumi.Output[Sequence[str]]
    """Records that have to be in the zones of its names, as zone files have them."""

    def __init__(
        self, name: str, args: CertificateIssuerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Check what is written and the zones that are known; declare key and issuer."""
        zones = refuse_as_pulumi(lambda: parse_declared_zones(name, args.get("zones") or {}))
        issuer = refuse_as_pulumi(lambda: parse_issuer(name, args, zones))
        parts = _parts(name, issuer)
        facts = {"issuer": _facts(issuer)}
        super().__init__("loopback-iac:index:CertificateIssuer", name, facts, opts)
        installed = self._install(name, issuer, parts)
        self._declare(name, issuer, args, installed)
        self.name = pulumi.Output.from_input(issuer.name)
        self.records = pulumi.Output.from_input(records_of(issuer))
        self.register_outputs(facts | {"name": self.name, "records": self.records})

    def _install(
        self, name: str, issuer: Issuer, parts: Sequence[Manifest] | None
    ) -> list[pulumi.Resource]:
        """cert-manager itself, where a file of it is given."""
        artifact = issuer.cert_manager
        if artifact is None:
            return []
        if parts is None:
            return [self._chart(name, issuer, artifact)]
        first = [each for each in parts if each["kind"] in FIRST]
        before: list[pulumi.Resource] = [self._part(name, each, []) for each in first]
        rest = [each for each in parts if each["kind"] not in FIRST]
        return [*before, *(self._part(name, each, before) for each in rest)]

    def _part(
        self, name: str, manifest: Manifest, before: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        found = _noted(manifest, TRUSTED) if manifest["kind"] in WEBHOOKS else manifest
        return declare_manifest(child_name(name, manifest), found, self._after(before))

    def _chart(self, name: str, issuer: Issuer, artifact: Artifact) -> pulumi.Resource:
        from pulumi_kubernetes.helm.v4 import Chart  # noqa: PLC0415  # where a chart is used

        about = {"name": issuer.namespace, "labels": dict(MADE_BY)}
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": about}
        made = declare_manifest(child_name(name, space), space, self._after([]))
        chart: pulumi.Resource = Chart(
            f"{name}-chart",
            chart=artifact.path,
            name="cert-manager",
            namespace=issuer.namespace,
            values=merge_values(artifact.values, CHART_VALUES),
            opts=self._after([made]),
        )
        return chart

    def _declare(
        self,
        name: str,
        issuer: Issuer,
        args: CertificateIssuerArgs,
        before: Sequence[pulumi.Resource],
    ) -> None:
        """Key and issuer: names are known, the rest when edge and primary have said their part."""
        late = _late(name, issuer, args)
        for at, shape in enumerate(render_issuer(issuer, Update.of_nobody())):
            secret = shape["kind"] == "Secret"
            field = "stringData" if secret else "spec"
            value = late.apply(lambda made, at=at, field=field: made.value[at][field])  # type: ignore[misc]
            # an address and the key's name are no secrets; what is made of one is, unless said so
            told = pulumi.Output.secret(value) if secret else pulumi.Output.unsecret(value)
            found = {**(shape if secret else _noted(shape, READY)), field: told}
            hidden = pulumi.ResourceOptions(
                additional_secret_outputs=["data", "stringData"] if secret else None
            )
            opts = pulumi.ResourceOptions.merge(self._after(before), hidden)
            made = declare_manifest(child_name(name, shape), found, opts)
            before = [*before, made]

    def _after(self, before: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(before))


def _late(
    name: str, issuer: Issuer, args: CertificateIssuerArgs
) -> "pulumi.Output[Sealed[list[Manifest]]]":
    """What is rendered, once the edge lets the authority in and the primary has made the key.

    Each part is looked at as soon as it is known: a plan without secrets does not know the key.
    """
    edge: pulumi.Input[Any] = args["http01"]["edge"] if issuer.http01 is not None else None
    update: pulumi.Input[Any] = args["dns01"]["update"] if issuer.dns01 is not None else None
    opened = {k: v for k, v in update.items() if k != "secret"} if _is_map(update) else None

    def look_at_edge(told: object) -> None:
        if issuer.http01 is not None:
            refuse_as_pulumi(lambda: check_http01_edge(name, told))

    def look_at_update(told: Mapping[str, object] | None) -> None:
        if told is not None:
            whole = {"secret": Update.of_nobody().secret, **told}
            refuse_as_pulumi(lambda: parse_update(name, issuer, whole))

    def render(told: object) -> list[Manifest]:
        key = parse_update(name, issuer, told) if issuer.dns01 is not None else None
        return render_issuer(issuer, key)

    looked = (
        pulumi.Output.from_input(edge).apply(look_at_edge),
        pulumi.Output.from_input(opened).apply(look_at_update),
    )
    return pulumi.Output.all(*looked, update).apply(
        lambda got: Sealed(refuse_as_pulumi(lambda: render(got[2])))
    )


def _is_map(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _parts(name: str, issuer: Issuer) -> list[Manifest] | None:
    """Manifests of the file that is given; None of a chart, and where none is given."""
    artifact, path = issuer.cert_manager, "cert_manager"
    if artifact is None:
        return None
    held = refuse_as_pulumi(lambda: read_artifact(name, path, artifact))
    if artifact.is_chart:
        return None
    return refuse_as_pulumi(lambda: _read(name, path, held))


def _read(name: str, path: str, held: bytes) -> list[Manifest]:
    """Raises: InputRejected when it is no YAML, or holds what is no manifest."""
    found = load_yaml(path, held.decode(errors="replace"))
    whole = [each for each in found if _is_manifest(each)]
    if not found or len(whole) < len(found):
        got = f"{len(found) - len(whole)} of {len(found)} documents are no manifests"
        fix = "give the release's cert-manager.yaml, or its chart as .tgz"
        raise InputRejected(name, (Problem(f"{path}.path", got, "", fix, "manifest-shape"),))
    return whole


def _is_manifest(tree: object) -> TypeGuard[Manifest]:
    return (
        isinstance(tree, dict)
        and {"apiVersion", "kind", "metadata"} <= tree.keys()
        and isinstance(tree["metadata"], dict)
        and isinstance(tree["metadata"].get("name"), str)
    )


def _noted(manifest: Manifest, notes: Mapping[str, str]) -> Manifest:
    about = manifest["metadata"]
    return {
        **manifest,
        "metadata": {**about, "annotations": {**(about.get("annotations") or {}), **notes}},
    }


def _facts(issuer: Issuer) -> dict[str, Any]:
    """What policies and the state see; all of it is known in a plan, none of it is a secret."""
    return {
        "name": issuer.name,
        "directory": issuer.directory,
        "http01": issuer.http01 is not None,
        "dns01": sorted(issuer.dns01.names) if issuer.dns01 is not None else [],
        "zone": issuer.dns01.zone if issuer.dns01 is not None else None,
        "caa": issuer.authority,
        "cert_manager": issuer.cert_manager.sha256 if issuer.cert_manager else None,
    }
