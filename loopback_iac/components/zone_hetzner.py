"""A zone at Hetzner; loaded only where one is declared."""

from collections.abc import Sequence

import pulumi
import pulumi_hcloud as hcloud

from loopback_iac.components.dns_zone_args import TransferRef
from loopback_iac.components.zone_order import Held, Order
from loopback_iac.dns import hetzner_records, hetzner_sets

Primaries = Sequence[hcloud.ZonePrimaryNameserverArgs]


def follow(parent: pulumi.ComponentResource, order: Order) -> Held:
    """A secondary: one resource, whatever is in the zone."""
    # the provider's schema does not call the key a secret
    primaries: pulumi.Output[Primaries] = pulumi.Output.secret(order.source.apply(_primaries))
    made = hcloud.Zone(
        order.stem,
        name=order.bare_zone,
        mode="secondary",
        primary_nameservers=primaries,
        opts=_zone_options(parent, ["primaryNameservers"], []),
    )
    return _servers(made), [made]


def fill(parent: pulumi.ComponentResource, order: Order) -> Held:
    """A primary, with a resource for each RRset."""
    made = hcloud.Zone(
        order.stem,
        name=order.bare_zone,
        mode="primary",
        ttl=max(order.zone.default_ttl_s, 60),
        opts=_zone_options(parent, [], order.after),
    )
    under = pulumi.ResourceOptions(parent=parent, deleted_with=made)
    sets: list[pulumi.Resource] = [
        hcloud.ZoneRrset(
            f"{order.stem}-{one.part}",
            zone=made.id,
            name=one.name,
            type=one.type,
            ttl=one.ttl_s,
            records=[{"value": value} for value in one.values],
            opts=under,
        )
        for one in hetzner_sets(order.zone)
    ]
    added: list[pulumi.Resource] = [
        hcloud.ZoneRecord(
            f"{order.stem}-{one.part}",
            zone=made.id,
            name=one.name,
            type=one.type,
            value=one.value,
            opts=under,
        )
        for one in hetzner_records(order.zone, order.own)
    ]
    return _servers(made), [made, *sets, *added]


def _zone_options(
    parent: pulumi.ComponentResource, secret: list[str], after: Sequence[pulumi.Resource]
) -> pulumi.ResourceOptions:
    # a zone's name is unique at the API, and the provider would make the new one first
    return pulumi.ResourceOptions(
        parent=parent,
        delete_before_replace=True,
        additional_secret_outputs=secret,
        depends_on=list(after),
    )


def _servers(made: hcloud.Zone) -> pulumi.Output[Sequence[str]]:
    return made.authoritative_nameservers.apply(lambda told: list(told.assigneds or []))


def _primaries(ref: TransferRef) -> Primaries:
    secret = ref.get("secret")
    return [
        hcloud.ZonePrimaryNameserverArgs(
            address=address,
            port=53,
            tsig_algorithm="hmac-sha256" if secret else None,
            tsig_key=secret,
        )
        for address in ref["addresses"]
    ]
