"""Kinds of hosts. Each ends in the same output `host`: a PoP never cares who sold the machine."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pulumi
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)
from pulumi.output import contains_unknowns
from pulumi_command import remote

from loopback_iac.components.args import BareMetalHostArgs
from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.host_args import HostRef
from loopback_iac.model import Host, InputRejected, Problem, parse_host
from loopback_iac.model.host import Bastion


class Patience(NamedTuple):
    """How long a host is dialled."""

    errors: int
    """Dials that may fail; between them 0.1 s, growing to 5 s."""
    per_dial_s: int
    """What one dial may take when nobody answers."""


# pulumi-command dials 11 times with this setting: about 11 s for a host that is down.
STANDING = Patience(10, 15)
# A machine that was ordered just now: 3 minutes of refused dials, 5 of unanswered ones.
FRESH = Patience(40, 3)


class BareMetalHost(pulumi.ComponentResource):
    """A machine that already runs Debian 13 and answers SSH: your own metal, or rented by hand."""

    host: pulumi.Output[HostRef]
    """How to reach it; `pops.*.host` and `workers.*.host` take it."""

    def __init__(
        self, name: str, args: BareMetalHostArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the machine; nothing is created or touched."""
        public = _without_key(args)
        if not any(isinstance(v, pulumi.Output) for v in public.values()):
            refuse_as_pulumi(lambda: parse_host(name, args))
        super().__init__("loopback-iac:index:BareMetalHost", name, _plain(public), opts)
        self.host = pulumi.Output.from_input(dict(args))  # type: ignore[arg-type]
        self.register_outputs({"host": public})


def public_facts(host: pulumi.Input[HostRef]) -> pulumi.Output[dict[str, Any]]:
    """What of `host` may be seen in plans and files: all but the private key."""
    return without_secrets(host, _without_key)


def without_secrets(
    given: pulumi.Input[Any], hide: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> pulumi.Output[dict[str, Any]]:
    """A tree as it may be seen in plans and files.

    In: hide, which takes the secrets out of it.
    """
    whole = pulumi.Output.from_input(given)
    known = whole.apply(hide)

    def public(tree: Mapping[str, Any]) -> pulumi.Input[dict[str, Any]]:
        # in a plan without the key the rest is known all the same, and so are the files
        if not isinstance(tree, Mapping) or contains_unknowns(rest := hide(tree)):
            return known
        return rest

    # One secret leaf makes the whole tree secret; what is left after taking it out is not.
    return pulumi.Output.unsecret(whole.apply(public, run_with_unknowns=True))


def deploy_key(host: pulumi.Input[HostRef]) -> pulumi.Output[str]:
    """The private deploy key as a secret; empty where an SSH agent holds it."""
    return pulumi.Output.secret(
        pulumi.Output.from_input(host).apply(lambda h: str(h.get("ssh_private_key") or ""))
    )


def deploy_public_key(host: pulumi.Input[HostRef]) -> pulumi.Output[str]:
    """Public half of the deploy key, for the host to restrict; empty where an agent holds it."""
    return pulumi.Output.unsecret(deploy_key(host).apply(public_half))


def public_half(private: str) -> str:
    """Public half of an SSH key; empty where there is none."""
    if not private:
        return ""
    key = load_ssh_private_key(private.encode(), password=None)
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


class Through(NamedTuple):
    """A PoP that leads on to a worker behind NAT."""

    pop: str
    host: pulumi.Input[HostRef]
    """The PoP's machine."""
    address: str
    """The worker's end of the tunnel there."""


def connection(
    name: str,
    host: pulumi.Input[HostRef],
    patience: Patience = STANDING,
    through: Through | None = None,
) -> pulumi.Output[remote.ConnectionArgs]:
    """The pinned SSH connection to `host`, through its bastion or PoP if it has one.

    Out: the same key opens both ends; it is the fleet's.
    """

    def build(trees: Mapping[str, Any]) -> remote.ConnectionArgs:
        tree = trees["host"]
        parsed = refuse_as_pulumi(lambda: parse_host(name, tree))
        bastion = parsed.bastion
        if through is not None:
            bastion = as_bastion(
                refuse_as_pulumi(lambda: parse_host(through.pop, trees["through"]))
            )
        if bastion is not None:
            refuse_as_pulumi(lambda: _require_auth(name, tree))
        auth = {
            "private_key": tree.get("ssh_private_key"),
            "agent_socket_path": tree.get("ssh_agent_socket"),
        }
        proxy = None
        if bastion is not None:
            proxy = remote.ProxyConnectionArgs(
                host=str(bastion.address),
                port=bastion.ssh_port,
                user=bastion.ssh_user,
                host_key=bastion.host_key,
                dial_error_limit=patience.errors,
                per_dial_timeout=patience.per_dial_s,
                **auth,
            )
        return remote.ConnectionArgs(
            host=through.address if through else str(parsed.address),
            port=parsed.ssh_port,
            user=parsed.ssh_user,
            host_key=parsed.host_key,
            dial_error_limit=patience.errors,
            per_dial_timeout=patience.per_dial_s,
            proxy=proxy,
            **auth,
        )

    ends = pulumi.Output.all(host=host, through=public_facts(through.host) if through else None)
    return pulumi.Output.secret(ends.apply(build))


def as_bastion(pop: Host) -> Bastion:
    """A PoP's machine as what SSH jumps through."""
    return Bastion(
        address=pop.address, host_key=pop.host_key, ssh_port=pop.ssh_port, ssh_user=pop.ssh_user
    )


def check_auth(name: str, tree: Mapping[str, Any]) -> list[Problem]:
    """Findings on the key for a host behind a bastion.

    Without one, whatever agent runs where Pulumi runs would be asked, and by both ends.
    """
    if tree.get("ssh_private_key") or tree.get("ssh_agent_socket"):
        return []
    return [
        Problem(
            name,
            "it is reached through a bastion, with no key to log in with",
            "ssh_private_key or ssh_agent_socket; it opens the bastion and the host",
            "give one of them",
            "bastion-key",
        )
    ]


def _require_auth(name: str, tree: Mapping[str, Any]) -> None:
    if problems := check_auth(name, tree):
        raise InputRejected(name, tuple(problems))


def _without_key(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in tree.items() if k != "ssh_private_key"}


def _plain(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in tree.items() if not isinstance(v, pulumi.Output)}


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: the same bytes for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
