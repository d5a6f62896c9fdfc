"""Serves the stand-in for pulumi-cloudflare 6.23.1."""

import loopback_iac.lab.standin.protocol  # noqa: F401  # before what asks for pulumi
from loopback_iac.lab.cloud.cloudflare.vendor import Cloudflare
from loopback_iac.lab.cloud.provider import CloudProvider
from loopback_iac.lab.standin.serving import serve

serve(lambda _: CloudProvider(Cloudflare()))
