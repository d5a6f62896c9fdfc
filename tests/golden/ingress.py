"""Golden ingress: a folder each, with what is declared and what the edge or the primary says.

fleet.yaml holds
  ingress, edge           an ingress controller and its edge, or
  issuer, update, zones   a certificate issuer, the key of its updates, zones that are known, edge
  base, set, remove       another case with changes, each under its path, steps divided by /
  means                   rejected: every "rule at path", in order
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from loopback_iac.dns import parse_declared_zones
from loopback_iac.kube import (
    check_http01_edge,
    ingress_base,
    merged_values,
    parse_behind,
    parse_ingress,
    parse_issuer,
    parse_update,
    records_of,
    render_ingress,
    render_issuer,
    render_yaml,
)
from tests.golden.egress import _owner

CASES = Path(__file__).parent / "ingress"
TITLE = "ingress"


@dataclass(frozen=True)
class Case:
    """One folder."""

    name: str
    tree: dict[str, Any]
    means: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return CASES / self.name

    def read(self) -> dict[str, str]:
        """What is made of it, or everything that is wrong."""
        return _issued(self.tree) if "issuer" in self.tree else _served(self.tree)


def behind(tree: dict[str, Any]):
    """An ingress controller with its edge."""
    ingress = parse_ingress(TITLE, tree["ingress"] | {"edge": tree["edge"]})
    return parse_behind(TITLE, ingress, tree["edge"])


def _served(tree: dict[str, Any]) -> dict[str, str]:
    found = behind(tree)
    if found.ingress.controller.chart is None:
        return {"manifests.yaml": render_yaml(render_ingress(found))}
    return {
        "manifests.yaml": render_yaml(ingress_base(found.ingress)),
        "values.yaml": render_yaml([merged_values(found)]),
    }


def _issued(tree: dict[str, Any]) -> dict[str, str]:
    zones = parse_declared_zones(TITLE, tree.get("zones", {}))
    issuer = parse_issuer("letsencrypt", tree["issuer"], zones)
    if issuer.http01 is not None:
        check_http01_edge(TITLE, tree["edge"])
    update = parse_update(TITLE, issuer, tree["update"]) if issuer.dns01 is not None else None
    return {
        "manifests.yaml": render_yaml(render_issuer(issuer, update)),
        "records.txt": "".join(f"{line}\n" for line in records_of(issuer)),
    }


@cache
def _written(name: str) -> dict[str, Any]:
    return yaml.safe_load((CASES / name / "fleet.yaml").read_text())


def load(name: str) -> Case:
    tree = copy.deepcopy(_written(name))
    changes, removed, means = tree.pop("set", {}), tree.pop("remove", []), tree.pop("means", [])
    if "base" in tree:
        tree = copy.deepcopy(load(tree["base"]).tree)
    for path, value in changes.items():
        owner, last = _owner(tree, path)
        owner[last] = value
    for path in removed:
        owner, last = _owner(tree, path)
        del owner[last]
    return Case(name, tree, means)


def names(*, rejected: bool) -> list[str]:
    found = sorted(p.parent.name for p in CASES.glob("*/fleet.yaml"))
    return [name for name in found if bool(load(name).means) is rejected]
