"""The hidden primary: one host that signs zones and hands them to its name servers alone."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from loopback_iac.model.fields import (
    AddressList,
    AdminSources,
    Given,
    Int,
    LineList,
    MetricsSources,
    Several,
    Value,
)
from loopback_iac.model.name_server import (
    AUDIT,
    CATALOG,
    TLS,
    NameServer,
    ResponseRate,
    TransferOperator,
    Transport,
    Updater,
    UpdateType,
    ZoneName,
    transfer_key,
)
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import check_name, collect, plain
from loopback_iac.model.zone_updates import check_updates

DAY_S = 86_400
PRIMARY = "primary"
"""What the primary's own host is called among hosts; no name server may be."""


EndedZones = Several[ZoneName]


class SigningTimes(Value):
    """How zones are signed: ECDSA P-256, NSEC; keys are made, rolled and removed by Knot."""

    rrsig_lifetime_s: Int = Field(21 * DAY_S, ge=60)
    rrsig_refresh_s: Int = Field(9 * DAY_S, ge=10)
    zsk_lifetime_s: Int = Field(30 * DAY_S, ge=30)
    ksk_lifetime_s: Int = Field(365 * DAY_S, ge=0)
    """0: the KSK is rolled by hand only."""
    dnskey_ttl_s: Int = Field(3600, ge=1, le=DAY_S)
    propagation_delay_s: Int = Field(300, ge=1, le=DAY_S)
    """How long name servers may need to have a change, all of them."""


class Parent(Value):
    """A parent zone of one's own, which takes DS records by dynamic update (RFC 2136)."""

    addresses: AddressList
    secret: Given
    """Of the TSIG key `loopback-ds-NAME`, in base64."""
    ds_ttl_s: Int = Field(DAY_S, ge=1, le=7 * DAY_S)
    """For how long a resolver may go on with a DS that the parent has replaced."""


class ZoneSource(Value):
    """One zone as it is given; what it holds is parsed by the room for zones."""

    default_ttl_s: Int | None = None
    """Of `records` that state none; None: 3600."""
    records: dict[str, dict[str, Any]] = Field(default_factory=dict)
    text: str | None = None
    """Instead of records: a zone file."""
    parent: str | None = None
    """Name of a parent that takes its DS."""
    publish_ds: bool = False
    """Whether it gets it: not before every name server was seen to serve the zone signed."""
    updated_by: LineList = ()
    """Names of updaters; then records come by update alone, and no file of ours has them."""
    update_types: Several[UpdateType] = ("TXT",)

    @property
    def is_updated(self) -> bool:
        """Whether what it holds is not declared."""
        return bool(self.updated_by)


class Primary(Value):
    """All that is declared of a hidden primary. Maps are sorted by name."""

    name: str = Field(exclude=True)
    admin_sources: AdminSources
    host: Given
    zones: dict[str, ZoneSource]
    servers: dict[str, NameServer]
    transfer_secret: Given
    catalog: ZoneName = CATALOG
    signing: SigningTimes = SigningTimes()
    responses_per_s: ResponseRate = 200
    baseline: Given = False
    transport: Transport = TLS
    """To one's own name servers; operators come over TCP, since none of them speaks TLS."""
    parents: dict[str, Parent] = Field(default_factory=dict)
    operators: dict[str, TransferOperator] = Field(default_factory=dict)
    updaters: dict[str, Updater] = Field(default_factory=dict)
    ended_zones: EndedZones = ()
    """Zones of updates that may go with what they hold, which nothing else has."""
    metrics_sources: MetricsSources = ()
    """Networks that may read metrics, beside `admin_sources`."""

    def key_of(self, name: str) -> str:
        """What the TSIG key of a name server or operator is called."""
        operator = self.operators.get(name)
        return (operator.key_name if operator else "") or transfer_key(name)

    @property
    def keyed(self) -> tuple[str, ...]:
        """Name servers and operators whose transfers are signed."""
        signed = (n for n, o in self.operators.items() if not o.tsig_waived_because)
        return (*self.servers, *signed)

    @property
    def own_servers(self) -> dict[str, NameServer]:
        """Name servers that are converged with the primary; PoPs are their edge's."""
        return {name: server for name, server in self.servers.items() if not server.on_pop}


class _Rest(Value):
    """What is left of a primary when its maps are parsed by themselves."""

    admin_sources: AdminSources
    host: Given
    transfer_secret: Given
    catalog: ZoneName = CATALOG
    signing: SigningTimes = SigningTimes()
    responses_per_s: ResponseRate = 200
    baseline: Given = False
    transport: Transport = TLS
    ended_zones: EndedZones = ()
    metrics_sources: MetricsSources = ()


_MAPS: dict[str, type[Value]] = {
    "zones": ZoneSource, "servers": NameServer, "parents": Parent, "operators": TransferOperator,
    "updaters": Updater,
}  # fmt: skip
_OPTIONAL = ("parents", "operators", "updaters")


class _Named(Value):
    zone: ZoneName


