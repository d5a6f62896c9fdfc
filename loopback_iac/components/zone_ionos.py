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
from loopback_iac.components.zone_order import Held, Order
from loopback_iac.dns import ionos_records


def follow(parent: pulumi.ComponentResource, order: Order) -> Held:
    """A secondary: one Command, whatever is in the zone. The token travels on standard input."""
    plain = {"zone": order.declared.zone, "endpoint": order.settings.endpoint}
    token = pulumi.Output.secret(order.args["operators"][order.operator]["token"])

    def written(got: Sequence[object]) -> str:
        found, text = got
        assert isinstance(found, dict)  # noqa: S101  # a map stays a map
        whole = {**plain, "primaries": list(found["addresses"]), "token": text}
        return json.dumps(whole, sort_keys=True)

    stdin: pulumi.Output[str] = pulumi.Output.secret(
        pulumi.Output.all(order.source, token).apply(written)
    )
    made = local.Command(
        order.stem,
        create=own_program("dns ionos-secondary put"),
        delete=own_program("dns ionos-secondary delete"),
        stdin=stdin,
        logging=local.Logging.NONE,
        # the name of a zone never changes there: another zone is another resource
        triggers=[order.declared.zone],
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return made.stdout.apply(_servers), [made]


def fill(parent: pulumi.ComponentResource, order: Order) -> Held:
    """A primary, with a resource for each record."""
    made = ionoscloud.dns.Zone(
        order.stem,
        name=order.bare_zone,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(order.after)),
    )
    under = pulumi.ResourceOptions(parent=parent, deleted_with=made)
    records: list[pulumi.Resource] = [
        ionoscloud.dns.Record(
            f"{order.stem}-{one.part}",
            zone_id=made.id,
            name=one.name,
            type=one.type,
            ttl=one.ttl_s,
            content=one.content,
            priority=one.priority,
            opts=under,
        )
        for one in ionos_records(order.zone, order.own)
    ]
    return made.nameservers, [made, *records]


def _servers(said: str) -> list[str]:
    told = json.loads(said)
    return list(told.get("name_servers", []))
