"""Manifests as data, and their one text: keys in one order, no aliases, LF, the same every time."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from loopback_iac.kube.policy import Egress, EgressPolicy

Manifest = dict[str, Any]
FIRST = ("apiVersion", "kind", "metadata", "spec", "name", "namespace")
PREFIX = "loopback-iac/"
MADE_BY = {"app.kubernetes.io/managed-by": "loopback-iac"}


class _Dumper(yaml.SafeDumper):
    """Without anchors: two equal parts are written twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's own name
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """A text of several lines, such as a file in a ConfigMap, as it reads."""
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def render_yaml(documents: Iterable[Mapping[str, Any]]) -> str:
    """Text of manifests or values."""
    texts = [
        yaml.dump(
            _ordered(document),
            Dumper=_Dumper,
            sort_keys=False,
            default_flow_style=False,
            allow_unicode=True,
            width=120,
        )
        for document in documents
    ]
    return "---\n".join(texts)


def _ordered(value: object) -> object:
    if isinstance(value, Mapping):
        rank = {key: at for at, key in enumerate(FIRST)}
        keys = sorted(value, key=lambda key: (rank.get(key, len(FIRST)), str(key)))
        return {key: _ordered(value[key]) for key in keys}
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in value]
    return value


def metadata(
    egress: Egress, policy: str, declared: EgressPolicy, name: str, namespace: str = ""
) -> Manifest:
    """Whose it is, on everything that is made of a policy."""
    found: Manifest = {
        "name": name,
        "labels": {
            **MADE_BY,
            f"{PREFIX}cluster": egress.cluster,
            f"{PREFIX}policy": policy,
            f"{PREFIX}tenant": declared.tenant,
        },
        "annotations": {f"{PREFIX}owner": declared.owner},
    }
    if declared.because:
        found["annotations"][f"{PREFIX}because"] = declared.because
    return found | ({"namespace": namespace} if namespace else {})


def selector(labels: Mapping[str, str], expressions: Iterable[Any] = ()) -> Manifest:
    """A label selector; empty parts are left out."""
    found: Manifest = {}
    if labels:
        found["matchLabels"] = dict(labels)
    listed = [
        {"key": each.key, "operator": each.operator}
        | ({"values": list(each.values)} if each.values else {})
        for each in expressions
    ]
    return found | ({"matchExpressions": listed} if listed else {})
