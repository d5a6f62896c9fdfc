"""TIM, ACC-03: what stands on every host, from its files as rendered."""

from __future__ import annotations

import re
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

CHRONY = "/etc/chrony/conf.d/loopback.conf"
SSHD = "/etc/ssh/sshd_config.d/10-loopback.conf"
KEYS_ONLY = ("PasswordAuthentication no", "KbdInteractiveAuthentication no")


@CHECKS.stack("TIM-01")
def check_time(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """PoPs have several sources of time."""
    for pop, text in rendered(stack, EDGE_POP, CHRONY):
        if isinstance(text, Finding):
            yield text
            continue
        sources = re.findall(r"^(?:server|pool) (\S+)", text, re.MULTILINE)
        if len(set(sources)) < settings["sources"]:
            told = f"{len(set(sources))} sources of time; needed: {settings['sources']}"
            yield failed(pop, told)
        else:
            yield passed(pop)


@CHECKS.stack("ACC-03")
def check_logins(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """SSH takes keys only: ordered servers are given one, PoPs refuse everything else."""
    for server in stack.of(HETZNER, IONOS):
        yield _of_server(server)
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


def _of_server(server: Resource) -> Finding:
    """Hetzner mails a root password to whoever gave no key; IONOS takes one as `imagePassword`."""
    keys = at(server.facts, "sshKeys")
    if at(server.facts, "imagePassword") is not ABSENT:
        return failed(server, "it is ordered with a root password")
    if keys is UNKNOWN:
        return unsure(server, ["sshKeys"])
    if keys is ABSENT or not keys:
        return failed(server, "it is ordered without an SSH key, so with a password")
    return passed(server)
