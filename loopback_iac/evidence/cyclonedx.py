"""Services, hosts and software of a stack as CycloneDX 1.6 (ECMA-424).

Written by hand: the library would be a dependency of everybody for one document of one shape.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMES = UUID("6f3a4b1e-6d0e-5c77-9a35-6c6f6f706261")
"""Of our identifiers: the same record always has the same ones."""


def identifier(head: Mapping[str, Any], what: str) -> str:
    """A UUID (version 5) of something in one record."""
    return str(uuid5(NAMES, f"{head['sha256']}/{what}"))


def render_cyclonedx(
    head: Mapping[str, Any], stack: Mapping[str, Any], suppliers: Mapping[str, Any]
) -> dict[str, Any]:
    """What is served, on which hosts, bought from whom, deployed with which software."""
    components = [*_hosts(stack), *_plugins(stack), *_packages(stack)]
    services = [*_services(stack), *_suppliers(suppliers)]
    root = f"stack:{head['project']}/{head['stack']}"
    parts = sorted(each["bom-ref"] for each in (*components, *services))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{identifier(head, 'cyclonedx')}",
        "version": 1,
        "metadata": {
            "timestamp": head["made"],
            "tools": {
                "components": [
                    {
                        "type": "application",
                        "name": "loopback-iac",
                        "version": head["pack"]["version"],
                    }
                ]
            },
            "component": {
                "type": "platform",
                "bom-ref": root,
                "name": f"{head['project']}/{head['stack']}",
                "version": str(head["number"]),
            },
        },
        "components": components,
        "services": services,
        "dependencies": [{"ref": root, "dependsOn": parts}],
    }


def _hosts(stack: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for each in stack["hosts"]:
        told = {f"loopback:{k}": each[k] for k in ("provider", "site", "country") if each[k]}
        yield {
            "type": "device",
            "bom-ref": f"host:{each['name']}",
            "name": each["name"],
            "properties": [{"name": name, "value": value} for name, value in told.items()],
        }


def _plugins(stack: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    seen = dict.fromkeys((each["package"], each["version"]) for each in stack["plugins"])
    for package, version in sorted(seen):
        yield {
            "type": "library",
            "bom-ref": f"plugin:{package}@{version}",
            "group": "pulumi-resource",
            "name": package,
            **({"version": version} if version else {}),
        }


def _packages(stack: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for each in stack["software"]["packages"]:
        purl = f"pkg:pypi/{each['name']}@{each['version']}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": each["name"],
            "version": each["version"],
            "purl": purl,
        }


def _services(stack: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for each in stack["services"]:
        yield {
            "bom-ref": f"service:{each['fleet']}/{each['name']}",
            "name": each["name"],
            "group": each["fleet"],
            "endpoints": [f"tcp://{_bracketed(at)}:{each['port']}" for at in each["addresses"]],
        }


def _bracketed(address: str) -> str:
    """Written out: the grammar of a widely used validator (rfc3987-syntax) lacks `::`."""
    return f"[{ip_address(address).exploded}]" if ":" in address else address


def _suppliers(suppliers: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for each in suppliers["suppliers"]:
        if not each["used"]:
            continue
        entry = each["entry"] or {}
        legal = str(entry.get("legal_name") or each["supplier"])
        registered = "in the register" if each["entry"] else "not in the register"
        yield {
            "bom-ref": f"supplier:{each['supplier']}",
            "provider": {"name": legal},
            "name": each["supplier"],
            "description": f"bought from a supplier, {registered}",
            "x-trust-boundary": True,
        }
