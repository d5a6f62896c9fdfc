"""What IngressController and CertificateIssuer declare. Mocks prove the wiring only."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.metadata import version
from typing import Any

import pulumi
import pytest
import yaml

from loopback_iac.components import CertificateIssuer, IngressController
from loopback_iac.components.boundary import RejectedInputs
from tests.golden import ingress as golden
from tests.unit.components.recording import Cloud

KEY = base64.b64encode(b"a key that nobody may see").decode()
MANIFESTS = """
apiVersion: v1
kind: Namespace
metadata: {name: cert-manager}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: clusterissuers.cert-manager.io}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: cert-manager-webhook, annotations: {a: b}}
"""


def answer(args: Any, count: int) -> tuple[str, dict[str, Any]]:
    return f"{count}", {}


def edge() -> dict[str, Any]:
    return golden.load("traefik").tree["edge"]


def ingress_args(**more: Any) -> dict[str, Any]:
    return (
        golden.load("traefik").tree["ingress"] | {"edge": pulumi.Output.from_input(edge())} | more
    )


def issuer_args(**more: Any) -> dict[str, Any]:
    update = {"addresses": ["198.51.100.53"], "key_name": "k", "secret": KEY}
    return {
        "directory": "https://acme-v02.api.letsencrypt.org/directory",
        "http01": {"edge": pulumi.Output.from_input(edge())},
        "dns01": {
            "zone": "acme.example.net",
            "names": ["www.example.net"],
            "update": pulumi.Output.secret(update | {"zones": ["acme.example.net"]}),
        },
        **more,
    }


def kinds(cloud: Cloud) -> dict[str, str]:
    return {name: args.typ for name, args in cloud.made.items()}


def test_traefik_is_declared_as_it_is_rendered(declare, hosts):
    def program():
        made = IngressController("ingress", ingress_args())
        pulumi.Output.all(made.class_name, made.address, made.trusted).apply(
            lambda got: hosts.update(outputs=got)
        )

    cloud = declare(Cloud(answer), program)
    wanted = list(yaml.safe_load_all(golden.load("traefik").read()["manifests.yaml"]))
    made = [args for args in cloud.made.values() if args.typ.startswith("kubernetes:")]
    assert by_kind(plain(args.inputs) for args in made) == by_kind(wanted)
    assert [made[0].inputs["kind"], made[-1].inputs["kind"]] == ["Namespace", "DaemonSet"]
    assert "kubernetes:core/v1:ConfigMap" in kinds(cloud).values()
    assert "kubernetes:apps/v1:DaemonSet" in kinds(cloud).values()
    assert hosts["outputs"] == ["edge", "203.0.113.10", edge()["workers"]]


def test_each_object_comes_after_what_it_stands_on(declare):
    cloud = declare(Cloud(answer), lambda: IngressController("ingress", ingress_args()))
    names = [name for name in cloud.made if name != "ingress"]
    space, pods = names[0], "ingress-daemonset-ingress-edge-traefik-edge"
    config = "ingress-configmap-ingress-edge-traefik-edge"
    assert cloud.needs(space) == set()
    assert cloud.needs(pods) == set(names) - {pods}
    assert cloud.needs(config) == set(names) - {pods, config}
    assert all(cloud.needs(name) == {space} for name in set(names) - {space, config, pods})
    assert {cloud.asked[name].version for name in names} == {version("pulumi-kubernetes")}


def by_kind(manifests: Any) -> dict[str, Any]:
    return {each["kind"]: each for each in manifests}


def plain(inputs: Any) -> Any:
    """Without the marks of secrets, whole numbers whole."""
    return json.loads(json.dumps(inputs), parse_float=lambda n: int(float(n)))


def test_a_chart_is_taken_by_its_bytes_alone(declare, hosts, tmp_path):
    chart = tmp_path / "traefik.tgz"
    chart.write_bytes(b"a chart")
    wrong, right = "0" * 64, hashlib.sha256(b"a chart").hexdigest()

    def declared(controller):
        made = IngressController("ingress", ingress_args(controller=controller))
        made.trusted.apply(lambda got: hosts.update(trusted=got))

    def program(sha256):
        source = {"path": str(chart), "sha256": sha256, "values": {"image": {"tag": "v3.7.11"}}}
        controller = {"kind": "traefik", "chart": source}
        return lambda: declared(controller)

    with pytest.raises(RejectedInputs) as caught:
        program(wrong)()
    assert wrong in str(caught.value)
    assert right in str(caught.value)
    assert "artifact-digest" in str(caught.value)
    cloud = declare(Cloud(answer), program(right))
    made = cloud.made["ingress-chart"]
    assert made.typ == "kubernetes:helm.sh/v4:Chart"
    assert made.inputs["chart"] == str(chart)
    assert made.inputs["values"]["image"] == {"tag": "v3.7.11"}
    assert made.inputs["values"]["ports"]["websecure"]["proxyProtocol"]["trustedIPs"]
    assert "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole" not in kinds(cloud).values()
    assert "ingress-namespace-ingress-edge" in cloud.needs("ingress-chart")
    # one configuration for all nodes: whoever is believed is believed everywhere
    ends = sorted({end for several in edge()["workers"].values() for end in several})
    found = {worker: sorted(told) for worker, told in hosts["trusted"].items()}
    assert found == dict.fromkeys(edge()["workers"], ends)
    chart.unlink()
    with pytest.raises(RejectedInputs, match="file-read"):
        program(right)()


def test_the_key_is_a_secret_and_the_issuer_is_not(declare, hosts):
    def program():
        made = CertificateIssuer("letsencrypt", issuer_args())
        made.records.apply(lambda got: hosts.update(records=got))

    cloud = declare(Cloud(answer), program)
    key = cloud.made["letsencrypt-secret-cert-manager-letsencrypt-updates"]
    issuer = cloud.made["letsencrypt-clusterissuer-letsencrypt"]
    assert key.inputs["stringData"]["value"] == {"tsig": KEY}
    assert key.inputs["stringData"]["4dabf18193072939515e22adb298388d"]  # Pulumi's mark of a secret
    hidden = cloud.asked["letsencrypt-secret-cert-manager-letsencrypt-updates"]
    assert set(hidden.additionalSecretOutputs) == {"data", "stringData"}
    assert KEY not in json.dumps(issuer.inputs)
    assert cloud.needs("letsencrypt-clusterissuer-letsencrypt") == {
        "letsencrypt-secret-cert-manager-letsencrypt-updates"
    }
    assert [set(s) for s in issuer.inputs["spec"]["acme"]["solvers"]] == [
        {"selector", "dns01"},
        {"http01", "waitInsteadOfSelfCheck"},
    ]
    assert issuer.inputs["metadata"]["annotations"]["pulumi.com/waitFor"] == "condition=Ready"
    assert hosts["records"][0] == (
        "_acme-challenge.www.example.net. CNAME www.example.net.acme.example.net."
    )


def test_manifests_of_cert_manager_are_declared_one_by_one(declare, tmp_path):
    file = tmp_path / "cert-manager.yaml"
    file.write_text(MANIFESTS)
    artifact = {"path": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    cloud = declare(
        Cloud(answer), lambda: CertificateIssuer("le", issuer_args(cert_manager=artifact))
    )
    names = [name for name, args in cloud.made.items() if args.typ.startswith("kubernetes:")]
    assert names[-1] == "le-clusterissuer-le"
    assert set(names[:2]) == {
        "le-namespace-cert-manager",
        "le-customresourcedefinition-clusterissuers.cert-manager.io",
    }
    webhook = cloud.made["le-validatingwebhookconfiguration-cert-manager-webhook"]
    notes = webhook.inputs["metadata"]["annotations"]
    assert cloud.needs("le-validatingwebhookconfiguration-cert-manager-webhook") == set(names[:2])
    assert cloud.needs("le-clusterissuer-le") == set(names) - {"le-clusterissuer-le"}
    assert notes["a"] == "b"
    assert notes["pulumi.com/waitFor"].endswith("clientConfig.caBundle}")


def test_values_beside_ours_reach_the_chart_of_cert_manager(declare, tmp_path):
    chart = tmp_path / "cert-manager.tgz"
    chart.write_bytes(b"a chart")
    values = {"replicaCount": 2, "prometheus": {"servicemonitor": {"enabled": True}}}
    artifact = {"path": str(chart), "sha256": hashlib.sha256(b"a chart").hexdigest()}
    args = issuer_args(cert_manager=artifact | {"values": values})
    cloud = declare(Cloud(answer), lambda: CertificateIssuer("le", args))
    assert plain(cloud.made["le-chart"].inputs["values"]) == {
        "crds": {"enabled": True, "keep": True},
        "prometheus": {"enabled": True, "servicemonitor": {"enabled": True}},
        "replicaCount": 2,
    }
    assert cloud.needs("le-chart") == {"le-namespace-cert-manager"}
    assert "le-chart" in cloud.needs("le-clusterissuer-le")


@pytest.mark.parametrize("text", ["", "a: [", "- 1\n", "kind: Service\n"])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text):
    file = tmp_path / "cert-manager.yaml"
    file.write_text(text)
    artifact = {"path": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    with pytest.raises(RejectedInputs, match=r"manifest-shape|yaml-syntax"):
        CertificateIssuer("le", issuer_args(cert_manager=artifact))


def test_zones_that_are_known_must_have_the_records():
    zones = {"example.net": {"records": {"@": {"NS": ["a.example.", "b.example."]}}}}
    with pytest.raises(RejectedInputs) as caught:
        CertificateIssuer("le", issuer_args(zones=zones))
    assert "challenge-delegated" in str(caught.value)
    assert "caa-names-authority" in str(caught.value)
