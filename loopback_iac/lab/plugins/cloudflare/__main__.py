"""Serves the stand-in for pulumi-cloudflare 6.23.1."""

from loopback_iac.lab.cloud.cloudflare.vendor import Cloudflare
from loopback_iac.lab.cloud.provider import CloudProvider
from loopback_iac.lab.standin.serving import serve

serve(lambda _: CloudProvider(Cloudflare()))
