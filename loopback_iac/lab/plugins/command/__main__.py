"""Serves the stand-in for pulumi-command 1.2.1."""

from loopback_iac.lab.command.provider import CommandProvider
from loopback_iac.lab.standin.serving import serve

serve(CommandProvider)
