"""The provider's own settings: what is mirrored, what is refused, which cluster is meant."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from loopback_iac.engine.values import UNKNOWN, Values

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODE = "this stand-in mirrors Server-Side Apply to a cluster only"
_REFUSED = {
    "renderYamlToDirectory": f"{_MODE}; render with helm or kubectl",
    "alwaysRender": _MODE,
    "helmReleaseSettings": "this stand-in has no helm.sh/v3:Release",
}


@dataclass(frozen=True)
class Settings:
    """Units: timeout_s, of one request; 0 is the client's own."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    namespace: str = ""
    patch_force: bool = False
    upsert: bool = False
    configmap_mutable: bool = False
    secret_mutable: bool = False
    delete_unreachable: bool = False
    skip_unreachable: bool = False
    timeout_s: float = 0


def check_settings(config: Values, *, default: bool) -> list[tuple[str, str]]:
    """
    What is wrong with a provider's settings.

    In: default: whether they are those of the provider that nobody declared.
    Out: (property, reason) pairs.
    Sources: pulumi-kubernetes provider/pkg/provider/provider.go CheckConfig.
    """
    found = [(key, reason) for key, reason in _REFUSED.items() if _is_set(config.get(key))]
    if _is_set(config.get("strictMode")):
        if default:
            found.append(("", "strict mode prohibits default provider"))
        found += [
            (key, f'strict mode requires Provider "{key}" argument')
            for key in ("kubeconfig", "context")
            if not config.get(key)
        ]
    applies = config.get("enableServerSideApply")
    if applies is not None and applies != UNKNOWN and not _is_set(applies):
        found.append(("enableServerSideApply", _MODE))
    return found


def _is_set(value: object) -> bool:
    return value != "false" and bool(value)


def parse_settings(config: Values) -> Settings:
    """
    Read settings, with the environment for what is not given.

    Raises: ValueError when kubeClientSettings is no JSON.
    Sources: pulumi-kubernetes provider/pkg/provider/provider.go Configure.
    """

    def flag(key: str, variable: str) -> bool:
        if config.get(key) is not None:
            return _is_set(config[key])
        return os.environ.get(f"PULUMI_K8S_{variable}") == "true"

    client = config.get("kubeClientSettings") or {}
    client = json.loads(client) if isinstance(client, str) else client
    kubeconfig = config.get("kubeconfig") or ""
    return Settings(
        kubeconfig=kubeconfig if isinstance(kubeconfig, str) else json.dumps(kubeconfig),
        context=config.get("context") or "",
        cluster=config.get("cluster") or "",
        namespace=config.get("namespace") or "",
        patch_force=flag("enablePatchForce", "ENABLE_PATCH_FORCE"),
        upsert=flag("upsertExistingObjects", "UPSERT_EXISTING_OBJECTS"),
        configmap_mutable=flag("enableConfigMapMutable", "ENABLE_CONFIGMAP_MUTABLE"),
        secret_mutable=flag("enableSecretMutable", "ENABLE_SECRET_MUTABLE"),
        delete_unreachable=flag("deleteUnreachable", "DELETE_UNREACHABLE"),
        skip_unreachable=flag("skipUpdateUnreachable", "SKIP_UPDATE_UNREACHABLE"),
        timeout_s=float(client.get("timeout") or 0),
    )


def read_kubeconfig(given: str) -> tuple[dict[str, Any], Path]:
    """
    A kubeconfig from its text or its path; from $KUBECONFIG or ~/.kube/config when none is given.

    Out: the document, and the folder that its relative paths start from.
    Raises: ValueError or OSError when there is none or it cannot be read.
    Sources: pulumi-kubernetes provider/pkg/provider/util.go parseKubeconfigString.
    """
    place = given or os.environ.get("KUBECONFIG") or "~/.kube/config"
    folder = Path.cwd()
    text = place
    if "\n" not in place and "{" not in place:
        path = Path(place).expanduser()
        folder, text = path.resolve().parent, path.read_text()
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "no YAML"  # the rest would quote the text
        raise ValueError(f"the kubeconfig is no YAML: {problem}") from None
    if not isinstance(document, dict):
        raise ValueError("the kubeconfig is no map of clusters, users and contexts")  # noqa: TRY004
    return document, folder


def _named(document: Mapping[str, Any], kind: str, name: object) -> Any:  # noqa: ANN401
    rows = document.get(f"{kind}s") or []
    return next((row.get(kind) for row in rows if row.get("name") == name), None)


def _find_cluster(document: Mapping[str, Any], config: Values) -> Any:  # noqa: ANN401  # as it stands
    """
    The entry of the cluster that is in use; None when there is none.

    Sources: pulumi-kubernetes provider/pkg/provider/util.go getActiveClusterFromConfig.
    """
    name = config.get("context") or document.get("current-context")
    context = _named(document, "context", name) or {}
    return _named(document, "cluster", config.get("cluster") or context.get("cluster"))


def find_namespace(settings: Settings) -> str:
    """
    The namespace of what has none: the provider's, else the context's, else nothing.

    Sources: pulumi-kubernetes provider/pkg/provider/provider.go Configure.
    """
    if settings.namespace:
        return settings.namespace
    try:
        document, _ = read_kubeconfig(settings.kubeconfig)
        name = settings.context or document.get("current-context")
        context = _named(document, "context", name) or {}
    except (ValueError, OSError, AttributeError, TypeError):
        return ""
    return str(context.get("namespace") or "default")


def find_replacing(olds: Values, news: Values) -> list[str]:
    """
    Which changed settings mean another cluster, and so replace everything in it.

    Sources: pulumi-kubernetes provider/pkg/provider/provider.go DiffConfig.
    """
    keys = ("kubeconfig", "context", "cluster")
    old, new = olds.get("clusterIdentifier"), news.get("clusterIdentifier")
    if new and old == new:
        return []
    replaces = ["clusterIdentifier"] if old and new else []
    unknown = [key for key in keys if news.get(key) == UNKNOWN]
    if unknown:
        return [*replaces, unknown[0]]
    found = []
    for config in (olds, news):
        try:
            document, _ = read_kubeconfig(parse_settings(config).kubeconfig)
        except (ValueError, OSError):
            return replaces
        found.append(_find_cluster(document, config))
    if None not in found and found[0] != found[1]:
        replaces += [key for key in keys if olds.get(key) != news.get(key)]
    return replaces
