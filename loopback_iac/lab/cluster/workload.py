"""What a person finds running in the lab's cluster: an application, and Traefik in front of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from loopback_iac.kube import parse_behind, parse_ingress, render_ingress, render_yaml
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.images import ContainerImage, app_image
from loopback_iac.lab.keys import SITE_NAME, ensure_certificates
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.topology import OPS

if TYPE_CHECKING:
    from loopback_iac.lab.cluster.ground import Cluster
    from loopback_iac.lab.instance import Lab

Manifest = dict[str, Any]
APP, CLASS, TLS = "app", "edge", "www-tls"
_EDGE = "loopback-iac:index:AnycastEdge"
_REPLICAS = 2


def traefik_image() -> ContainerImage:
    """
    Traefik as an image.

    Raises: LabError when it is not built.
    """
    return ContainerImage("traefik", binary("traefik"))


def pool_of_edge(lab: Lab, pool: str = "web") -> dict[str, Any]:
    """
    What the deployed edge says of a pool.

    Raises: LabError when `stacks/edge` is not deployed to this lab.
    """
    done = lab.exec(OPS, ["loopback", "state", "export"])
    try:
        resources = json.loads(done.stdout)["deployment"]["resources"]
        (edge,) = (each for each in resources if each["type"] == _EDGE)
    except (ValueError, KeyError):
        raise LabError(
            f"no edge is deployed to lab {lab.paths.name!r}: {done.stderr.strip()}\n"
            "  fix: loopback lab exec -- loopback up"
        ) from None
    found: dict[str, Any] = edge["outputs"]["pools"][pool]
    return found


def render_ingress_controller(lab: Lab) -> list[Manifest]:
    """
    Traefik as IngressController declares it, behind the edge that is deployed.

    Raises: LabError as `pool_of_edge`.
    """
    declared = {
        "controller": {"kind": "traefik", "image": traefik_image().reference},
        "edge": True,
        "class_name": CLASS,
    }
    ingress = parse_ingress("lab", declared)
    return render_ingress(parse_behind("lab", ingress, pool_of_edge(lab)))


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


def deploy(cluster: Cluster) -> None:
    """
    Put both into the cluster and wait until they serve; twice is as good as once.

    Raises: LabError with what the API server or the wait says.
    """
    lab = cluster.lab
    text = render_yaml([*render_ingress_controller(lab), *render_app(lab)])
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)
    cluster.kubectl("rollout", "status", f"deployment/{APP}", "--timeout=120s", timeout_s=130)
    wait = ("rollout", "status", f"daemonset/traefik-{CLASS}", f"--namespace=ingress-{CLASS}")
    cluster.kubectl(*wait, "--timeout=120s", timeout_s=130)


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
                "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
            }
        ],
    }