def parse_primary(name: str, tree: Mapping[str, object]) -> Primary:
    """The whole declaration, parsed and cross-checked; late values are not looked into.

    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    whole = plain(tree)
    assert isinstance(whole, dict)  # noqa: S101  # a Mapping stays a map
    parts = {key: _parse_map(key, kind, whole, problems) for key, kind in _MAPS.items()}
    rest = {key: value for key, value in whole.items() if key not in _MAPS}
    settings = collect(_Rest, "", rest, problems, known=Primary)
    problems += _check_parents(parts)
    problems += _check_servers(parts)
    problems += _check_operators(parts["operators"], parts["servers"])
    problems += check_updates(parts, settings.ended_zones if settings else ())
    if settings is not None and settings.catalog in parts["zones"]:
        got = f"{settings.catalog} is the catalog, which the primary makes itself"
        fix = "call the catalog otherwise, or leave it as it is"
        problems.append(Problem("catalog", got, "a name of its own", fix, "catalog-is-a-zone"))
    if problems or settings is None:
        raise InputRejected(name, tuple(problems))
    return Primary.model_validate({"name": name, **dict(settings), **parts})


def _parse_map(
    key: str, kind: type[Value], whole: Mapping[str, Any], problems: list[Problem]
) -> dict[str, Any]:
    given = whole.get(key, {})
    if not isinstance(given, dict):
        problems.append(Problem(key, "is no map", "a map by name", f"write {key}", "field-type"))
        return {}
    if not given and key not in _OPTIONAL:
        fix = f"declare one under {key}"
        problems.append(Problem(key, "is empty", "at least one", fix, "section-empty"))
    found: dict[str, Any] = {}
    for entry, tree in given.items():
        path = f"{key}.{entry}"
        called: str | None = entry
        if key == "zones":
            asked = collect(_Named, path, {"zone": entry}, problems)
            called = asked.zone if asked else None
        else:
            problems += check_name(path, entry)
        part = collect(kind, path, tree, problems)
        if called in found:
            fix = "declare it once"
            problems.append(Problem(path, f"{called} stands here twice", "", fix, "zone-twice"))
        elif part is not None and called is not None:
            found[called] = part
    return dict(sorted(found.items()))


def _check_parents(parts: Mapping[str, Mapping[str, Any]]) -> list[Problem]:
    known = ", ".join(parts["parents"]) or "none is declared"
    nowhere = [
        Problem(
            f"parents.{name}.addresses",
            "is empty: there is nobody to give a DS to",
            "an address of the parent's primary",
            "write one",
            "parent-address",
        )
        for name, parent in parts["parents"].items()
        if not parent.addresses
    ]
    nobody = [
        Problem(
            f"zones.{zone.removesuffix('.')}.publish_ds",
            "no parent is named that would get the DS",
            "parent beside it",
            "name the parent, or leave publish_ds out and carry the DS to your registrar",
            "publish-ds-parent",
        )
        for zone, source in parts["zones"].items()
        if source.publish_ds and source.parent is None
    ]
    return [*nowhere, *nobody] + [
        Problem(
            f"zones.{zone.removesuffix('.')}.parent",
            f"there is no parent {source.parent!r}",
            known,
            "declare it under parents, or leave parent out and carry the DS to your registrar",
            "zone-parent-known",
        )
        for zone, source in parts["zones"].items()
        if source.parent is not None and source.parent not in parts["parents"]
    ]


def _check_operators(
    operators: Mapping[str, TransferOperator], servers: Mapping[str, object]
) -> list[Problem]:
    found = []
    for name, operator in operators.items():
        path = f"operators.{name}"
        if name in servers or name == PRIMARY:
            fix = "give the operator another name"
            found.append(Problem(path, f"{name!r} is a host's name", "", fix, "operator-name"))
        if not operator.addresses:
            need, fix = "at least one", "write where its transfers come from"
            found.append(Problem(f"{path}.addresses", "is empty", need, fix, "section-empty"))
        if operator.key_name and operator.tsig_waived_because:
            fix = "keep one of the two"
            got = "names a key, and says why there is none"
            found.append(Problem(f"{path}.key_name", got, "", fix, "operator-key"))
    return found


def _check_servers(parts: Mapping[str, Mapping[str, Any]]) -> list[Problem]:
    servers, operators, parents = parts["servers"], parts["operators"], parts["parents"]
    found = [
        Problem(
            f"servers.{name}.{field}",
            f"{name} is a PoP, and its edge says so of it",
            "said once",
            "declare it in the args of the AnycastEdge, and leave it out here",
            "server-said-twice",
        )
        for name, server in servers.items()
        if server.on_pop
        for field in sorted(server.model_fields_set & {"software", "addresses"})
    ]
    # what the primary calls a parent's key and its two ends
    taken = {f"{word}-{name}" for name in parents for word in ("ds", "parent", "look")}
    taken |= {f"update-{name}" for name in parts["updaters"]} | {AUDIT}
    for section, names in (("servers", servers), ("operators", operators)):
        for name in sorted(taken & names.keys()):
            fix = "give it another name"
            got = f"{name!r} is what the key or address of another is called on the primary"
            found.append(Problem(f"{section}.{name}", got, "", fix, "server-name-taken"))
    if PRIMARY in servers:
        fix = "give the name server another name"
        got = f"{PRIMARY!r} is what the primary's own host is called"
        found.append(Problem(f"servers.{PRIMARY}", got, "", fix, "server-name-taken"))
    if len(servers) == 1 and not operators:
        fix = "declare a second one, at another PoP"
        need = "two at least (RFC 2182 5)"
        got = "one name server alone serves every zone"
        found.append(Problem("servers", got, need, fix, "servers-few"))
    return found
