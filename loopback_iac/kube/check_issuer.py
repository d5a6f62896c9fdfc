"""The doors of a certificate issuer: what was written; the edge, the key, the zones behind it."""

import re
from collections.abc import Iterator, Mapping, Sequence

from loopback_iac.kube.chart_values import check_owned
from loopback_iac.kube.ingress import Edge
from loopback_iac.kube.issuer import CHART_VALUES, LONGEST, Dns01, Issuer, Update
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import collect, plain

Records = Mapping[str, Mapping[str, Sequence[str]]]
"""Of a zone: values by owner and type. Owners end in a dot, values are as zone files have them."""
HTTP_PORT = 80
_CAA = re.compile(r'(?P<flags>\d+) (?P<tag>[A-Za-z0-9]+) "(?P<value>.*)"')


def parse_issuer(
    name: str, tree: Mapping[str, object], zones: Mapping[str, Records] | None = None
) -> Issuer:
    """An issuer as declared; what comes late is not looked into.

    In: zones that hold its names, where they are known: then records that it needs must be there.
    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    whole = plain(tree)
    assert isinstance(whole, dict)  # noqa: S101  # a Mapping stays a map
    found = collect(Issuer, "", {"name": name, **whole}, problems)
    if found is not None:
        problems += _check(found)
        problems += _check_zones(found, zones or {})
    if problems or found is None:
        raise InputRejected(name, tuple(problems))
    return found


def parse_update(name: str, issuer: Issuer, told: object) -> Update:
    """The key of updates, and whether it opens the zone of challenges.

    Raises: InputRejected, without showing the key.
    """
    problems: list[Problem] = []
    path = "dns01.update"
    if not isinstance(told, Mapping):
        # whoever gave the key alone is not shown it
        fix = "take it from output `updates` of the primary"
        raise InputRejected(name, (Problem(path, "is no map", "", fix, "field-type"),))
    found = collect(Update, path, plain(told), problems)
    if found is not None and not found.addresses:
        fix = "take it from output `updates` of the primary"
        problems.append(
            Problem(f"{path}.addresses", "is empty", "an address", fix, "section-empty")
        )
    zone = issuer.dns01.zone if issuer.dns01 else ""
    if found is not None and found.zones and zone not in _bare(found.zones):
        got = f"key {found.key_name} may not update {zone}"
        need = ", ".join(_bare(found.zones))
        fix = "declare the zone at HiddenPrimary with this updater under updated_by"
        problems.append(Problem("dns01.zone", got, need, fix, "challenge-zone-updated"))
    if problems or found is None:
        raise InputRejected(name, tuple(problems))
    return found


def check_http01_edge(name: str, told: object) -> None:
    """Whether the authority's question gets in by the edge.

    Raises: InputRejected.
    """
    problems: list[Problem] = []
    edge = collect(Edge, "http01.edge", plain(told), problems)
    if edge is not None and not any(s.port == HTTP_PORT for s in edge.services.values()):
        ports = sorted({service.port for service in edge.services.values()})
        got = f"pool {edge.pool} is reached at {', '.join(map(str, ports)) or 'no port'}"
        fix = "declare a service with port 80 at the edge, or use dns01"
        need = f"port {HTTP_PORT}, where the authority asks (RFC 8555 8.3)"
        problems.append(Problem("http01.edge", got, need, fix, "http01-port-80"))
    if problems:
        raise InputRejected(name, tuple(problems))


def records_of(issuer: Issuer) -> list[str]:
    """Records that have to be in zones of others, one line each, as zone files have them."""
    found = []
    if issuer.dns01 is not None:
        found += [
            f"{owner}. CNAME {target}."
            for owner, target in sorted(issuer.dns01.delegations.items())
        ]
    if issuer.authority is not None:
        names = sorted(set(issuer.dns01.names)) if issuer.dns01 else []
        found += [f'{name} CAA 0 issue "{issuer.authority}"' for name in _tops(names)]
    return found


def _tops(names: Sequence[str]) -> list[str]:
    """The names that stand for others: a CAA record holds for what is below it (RFC 8659 3)."""
    bare = {name.removeprefix("*.") for name in names}
    return sorted(f"{n}." for n in bare if not any(n.endswith(f".{other}") for other in bare))


def _check(issuer: Issuer) -> Iterator[Problem]:
    if issuer.http01 is None and issuer.dns01 is None:
        got, fix = "neither http01 nor dns01", "declare how the authority can see whose a name is"
        yield Problem("http01", got, "at least one of the two", fix, "solver-missing")
    artifact, path = issuer.cert_manager, "cert_manager.values"
    if artifact is not None and artifact.is_chart:
        yield from check_owned(path, artifact.values, CHART_VALUES)
    elif artifact is not None and artifact.values:
        got, fix = f"{artifact.path} is no chart", "leave it out, or give the chart as .tgz"
        yield Problem(path, got, "nothing", fix, "chart-values")
    if issuer.dns01 is not None:
        yield from _check_dns01(issuer.dns01)


def _check_dns01(dns01: Dns01) -> Iterator[Problem]:
    if not dns01.names:
        fix = "name what certificates are wanted for: each needs a CNAME"
        yield Problem("dns01.names", "is empty", "at least one name", fix, "section-empty")
    for at, name in enumerate(dns01.names):
        path = f"dns01.names[{at}]"
        if name in dns01.names[:at]:
            yield Problem(path, f"{name} is named twice", "", "remove it", "certificate-name-twice")
        if len(dns01.target(name)) > LONGEST:
            got, need = f"{dns01.target(name)} is too long a name", f"at most {LONGEST} letters"
            yield Problem(
                path, got, need, "give the zone of challenges a shorter name", "name-long"
            )
        if f".{name.removeprefix('*.')}".endswith(f".{dns01.zone}"):
            got = f"{name} is in {dns01.zone}, which only updates fill"
            fix = "keep the zone for challenges alone"
            yield Problem(path, got, "a name outside of it", fix, "challenge-zone-apart")


def _check_zones(issuer: Issuer, zones: Mapping[str, Records]) -> Iterator[Problem]:
    """Records that the issuer needs, in those zones that are known."""
    delegations = issuer.dns01.delegations if issuer.dns01 else {}
    for owner, target in sorted(delegations.items()):
        zone = _holding(owner, zones)
        if zone is None:
            continue
        held = [value.removesuffix(".") for value in _values(zones[zone], owner, "CNAME")]
        if held != [target]:
            got = f"{owner} leads to {', '.join(held)}" if held else f"{owner} has no CNAME"
            fix = f"write `{owner}. CNAME {target}.` into the zone"
            yield Problem(f"zones.{zone}", got, target, fix, "challenge-delegated")
    for zone in sorted(zones) if issuer.authority else ():
        for owner, sets in sorted(zones[zone].items()):
            if owner == f"{zone}." or ("CAA" in sets and _governed(issuer, owner)):
                yield from _check_caa(issuer, zone, owner, sets.get("CAA", ()))


def _governed(issuer: Issuer, owner: str) -> list[str]:
    """Wanted names that records of an owner may hold for."""
    names = issuer.dns01.names if issuer.dns01 else ()
    return [name for name in names if f".{name}.".endswith(f".{owner}")]


def _check_caa(issuer: Issuer, zone: str, owner: str, values: Sequence[str]) -> Iterator[Problem]:
    told: dict[str, set[str]] = {}
    for found in filter(None, map(_CAA.fullmatch, values)):
        named = found["value"].partition(";")[0].strip().lower()
        told.setdefault(found["tag"].lower(), set()).add(named)
    wild = any(name.startswith("*.") for name in _governed(issuer, owner))
    for tag in ("issue", *(["issuewild"] if wild and "issuewild" in told else [])):
        names = told.get(tag, set())
        if issuer.authority in names:
            continue
        got = f"{owner} lets {', '.join(sorted(filter(None, names))) or 'nobody'} {tag}"
        if tag not in told:  # RFC 8659 4.2: other properties alone restrict nobody
            got = f"{owner} does not say who may issue, so everybody may"
        fix = f'write `{owner} CAA 0 {tag} "{issuer.authority}"` into the zone'
        yield Problem(f"zones.{zone}", got, f"{issuer.authority}", fix, "caa-names-authority")


def _holding(name: str, zones: Mapping[str, Records]) -> str | None:
    """The zone that a name is in, of those that are known."""
    found = [zone for zone in zones if f".{name}".endswith(f".{zone}")]
    return max(found, key=len, default=None)


def _values(records: Records, owner: str, kind: str) -> Sequence[str]:
    return records.get(f"{owner}.", {}).get(kind, ())


def _bare(zones: Sequence[str]) -> list[str]:
    return [zone.removesuffix(".") for zone in zones]
