"""Serves the stand-in for pulumi-command 1.2.1."""

import loopback_iac.lab.standin.protocol  # noqa: F401  # before what asks for pulumi
from loopback_iac.lab.command.provider import CommandProvider
from loopback_iac.lab.standin.serving import serve

serve(CommandProvider)
