"""What every ordered machine shares: its host key, its user data, and the Command that drains it.

`NAME-ready` stands between the server and everything that is done on it. Created, it waits for the
first boot to end and takes back a drain. Deleted, it drains. It is replaced together with the
server and deletes first, so the order of a replacement is: drain, delete the server, order the new
one, wait for its first boot, enroll, apply, confirm.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pulumi
from pulumi_command import remote

from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.cloud_args import HetznerHostArgs, IonosHostArgs
from loopback_iac.components.host_args import HostRef
from loopback_iac.components.hosts import FRESH, connection, deploy_public_key
from loopback_iac.model import CloudHost, HostKey, host_key
from loopback_iac.model.places import Place
from loopback_iac.render import NO_ADDRESSES, OwnAddresses, fill_first_boot, render_first_boot

AGENT = "/usr/local/sbin/loopback-agent"
CloudArgs = HetznerHostArgs | IonosHostArgs
Ref = dict[str, pulumi.Input[Any]]
_GIVEN = ("ssh_private_key", "ssh_agent_socket", "bastion")


def machine_facts(host: CloudHost, place: Place, provider: str) -> dict[str, Any]:
    """What of an ordered machine policies and the state see; all of it is known in a plan."""
    facts: dict[str, Any] = {
        "provider": provider,
        "location": host.location,
        "country": place.country,
        "role": host.role,
        "protection": host.protection,
        "labels": host.labels.by_name(),
    }
    # what it falls with: the proof of a plan rests on inputs
    said = {"legal_owner": host.legal_owner, "failure_domains": [*host.failure_domains]}
    return facts | {key: value for key, value in said.items() if value}


def deploy_line(args: CloudArgs) -> pulumi.Output[str]:
    """The deploy key's public half, derived from the private one unless it is given."""
    given = args.get("ssh_public_key")
    if given is not None:
        return pulumi.Output.from_input(given)
    return deploy_public_key(cast("HostRef", dict(args)))


def derived_key(name: str, args: CloudArgs, epoch: int) -> pulumi.Output[HostKey]:
    """The machine's SSH host key, as a secret."""

    def derive(secret: str) -> HostKey:
        path = f"{name}.fleet_secret"
        return refuse_as_pulumi(lambda: host_key(path, str(secret), name, epoch))

    return pulumi.Output.secret(pulumi.Output.from_input(args["fleet_secret"]).apply(derive))


def public_half(key: pulumi.Output[HostKey]) -> pulumi.Output[str]:
    """The line every connection is pinned to."""
    return pulumi.Output.unsecret(key.apply(lambda both: both[1]))


def user_data(
    name: str,
    key: pulumi.Output[HostKey],
    deploy: pulumi.Output[str],
    own: pulumi.Input[OwnAddresses] = NO_ADDRESSES,
) -> pulumi.Output[str]:
    """What the machine is told at its first boot, as a secret."""

    def fill(got: Mapping[str, Any]) -> str:
        private, public = got["key"]
        told = render_first_boot(name, public, got["deploy"], OwnAddresses(*got["own"]))
        return fill_first_boot(told, private)

    return pulumi.Output.secret(pulumi.Output.all(key=key, deploy=deploy, own=own).apply(fill))


def host_ref(args: CloudArgs, host: CloudHost, place: Place, provider: str, late: Ref) -> Ref:
    """The output `host`, as any kind of host gives it; `late` is what the cloud decides."""
    ref: Ref = {
        "provider": provider,
        "country": place.country,
        "site": host.location,
        "failure_domains": [f"{provider}-{host.location}", *host.failure_domains],
    }
    if host.legal_owner is not None:
        ref["legal_owner"] = host.legal_owner
    given = {k: v for k, v in args.items() if k in _GIVEN and v is not None}
    return ref | cast("Ref", given) | late


def declare_ready(
    name: str,
    ref: Ref,
    server: pulumi.CustomResource,
    parent: pulumi.ComponentResource,
    parts: Sequence[pulumi.Resource] = (),
) -> remote.Command:
    """The Command that drains a machine before it is deleted; see the module's text.

    In: parts, what beside the server stays until it has drained.

    An enrolled host lets the deploy key say these three verbs; a fresh one has a stand-in for the
    agent that knows them.
    """
    reach = cast("pulumi.Output[HostRef]", pulumi.Output.from_input(dict(ref)))
    return remote.Command(
        f"{name}-ready",
        connection=connection(name, reach, FRESH),
        create=f"{AGENT} undrain",
        update=f"{AGENT} report",
        delete=f"{AGENT} drain",
        # a changed trigger replaces the Command: elsewhere that is in the way, here it is the point
        triggers=[server.id],
        logging=remote.Logging.NONE,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(
            parent=parent, delete_before_replace=True, depends_on=[server, *parts]
        ),
    )


def after(ready: remote.Command, ref: Ref) -> pulumi.Output[HostRef]:
    """`ref`, for those who must wait for the first boot.

    The URN is known in every plan, so what was known of `ref` stays known.
    """
    both = pulumi.Output.all(ref=pulumi.Output.from_input(dict(ref)), ready=ready.urn)
    return both.apply(lambda got: cast("HostRef", got["ref"]))
