"""What a stack has, zone by zone and supplier by supplier, in documents without a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopback_iac.controls.checks.suppliers import suppliers
from loopback_iac.controls.checks.zones import PRIMARY, ZONE_FILE
from loopback_iac.controls.tree import UndecidedError, at
from loopback_iac.evidence.canonical import canonical, sha256
from loopback_iac.evidence.results import REGISTER
from loopback_iac.evidence.snapshot import PROVIDER, hide, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopback_iac.controls import Stack, Wish
    from loopback_iac.evidence.snapshot import Snapshot, Tree

ZONE_KINDS = ("hcloud:index/zone:Zone", "ionoscloud:dns/zone:Zone", "cloudflare:index/zone:Zone")
RECORD_KINDS = (
    "hcloud:index/zoneRrset:ZoneRrset",
    "ionoscloud:dns/record:Record",
    "cloudflare:index/dnsRecord:DnsRecord",
)
WORDS = ("legal_name", "country", "contact", "services", "criticality", "contract", "last_review")


def render_stack(snapshot: Snapshot, software: Mapping[str, Any]) -> dict[str, Any]:
    """
    Every resource by its URN, with a digest of what the state holds of it instead of its values.

    In: software, as `installed_software` found it.
    """
    return {
        "format": 1,
        "project": snapshot.project,
        "stack": snapshot.stack,
        "resources": [
            {
                "urn": row["urn"],
                "type": row["type"],
                "name": name_of(row["urn"]),
                "parent": row.get("parent") or "",
                "provider": _provider(row),
                "protect": bool(row.get("protect")),
                "sha256": snapshot.digests[row["urn"]],
            }
            for row in snapshot.own
        ],
        "plugins": [
            {"package": row["type"].removeprefix(PROVIDER), "version": _version(row)}
            for row in snapshot.own
            if row["type"].startswith(PROVIDER)
        ],
        "hosts": _hosts(snapshot),
        "services": list(_services(snapshot)),
        "software": dict(software),
        "zones": zone_digests(snapshot),
    }


def zone_digests(snapshot: Snapshot) -> dict[str, str]:
    """
    SHA-256 of what each zone was declared to hold, by its name.

    Out: of the file that an own primary gets; for zones filled by API, of the records declared for
    them. What servers answer is another matter, which `loopback dns check` looks at.
    """
    parts: dict[str, list[Any]] = {}
    for name, text in _zone_files(snapshot):
        parts.setdefault(name, []).append(text)
    ids: dict[str, str] = {}
    for row in snapshot.own:
        outputs = {**(row.get("inputs") or {}), **(row.get("outputs") or {})}
        zone = outputs.get("name")
        if row["type"] in ZONE_KINDS and isinstance(zone, str):
            ids |= {str(row.get("id")): _bare(zone), zone: _bare(zone)}
            parts.setdefault(_bare(zone), [])
    for row in snapshot.own:
        inputs = hide(row.get("inputs") or {})
        held_in = ids.get(str(inputs.get("zone") or inputs.get("zoneId")))
        if row["type"] in RECORD_KINDS and held_in:
            parts[held_in].append({k: v for k, v in inputs.items() if not k.startswith("__")})
    return {
        name: sha256(canonical(sorted(held, key=canonical)))
        for name, held in sorted(parts.items())
        if held
    }


def render_suppliers(stack: Stack, wish: Wish) -> dict[str, Any]:
    """Whom the stack depends on, with what is on record about each."""
    register: Mapping[str, Any] = wish.params.get("SUP-01", {}).get(REGISTER) or {}
    try:
        used, late = suppliers(stack)
    except UndecidedError as cause:
        used, late = set(), [cause.path]
    return {
        "format": 1,
        "suppliers": [
            {"supplier": name, "used": name in used, "entry": _entry(register.get(name))}
            for name in sorted(used | set(register))
        ],
        "not_known": late,
        "not_in_a_stack": "registrars, authorities, software vendors and staff: keep them as well",
    }


def _hosts(snapshot: Snapshot) -> list[dict[str, str]]:
    return [
        {"name": name, "provider": at.provider, "site": at.site, "country": at.country}
        for name, at in snapshot.places.places.items()
    ]


def _services(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for name, fleet in snapshot.places.fleets.items():
        for service, told in sorted(fleet.get("services", {}).items()):
            addresses = fleet.get("vips", {}).get(told.get("vip"), [])
            port = int(told.get("port") or 0)
            yield {"fleet": name, "name": service, "addresses": [*addresses], "port": port}


def _entry(entry: object) -> dict[str, Any] | None:
    found = {word: at(entry, word) for word in WORDS}
    told = {k: v for k, v in found.items() if isinstance(v, str | list)}
    return told or None


def _zone_files(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for row in snapshot.own:
        files = {**(row.get("inputs") or {}), **(row.get("outputs") or {})}.get("files")
        if row["type"] != PRIMARY or not isinstance(files, dict):
            continue
        for path, text in files.items():
            if (place := ZONE_FILE.fullmatch(path)) and isinstance(text, str):
                yield _bare(place[1]), text


def _bare(zone: str) -> str:
    return zone.lower().removesuffix(".")


def _provider(row: Tree) -> str:
    package: str = row["type"].partition(":")[0]
    return "" if package in ("pulumi", "loopback-iac") else package


def _version(row: Tree) -> str:
    found = (row.get("inputs") or {}).get("version")
    return found if isinstance(found, str) else ""
