"""What a person finds running in the lab's cluster, beside what stacks/cluster declares."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from loopback_iac.kube import render_yaml
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.images import ContainerImage, app_image
from loopback_iac.lab.keys import SITE_NAME, ensure_certificates
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from loopback_iac.lab.cluster.ground import Cluster
    from loopback_iac.lab.instance import Lab

Manifest = dict[str, Any]
APP, CLASS, TLS = "app", "edge", "www-tls"
_EGRESS_KINDS = ("ciliumegressgatewaypolicies", "ciliumnetworkpolicies")
_REPLICAS = 2
# A Traefik that runs gathers what changed for up to 2 s before it routes by it: with several of
# them some requests meet the application and some a 404 until the last one knows its Ingress. And
# for as long some still go to a pod that leaves, so it serves on before it stops.
_ANSWERS, _ANSWERS_S, _AGAIN_S, _LEAVES_S = 10, 60, 0.5, 5
# how a person asks, and how it is waited for
ASK = (
    "curl -s --cacert /etc/ssl/certs/loopback-lab-ca.pem"
    f" --resolve {SITE_NAME}:443:203.0.113.10 https://{SITE_NAME}/"
)
_ROW = f"for _ in $(seq {_ANSWERS}); do {ASK} -S --fail -m 5 -o /dev/null || exit 1; done"


def traefik_image() -> ContainerImage:
    """
    Traefik as an image.

    Raises: LabError when it is not built.
    """
    return ContainerImage("traefik", binary("traefik"))


def render_app(lab: Lab, replicas: int = _REPLICAS) -> list[Manifest]:
    """The application with its Service, its Ingress, and the site's certificate by the lab's CA."""
    site = ensure_certificates(lab.paths)[1]
    begin = site.index("-----BEGIN PRIVATE KEY-----")
    chosen = {"app": APP}
    rule = {"path": "/", "pathType": "Prefix", "backend": _backend()}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": TLS, "namespace": "default"},
            "stringData": {"tls.crt": site[:begin], "tls.key": site[begin:]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": APP, "namespace": "default"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": chosen},
                "template": {"metadata": {"labels": chosen}, "spec": _pod(chosen)},
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": APP, "namespace": "default"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": chosen}},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": APP, "namespace": "default"},
            "spec": {"selector": chosen, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": APP, "namespace": "default"},
            "spec": {
                "ingressClassName": CLASS,
                "tls": [{"hosts": [SITE_NAME], "secretName": TLS}],
                "rules": [{"host": SITE_NAME, "http": {"paths": [rule]}}],
            },
        },
    ]


def deploy_app(cluster: Cluster) -> None:
    """
    Put the application into the cluster and wait until clients of the edge have it from every side.

    Twice is as good as once.
    Raises: LabError with what the API server, the wait or a client says.
    """
    text = render_yaml(render_app(cluster.lab))
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)
    cluster.kubectl("rollout", "status", f"deployment/{APP}", "--timeout=120s", timeout_s=130)
    _await_answers(cluster.lab)


def define_egress(cluster: Cluster) -> None:
    """
    Have the API server know the kinds of Cilium that egress is declared in.

    Raises: LabError with its complaint.
    """
    folder = binary("cilium-crds") / "v2"
    files = [f"--filename={folder / name}.yaml" for name in _EGRESS_KINDS]
    cluster.kubectl("apply", "--server-side", *files)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)


def _await_answers(lab: Lab) -> None:
    """In a row as many as reach every worker, of whom a PoP takes one after the other."""
    deadline = time.monotonic() + _ANSWERS_S
    while (asked := lab.exec("c-fra", ["sh", "-c", _ROW])).returncode:
        if time.monotonic() > deadline:
            said = asked.stderr.strip()
            raise LabError(f"the application runs, but clients do not reach it: {said}")
        time.sleep(_AGAIN_S)


def _backend() -> Manifest:
    return {"service": {"name": APP, "port": {"number": 80}}}


def _pod(chosen: dict[str, str]) -> Manifest:
    def told(name: str, field: str) -> Manifest:
        return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}

    return {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": chosen},
            }
        ],
        "containers": [
            {
                "name": APP,
                "image": app_image().reference,
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": 8080}],
                "env": [told("NODE_NAME", "spec.nodeName"), told("POD_NAME", "metadata.name")],
                "lifecycle": {"preStop": {"sleep": {"seconds": _LEAVES_S}}},
                "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
            }
        ],
    }
