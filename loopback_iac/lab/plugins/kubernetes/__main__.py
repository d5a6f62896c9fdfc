"""Serves the stand-in for pulumi-kubernetes 4.34.2."""

from loopback_iac.lab.kubernetes.provider import KubernetesProvider
from loopback_iac.lab.standin.serving import serve

serve(KubernetesProvider)
