"""A zone at IONOS; loaded only where one is declared.

No Pulumi resource makes a secondary zone there, so a Command calls this library: pulumi-command is
here already, and a plugin of our own would need an entry in every project that uses the component.
"""

import json
from collections.abc import Sequence

import pulumi
import pulumi_ionoscloud as ionoscloud
from pulumi_command import local

from loopback_iac.components.calling import own_program
from loopback_iac.components.dns_zone_args import TransferRef
from loopback_iac.dns import Zone, ionos_records
from loopback_iac.model import DnsZone as Declared
from loopback_iac.model.dns_zone import IONOS

Held = tuple[pulumi.Output[Sequence[str]], list[pulumi.Resource]]


def follow(
    parent: pulumi.ComponentResource,
    name: str,
    declared: Declared,
    ref: pulumi.Output[TransferRef],
    token: pulumi.Output[str],
) -> Held:
    """A secondary: one Command, whatever is in the zone. The token travels on standard input."""
    plain = {"zone": declared.zone, "endpoint": declared.operators[IONOS].endpoint}

    def order(got: Sequence[object]) -> str:
        found, text = got
        assert isinstance(found, dict)  # noqa: S101  # a map stays a map
        whole = {**plain, "primaries": list(found["addresses"]), "token": text}
        return json.dumps(whole, sort_keys=True)

    stdin: pulumi.Output[str] = pulumi.Output.secret(pulumi.Output.all(ref, token).apply(order))
    made = local.Command(
        f"{name}-ionos",
        create=own_program("dns ionos-secondary put"),
        delete=own_program("dns ionos-secondary delete"),
        stdin=stdin,
        logging=local.Logging.NONE,
        # the name of a zone never changes there: another zone is another resource
        triggers=[declared.zone],
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return made.stdout.apply(_servers), [made]


def fill(
    parent: pulumi.ComponentResource,
    name: str,
    zone: Zone,
    own: tuple[str, ...],
    after: Sequence[pulumi.Resource],
) -> Held:
    """A primary, with a resource for each record."""
    made = ionoscloud.dns.Zone(
        f"{name}-ionos",
        name=zone.name.removesuffix("."),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after)),
    )
    under = pulumi.ResourceOptions(parent=parent, deleted_with=made)
    records: list[pulumi.Resource] = [
        ionoscloud.dns.Record(
            f"{name}-ionos-{one.part}",
            zone_id=made.id,
            name=one.name,
            type=one.type,
            ttl=one.ttl_s,
            content=one.content,
            priority=one.priority,
            opts=under,
        )
        for one in ionos_records(zone, own)
    ]
    return made.nameservers, [made, *records]


def _servers(said: str) -> list[str]:
    told = json.loads(said)
    return list(told.get("name_servers", []))
