"""What an operator writes of a zone at other operators: args as in args.py, under its rules."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi


class TransferRef(TypedDict):
    """What a secondary zone needs of its primary: an entry of output `transfers`."""

    addresses: Sequence[str]
    """Addresses of the primary."""
    key_name: NotRequired[str]
    """Name of the TSIG key, hmac-sha256. Default: transfers are not signed."""
    secret: NotRequired[str]
    """Of that key, in base64 (secret)."""


class ZoneOperatorArgs(TypedDict):
    """How one operator holds the zone."""

    account_id: NotRequired[str]
    """Of Cloudflare: the account that holds the zone. Needed there; no secret."""
    token: NotRequired[pulumi.Input[str]]
    """Of IONOS with mode transfer (secret); others take it from their provider's settings."""
    endpoint: NotRequired[str]
    """Of IONOS' DNS API. Default `https://dns.de-fra.ionos.com`."""
    name_servers: NotRequired[Sequence[str]]
    """Names of its servers. Default: what its documents say."""


class ZoneParentArgs(TypedDict):
    """Servers of the parent zone: asked for a DS before the zone goes."""

    addresses: Sequence[str]
    """Their addresses; the first one takes updates."""
    key_name: NotRequired[str]
    """Of the TSIG key, hmac-sha256, that may take the DS out. Default: done by hand."""
    secret: NotRequired[pulumi.Input[str]]
    """Of that key, in base64 (secret)."""


class DnsZoneArgs(TypedDict):
    """One zone at several operators."""

    zone: str
    """Its name, e.g. `example.net`."""
    operators: Mapping[str, ZoneOperatorArgs]
    """By name: `cloudflare`, `hetzner`, `ionos`, and with mode transfer `own-anycast`."""
    mode: NotRequired[str]
    """`transfer` (default): secondaries of a hidden primary. `api`: primaries, filled by API."""
    signing: NotRequired[str]
    """`primary` with mode transfer, `none` with mode api: what it is anyway, said for readers."""
    transfers: NotRequired[pulumi.Input[Mapping[str, TransferRef]]]
    """With mode transfer: output `transfers` of the HiddenPrimary."""
    records: NotRequired[Mapping[str, Mapping[str, Sequence[str]]]]
    """Values by owner and type, as for HiddenPrimary: held against what each operator can hold."""
    text: NotRequired[str]
    """Its zone file (RFC 1035), instead of records."""
    default_ttl_s: NotRequired[int]
    """TTL of `records` in seconds. Default 3600. Text says its own, by `$TTL` or record."""
    registered: NotRequired[str]
    """The registered domain that the zone belongs to, where it is another."""
    parent: NotRequired[ZoneParentArgs]
    """Who serves the parent. Default: nobody is asked, and you take the DS out yourself."""
