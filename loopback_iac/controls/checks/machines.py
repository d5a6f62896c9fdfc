"""JUR-01, PRO, AST, BAK-01: each ordered thing by itself, from its own inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from loopback_iac.controls.checks.redundancy import HETZNER, IONOS
from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.stack import failed, inapplicable, passed, unsure
from loopback_iac.controls.tree import ABSENT, UNKNOWN, at, each
from loopback_iac.model.places import HETZNER_LOCATIONS, IONOS_LOCATIONS
from loopback_iac.proof import HOSTS

if TYPE_CHECKING:
    from loopback_iac.controls.result import Finding
    from loopback_iac.controls.stack import Resource

VOLUME = "hcloud:index/volume:Volume"
KEPT_AT_HETZNER = (
    HETZNER,
    VOLUME,
    "hcloud:index/floatingIp:FloatingIp",
    "hcloud:index/primaryIp:PrimaryIp",
    "hcloud:index/network:Network",
    "hcloud:index/loadBalancer:LoadBalancer",
)
KEPT_AT_IONOS = (
    IONOS,
    "ionoscloud:compute/datacenter:Datacenter",
    "ionoscloud:compute/iPBlock:IPBlock",
    "ionoscloud:compute/volume:Volume",
)
PLACED = (*KEPT_AT_HETZNER, *KEPT_AT_IONOS)
LABELLED = (*KEPT_AT_HETZNER, IONOS, "hcloud:index/firewall:Firewall")
FLEET_ROLES = frozenset({"pop", "worker"})


@CHECKS.resource("JUR-01", *PLACED, *HOSTS)
def check_country(resource: Resource, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """It stands in a country of the list."""
    country = _country(resource)
    if country is UNKNOWN:
        yield unsure(resource, ["its location"])
    elif country is ABSENT:
        return
    elif country in settings["countries"]:
        yield passed(resource)
    else:
        yield failed(resource, f"it stands in {country}")


@CHECKS.resource("PRO-01", *KEPT_AT_HETZNER, *KEPT_AT_IONOS)
def check_protection(resource: Resource, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """What is critical is deleted by nobody by accident: at the provider where it can, or by us."""
    criticality = _label(resource, "criticality")
    if isinstance(criticality, str) and criticality not in settings["criticalities"]:
        yield inapplicable(f"criticality is {criticality}")
        return
    kept = at(resource.facts, "deleteProtection")
    if resource.protect or kept is True:
        yield passed(resource)
    elif UNKNOWN in (kept, criticality):
        yield unsure(resource, ["deleteProtection or its criticality"])
    else:
        yield failed(resource, "neither delete protection at the provider nor `protect`")


@CHECKS.resource("AST-01", *LABELLED)
def check_labels(resource: Resource, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """An inventory can tell whose it is and what for."""
    if at(resource.facts, "labels") is UNKNOWN:
        yield unsure(resource, ["labels"])
        return
    missing = [name for name in settings["labels"] if _label(resource, name) is ABSENT]
    late = [name for name in settings["labels"] if _label(resource, name) is UNKNOWN]
    if late and not missing:
        yield unsure(resource, ["labels"])
    elif missing:
        yield failed(resource, f"labels missing: {', '.join(missing)}")
    else:
        yield passed(resource)


@CHECKS.resource("BAK-01", HETZNER)
def check_backups(server: Resource, _: Mapping[str, Any]) -> Iterator[Finding]:
    """A server that holds state is backed up; PoPs and workers are made anew from the program."""
    role, backups = _label(server, "role"), at(server.facts, "backups")
    if role in FLEET_ROLES:
        yield inapplicable(f"a {role} holds no state: `up` makes it anew")
    elif backups is True:
        yield passed(server)
    elif UNKNOWN in (role, backups):
        yield unsure(server, ["backups or its role"])
    else:
        yield failed(server, "backups are off")


def _country(resource: Resource) -> Any:  # noqa: ANN401  # a country, or Access
    if resource.kind in HOSTS:
        told = [at(resource.facts, *path) for path in (("country",), ("machine", "country"))]
        told.append(at(resource.facts, "host", "country"))
        return next((each for each in told if each is not ABSENT), ABSENT)
    location = at(resource.facts, "location")
    if not isinstance(location, str):
        return location
    place = HETZNER_LOCATIONS.get(location) or IONOS_LOCATIONS.get(location)
    return place.country if place else f"{location}, a place of no country known here"


def _label(resource: Resource, name: str) -> Any:  # noqa: ANN401  # a text, or Access
    found = at(resource.facts, "labels")
    told = at(_labels(resource), name)
    if told is ABSENT and isinstance(found, list | tuple):
        late = any(UNKNOWN in (at(pair), at(pair, "key")) for pair in found)
        return UNKNOWN if late else ABSENT
    return UNKNOWN if found is UNKNOWN else told


def _labels(resource: Resource) -> dict[str, Any]:
    """IONOS has a list of keys and values."""
    found = at(resource.facts, "labels")
    if isinstance(found, Mapping):
        return {str(key): found[key] for key in found}
    if isinstance(found, list | tuple):
        pairs = [(at(pair, "key"), at(pair, "value")) for pair in each(found)]
        return {str(key): value for key, value in pairs if isinstance(key, str)}
    return {}
