"""CMD, SPC: what runs on hosts over SSH, and addresses that are nobody's."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from typing import TYPE_CHECKING, Any

from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.result import Finding, Outcome
from loopback_iac.controls.stack import failed, passed, unsure
from loopback_iac.controls.tree import ABSENT, UNKNOWN, at, is_marked, items, need
from loopback_iac.model.reserved import DOCUMENTATION, lies_in
from loopback_iac.proof import EDGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from loopback_iac.controls.stack import Resource, Stack

COMMAND = "command:remote:Command"
REMOTE = (COMMAND, "command:remote:CopyToRemote")
DOCUMENTATION_ASNS = (range(64496, 64512), range(65536, 65552))  # RFC 5398
# curl ... | sh, wget ... | sudo bash, and the like
PIPED = re.compile(
    r"\b(?:curl|wget)\b[^;&\n]*\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:\S*/)?(?:ba|da|z)?sh\b"
)
STDIN = ("stdin",)
SECRET_FIELDS: dict[str, tuple[tuple[str, ...], ...]] = {
    COMMAND: (
        ("connection", "privateKey"),
        ("connection", "password"),
        ("connection", "proxy", "privateKey"),
        STDIN,
        ("environment",),
    ),
    "hcloud:index/server:Server": (("userData",),),
    "ionoscloud:compute/server:Server": (("imagePassword",), ("volume", "userData")),
    "kubernetes:core/v1:Secret": (("data",), ("stringData",)),
}
"""What a provider calls by a name that says it, or what user data hold: a key of the machine."""


@CHECKS.resource("CMD-01", *REMOTE)
def check_host_key(command: Resource, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Without hostKey the command provider accepts any key (its remote/connection.go)."""
    connection = at(command.facts, "connection")
    if connection is ABSENT:
        return
    late = []
    for title, path in (("connection", ()), ("connection.proxy", ("proxy",))):
        end = at(connection, *path)
        key = at(end, "hostKey")
        if end is UNKNOWN or key is UNKNOWN:
            late.append(f"{title}.hostKey" if end is not UNKNOWN else title)
        elif end is not ABSENT and not (isinstance(key, str) and key):
            whom = "whoever answers there gets the bundle and its secrets"
            whom = "the jump host is not verified" if path else whom
            yield failed(command, f"{title}.hostKey is missing: {whom}", title)
        elif end is not ABSENT:
            yield passed(command, title)
        if end is UNKNOWN:
            break
    if late:
        yield unsure(command, late)


@CHECKS.resource("CMD-02", *REMOTE)
def check_triggers(command: Resource, _: Mapping[str, Any]) -> Iterator[Finding]:
    """The SDK adds replaceOnChanges=["triggers[*]"], so a trigger always replaces.

    A command that says itself that its delete comes first means it: it drains a machine that goes.
    """
    triggers = at(command.facts, "triggers")
    if command.delete_before_replace or triggers is ABSENT or triggers == []:
        yield passed(command)
    elif triggers is UNKNOWN:
        yield unsure(command, ["triggers"])
    else:
        text = "triggers replaces the command and then runs the old delete on a host in service"
        yield failed(command, text)


@CHECKS.resource("CMD-03", COMMAND, "command:local:Command")
def check_piped(command: Resource, _: Mapping[str, Any]) -> Iterator[Finding]:
    """What was downloaded is not run unseen."""
    late = []
    for verb in ("create", "update", "delete"):
        text = at(command.facts, verb)
        if text is UNKNOWN:
            late.append(verb)
        elif isinstance(text, str) and PIPED.search(text):
            yield failed(command, f"{verb} pipes a download into a shell", verb)
        elif text is not ABSENT:
            yield passed(command, verb)
    if late:
        yield unsure(command, late)


@CHECKS.stack("SEC-01")
def check_marks(stack: Stack, _: Mapping[str, Any]) -> Iterator[Finding]:
    """What is secret is marked as such, so that state and plans hold it encrypted.

    Over the stack, because one mark anywhere shows that the engine tells them at all.
    """
    told = any(resource.secrets_told for resource in stack.resources)
    for resource in stack.of(*SECRET_FIELDS):
        for path in SECRET_FIELDS[resource.kind]:
            if at(resource.facts, *path) not in (ABSENT, "", {}):
                yield _marked(resource, path, told=told)


@CHECKS.resource("SPC-01", EDGE)
def check_documentation(edge: Resource, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Space and AS numbers reserved for documentation stay in a lab."""
    fleet = need(edge.facts, "fleet")
    asn = int(need(fleet, "asn"))
    if any(asn in block for block in DOCUMENTATION_ASNS):
        yield failed(edge, f"AS{asn} is reserved for documentation (RFC 5398)", "asn")
    else:
        yield passed(edge, "asn")
    cidrs = [(name, str(need(prefix, "cidr"))) for name, prefix in items(fleet, "prefixes")]
    reserved = set(documentation_only(cidr for _, cidr in cidrs))
    for name, cidr in cidrs:
        if cidr in reserved:
            text = f"{cidr} is reserved for documentation or benchmarks"
            yield failed(edge, text, f"prefix {name}")
        else:
            yield passed(edge, f"prefix {name}")


def _marked(resource: Resource, path: tuple[str, ...], *, told: bool) -> Finding:
    name = ".".join(path)
    if not told:
        text = f"{name}: whether it is marked is not told here; an exported state tells it"
        return Finding(Outcome.MANUAL, text, resource.label, resource.name, name)
    if is_marked(resource.facts, *path) or (path == STDIN and _named_openly(resource)):
        return passed(resource, name)
    if at(resource.facts, *path) is UNKNOWN:
        return unsure(resource, [f"whether {name} is a secret"], name)
    return failed(resource, f"{name} is no Pulumi secret: it stands in clear", name)


def _named_openly(command: Resource) -> bool:
    """
    Whether the command's own text has the digest of what it is given over stdin.

    So our `enroll` has it: the agent, which is no secret, and which the host checks against it. A
    secret's digest in clear would let anybody try values, so nobody writes it there.
    """
    given, text = at(command.facts, *STDIN), at(command.facts, "create")
    if not isinstance(given, str) or not isinstance(text, str):
        return False
    return hashlib.sha256(given.encode()).hexdigest() in text


def documentation_only(prefixes: Iterable[str]) -> list[str]:
    """Those of `prefixes` that lie in space reserved for documentation or benchmarks."""
    return [text for text in prefixes if lies_in(ipaddress.ip_network(text), DOCUMENTATION)]
