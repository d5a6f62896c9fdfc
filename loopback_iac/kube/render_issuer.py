"""A ClusterIssuer of cert-manager, and the key it writes challenges with."""

import base64

from loopback_iac.kube.issuer import Issuer, Update
from loopback_iac.kube.manifests import MADE_BY, Manifest

TSIG_ALGORITHM = "HMACSHA256"
"""cert-manager takes HMAC-MD5 where nothing is said."""
KEY = "tsig"


def render_issuer(issuer: Issuer, update: Update | None) -> list[Manifest]:
    """The key's Secret where there is one, and the issuer.

    In: what DNS-01 is written with; not looked at without DNS-01.
    Sources: cert-manager 1.21, pkg/apis/acme/v1/types_issuer.go; older ones lack
        waitInsteadOfSelfCheck (1.21) and protocol.
    """
    solvers: list[Manifest] = []
    found: list[Manifest] = []
    if issuer.dns01 is not None and update is not None:
        found.append(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": _meta(issuer.key_secret, issuer.namespace),
                "type": "Opaque",
                "stringData": {KEY: update.secret},
            }
        )
        solvers.append(_dns01(issuer, update))
    if issuer.http01 is not None:
        solvers.append(_http01(issuer))
    acme: Manifest = {
        "server": issuer.directory,
        "privateKeySecretRef": {"name": f"{issuer.name}-account"},
        "solvers": solvers,
    }
    if issuer.email is not None:
        acme["email"] = issuer.email
    if issuer.ca_certificate is not None:
        acme["caBundle"] = base64.b64encode(issuer.ca_certificate.encode()).decode()
    return [
        *found,
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "ClusterIssuer",
            "metadata": _meta(issuer.name),
            "spec": {"acme": acme},
        },
    ]


def _meta(name: str, namespace: str = "") -> Manifest:
    return {"name": name, "labels": dict(MADE_BY)} | ({"namespace": namespace} if namespace else {})


def _http01(issuer: Issuer) -> Manifest:
    assert issuer.http01 is not None  # noqa: S101  # the caller has looked
    ingress = {"ingressClassName": issuer.http01.class_name, "serviceType": "ClusterIP"}
    found: Manifest = {"http01": {"ingress": ingress}}
    if not issuer.http01.self_check:
        found["waitInsteadOfSelfCheck"] = f"{issuer.http01.wait_s}s"
    return found


def _dns01(issuer: Issuer, update: Update) -> Manifest:
    assert issuer.dns01 is not None  # noqa: S101  # the caller has looked
    found: Manifest = {
        "selector": {"dnsNames": list(issuer.dns01.names)},
        "dns01": {
            "cnameStrategy": "Follow",
            "rfc2136": {
                "nameserver": update.server,
                "protocol": "TCP",
                "tsigAlgorithm": TSIG_ALGORITHM,
                "tsigKeyName": update.key_name,
                "tsigSecretSecretRef": {"name": issuer.key_secret, "key": KEY},
            },
        },
    }
    if not issuer.dns01.self_check:
        found["waitInsteadOfSelfCheck"] = f"{issuer.dns01.wait_s}s"
    return found
