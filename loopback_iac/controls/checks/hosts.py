"""ACC-03, ACC-05: how hosts are logged in to, from orders and files as rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopback_iac.controls.checks.bgp import rendered
from loopback_iac.controls.checks.redundancy import HETZNER, IONOS
from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.result import Finding
from loopback_iac.controls.stack import EDGE_POP, failed, passed, unsure
from loopback_iac.controls.tree import ABSENT, UNKNOWN, at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopback_iac.controls.stack import Resource, Stack

SSHD = "/etc/ssh/sshd_config.d/10-loopback.conf"
KEYS_ONLY = ("PasswordAuthentication no", "KbdInteractiveAuthentication no")


@CHECKS.resource("ACC-03", HETZNER, IONOS)
def check_logins(server: Resource, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Hetzner mails a root password to whoever gave no key; IONOS takes one as `imagePassword`."""
    keys = at(server.facts, "sshKeys")
    if at(server.facts, "imagePassword") is not ABSENT:
        yield failed(server, "it is ordered with a root password")
    elif keys is UNKNOWN:
        yield unsure(server, ["sshKeys"])
    elif keys is ABSENT or not keys:
        yield failed(server, "it is ordered without an SSH key, so with a password")
    else:
        yield passed(server)


@CHECKS.stack("ACC-05")
def check_sshd(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """sshd of PoPs takes no password."""
    for pop, text in rendered(stack, EDGE_POP, SSHD):
        if isinstance(text, Finding):
            yield text
            continue
        lines = text.splitlines()
        missing = [line for line in KEYS_ONLY if line not in lines]
        if missing:
            yield failed(pop, f"sshd is not told: {', '.join(missing)}")
        else:
            yield passed(pop)
