"""Manifests as children of a component: a resource each, of the kind that the manifest says.

A manifest is data that kube/ renders and tests validate, so the typed classes of the SDK would only
spell it again. Type and inputs are those of the SDK's own resources: the same state, diff, wait.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pulumi

GROUP_OF_NONE = "core"
"""Kubernetes' first kinds have no group; Pulumi's tokens name one."""


class Applied(pulumi.CustomResource):
    """One object of a cluster."""


def declare_manifest(
    name: str, manifest: Mapping[str, Any], opts: pulumi.ResourceOptions, *, patch: bool = False
) -> Applied:
    """Declare an object as a manifest says.

    In: `manifest`: values may be outputs, but for apiVersion and kind; `patch`: of an object that
        somebody else made, only these fields.
    """
    token = _token(manifest["apiVersion"], manifest["kind"]) + ("Patch" if patch else "")
    pinned = pulumi.ResourceOptions(version=version("pulumi-kubernetes"))
    return Applied(token, name, dict(manifest), pulumi.ResourceOptions.merge(opts, pinned))


def find_object(
    name: str, kind: tuple[str, str], ident: str, opts: pulumi.ResourceOptions
) -> Applied:
    """Read an object that has to be there; a plan or an up fails where it is not.

    In: `kind`: apiVersion and kind; `ident`: its name, or namespace/name.
    """
    there = pulumi.ResourceOptions(version=version("pulumi-kubernetes"), id=ident)
    return Applied(_token(*kind), name, {}, pulumi.ResourceOptions.merge(opts, there))


def _token(api: str, kind: str) -> str:
    return f"kubernetes:{api if '/' in api else f'{GROUP_OF_NONE}/{api}'}:{kind}"


def child_name(parent: str, manifest: Mapping[str, Any]) -> str:
    """Name of a manifest's resource: kind, namespace and name are what tells objects apart."""
    about = manifest["metadata"]
    parts = (parent, manifest["kind"].lower(), about.get("namespace"), about["name"])
    return "-".join(part for part in parts if part)
