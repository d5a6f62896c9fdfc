"""What an operator writes of zones and name servers: args as in args.py, under the same rules."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi

from loopback_iac.components.baseline_args import HostBaselineArgs
from loopback_iac.components.host_args import HostRef


class ZoneArgs(TypedDict):
    """One zone: its records, or its zone file. A SOA may be left out."""

    records: NotRequired[Mapping[str, Mapping[str, Sequence[str]]]]
    """Values by owner and type, e.g. `{"www": {"A": ["203.0.113.10"]}}`; `@` is the zone itself."""
    text: NotRequired[str]
    """Its zone file (RFC 1035), instead of records. Records with TTLs of their own go here."""
    default_ttl_s: NotRequired[int]
    """TTL of `records` in seconds. Default 3600. Text says its own, by `$TTL` or record."""
    parent: NotRequired[str]
    """Name under `parents` of the parent that takes its DS records. Default: carried by hand."""
    publish_ds: NotRequired[bool]
    """Whether `parent` gets its DS. Default false: true once `loopback dns ds-gate` opens."""
    updated_by: NotRequired[Sequence[str]]
    """Names under `updaters`; then only NS are declared, and records come by dynamic update."""
    update_types: NotRequired[Sequence[str]]
    """Types that updates may bring: A, AAAA, PTR, SRV, SSHFP, TLSA, TXT. Default TXT alone."""


class NameServerArgs(TypedDict):
    """A host that answers for every zone of the primary."""

    host: pulumi.Input[HostRef]
    """The machine: output `host` of any kind of host."""
    software: NotRequired[str]
    """`knot` (default) or `nsd`: two programs do not share their faults."""
    addresses: NotRequired[Sequence[str]]
    """Other addresses that lead to the host: it answers there as soon as they stand on it."""
    on_pop: NotRequired[bool]
    """It is the PoP of this name, whose edge has `name_service`: it only gets zones from here."""


class TransferOperatorArgs(TypedDict):
    """Somebody else's name servers that take every zone from the primary, and nothing else."""

    addresses: Sequence[str]
    """Where its transfers come from; its documents say so. Nobody else is let in."""
    notify: NotRequired[Sequence[str]]
    """Where it is told of changes. Default: `addresses`."""
    key_name: NotRequired[str]
    """What the operator calls the TSIG key. Default: `loopback-NAME`."""
    tsig_waived_because: NotRequired[str]
    """Why transfers to it are not signed, where it cannot. Default: they are."""
    answers: NotRequired[Sequence[str]]
    """Where its name servers answer; the primary then compares what they serve as well."""


class ParentArgs(TypedDict):
    """A parent zone of one's own that takes DS records by dynamic update (RFC 2136)."""

    addresses: Sequence[str]
    """Addresses of its primary."""
    secret: pulumi.Input[str]
    """Of the TSIG key `loopback-ds-NAME`, hmac-sha256, in base64 (secret)."""
    ds_ttl_s: NotRequired[int]
    """How long a replaced DS may live in caches; the old key stays as long. Default 86400."""


class UpdaterArgs(TypedDict):
    """A client that changes zones by dynamic update (RFC 2136), such as an ACME client."""

    sources: Sequence[str]
    """Networks its updates come from; beside name servers nobody else reaches the primary."""


class UpdateRef(TypedDict):
    """What an updater needs: an entry of output `updates`."""

    addresses: Sequence[str]
    """Addresses of the primary, port 53."""
    key_name: str
    """Name of the TSIG key, hmac-sha256."""
    secret: str
    """Of that key, in base64 (secret)."""
    algorithm: NotRequired[str]
    """Of that key: `hmac-sha256`, and no other."""
    zones: NotRequired[Sequence[str]]
    """Zones that it may change."""


class SigningArgs(TypedDict):
    """Times of keys and signatures; the algorithm is ECDSA P-256, denial is NSEC."""

    rrsig_lifetime_s: NotRequired[int]
    """How long a signature holds. Default 21 days."""
    rrsig_refresh_s: NotRequired[int]
    """What is left of a signature when it is made anew. Default 9 days."""
    zsk_lifetime_s: NotRequired[int]
    """Age at which a zone's signing key is replaced. Default 30 days."""
    ksk_lifetime_s: NotRequired[int]
    """Age at which the key that the parent names is replaced; 0: by hand. Default 365 days."""
    dnskey_ttl_s: NotRequired[int]
    """TTL of the keys. Default 3600."""
    propagation_delay_s: NotRequired[int]
    """How long the slowest name server may need to have a change. Default 300."""


class HiddenPrimaryArgs(TypedDict):
    """A host that signs zones and hands them to name servers, and to nobody else."""

    host: pulumi.Input[HostRef]
    """Its machine: output `host` of any kind of host."""
    admin_sources: Sequence[str]
    """Networks SSH may come from. May not be empty."""
    zones: Mapping[str, ZoneArgs]
    """Zones by name, e.g. `example.net`."""
    servers: Mapping[str, NameServerArgs]
    """Name servers by name, two at least; each says its name to who asks (NSID)."""
    transfer_secret: pulumi.Input[str]
    """At least 32 characters (secret); the key of each name server is made from it."""
    catalog: NotRequired[str]
    """Name of the zone that lists the zones (RFC 9432). Default `catalog.invalid`."""
    signing: NotRequired[SigningArgs]
    """Times of keys and signatures."""
    responses_per_s: NotRequired[int]
    """Answers a second to a client or its network, as each program counts. Default 200; 0: any."""
    transport: NotRequired[str]
    """How name servers get zones: `tls` (RFC 9103; default) or `tcp`. Operators come over TCP."""
    parents: NotRequired[Mapping[str, ParentArgs]]
    """Parents of one's own, by name."""
    operators: NotRequired[Mapping[str, TransferOperatorArgs]]
    """Other operators that hold every zone as well, by name: `hetzner`, `ionos`. See DnsZone."""
    baseline: NotRequired[pulumi.Input[HostBaselineArgs]]
    """What every host keeps beside its work: output `baseline` of a HostBaseline."""
    updaters: NotRequired[Mapping[str, UpdaterArgs]]
    """Who changes zones by dynamic update, by name. Keys are made here: output `updates`."""
    metrics_sources: NotRequired[Sequence[str]]
    """Networks that may read the primary's metrics, beside `admin_sources`."""
    ended_zones: NotRequired[Sequence[str]]
    """Zones of updates that may go, with what they hold: nothing declared brings it back."""
