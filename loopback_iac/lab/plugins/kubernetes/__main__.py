"""Serves the stand-in for pulumi-kubernetes 4.34.2."""

import loopback_iac.lab.standin.protocol  # noqa: F401  # before what asks for pulumi
from loopback_iac.lab.kubernetes.provider import KubernetesProvider
from loopback_iac.lab.standin.serving import serve

serve(KubernetesProvider)
