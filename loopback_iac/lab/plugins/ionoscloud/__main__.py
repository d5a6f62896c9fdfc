"""Serves the stand-in for pulumi-ionoscloud 0.3.3."""

import loopback_iac.lab.standin.protocol  # noqa: F401  # before what asks for pulumi
from loopback_iac.lab.cloud.ionos.vendor import Ionos
from loopback_iac.lab.cloud.provider import CloudProvider
from loopback_iac.lab.standin.serving import serve

serve(lambda _: CloudProvider(Ionos()))
