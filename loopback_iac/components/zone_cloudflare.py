"""A zone at Cloudflare; loaded only where one is declared: its SDK alone takes a second or two."""

from collections.abc import Sequence

import pulumi
import pulumi_cloudflare as cloudflare

from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.dns_zone_args import TransferRef
from loopback_iac.components.zone_order import Held, Order
from loopback_iac.dns import cloudflare_records
from loopback_iac.model import InputRejected, Problem

REFRESH_S = 300
"""What a lost NOTIFY costs at most: Cloudflare goes by this and not by the SOA. It is the least."""
ALGORITHM = "hmac-sha256."


def follow(parent: pulumi.ComponentResource, order: Order) -> Held:
    """A secondary that serves signatures as they come (plan Enterprise): five resources."""
    account = order.settings.account_id
    keyed = order.source.apply(lambda found: _keyed(order.name, found))
    source: pulumi.Output[TransferRef] = pulumi.Output.secret(keyed)
    under = pulumi.ResourceOptions(parent=parent)
    key = cloudflare.DnsZoneTransfersTsig(
        f"{order.stem}-key",
        account_id=account,
        name=pulumi.Output.unsecret(source.apply(lambda found: f"{found['key_name']}.")),
        algo=ALGORITHM,
        secret=source.apply(lambda found: found["secret"]),
        opts=under,
    )
    peer = cloudflare.DnsZoneTransfersPeer(
        f"{order.stem}-peer",
        account_id=account,
        name=f"{order.bare_zone} primary",
        ip=pulumi.Output.unsecret(source.apply(lambda found: found["addresses"][0])),
        port=53,
        ixfr_enable=True,
        tsig_id=key.id,
        opts=under,
    )
    # a peer that a zone has cannot go: the zone goes first
    zone = _declare_zone(parent, order, "secondary", [peer])
    signatures = cloudflare.ZoneDnssec(
        f"{order.stem}-dnssec",
        zone_id=zone.id,
        status="active",
        dnssec_presigned=True,
        # its API says pending until the parent has a DS, which comes last
        opts=pulumi.ResourceOptions(parent=parent, deleted_with=zone, ignore_changes=["status"]),
    )
    # signatures are wanted before the first transfer, or they are not taken from it
    after = pulumi.ResourceOptions(parent=parent, deleted_with=zone, depends_on=[signatures])
    incoming = cloudflare.DnsZoneTransfersIncoming(
        f"{order.stem}-incoming",
        zone_id=zone.id,
        name=order.bare_zone,
        peers=[peer.id],
        auto_refresh_seconds=REFRESH_S,
        opts=after,
    )
    return zone.name_servers.apply(_absolute), [zone, key, peer, signatures, incoming]


def fill(parent: pulumi.ComponentResource, order: Order) -> Held:
    """A primary, with a resource for each record; none of them is proxied."""
    zone = _declare_zone(parent, order, "full", order.after)
    under = pulumi.ResourceOptions(parent=parent, deleted_with=zone)
    settings = cloudflare.ZoneDnsSettings(
        f"{order.stem}-settings",
        zone_id=zone.id,
        # without it name servers of others at the zone's own name are not served
        multi_provider=True,
        flatten_all_cnames=False,
        opts=under,
    )
    records: list[pulumi.Resource] = [
        cloudflare.DnsRecord(
            f"{order.stem}-{one.part}",
            zone_id=zone.id,
            name=one.name,
            type=one.type,
            ttl=one.ttl_s,
            content=one.content,
            priority=one.priority,
            data=cloudflare.DnsRecordDataArgs(**one.data) if one.data else None,
            # its address in place of the declared one would be another answer than the others'
            proxied=False,
            opts=under,
        )
        for one in cloudflare_records(order.zone, order.own)
    ]
    return zone.name_servers.apply(_absolute), [zone, settings, *records]


def _declare_zone(
    parent: pulumi.ComponentResource, order: Order, kind: str, after: Sequence[pulumi.Resource]
) -> cloudflare.Zone:
    return cloudflare.Zone(
        order.stem,
        account=cloudflare.ZoneAccountArgs(id=order.settings.account_id),
        name=order.bare_zone,
        type=kind,
        # a zone's name is unique at the API, and the provider would make the new one first
        opts=pulumi.ResourceOptions(
            parent=parent, delete_before_replace=True, depends_on=list(after)
        ),
    )


def _absolute(servers: Sequence[str] | None) -> list[str]:
    return [f"{one.removesuffix('.')}." for one in servers or []]


def _keyed(name: str, found: TransferRef) -> TransferRef:
    """
    A source whose transfers are signed: Cloudflare can, so it has to.

    Raises: RejectedInputs for one without a key.
    """

    def check() -> TransferRef:
        if found.get("secret") and found.get("key_name"):
            return found
        got, need = "transfers to Cloudflare are not signed", "a key"
        fix = "take tsig_waived_because out of operators.cloudflare at the HiddenPrimary"
        problem = Problem("transfers.cloudflare", got, need, fix, "transfer-unsigned")
        raise InputRejected(name, (problem,))

    return refuse_as_pulumi(check)
