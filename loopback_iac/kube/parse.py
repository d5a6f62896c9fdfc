"""The door: the text of an egress file in, an Egress or every problem out."""

from collections.abc import Mapping
from typing import TypeVar

import yaml

from loopback_iac.kube.check import check_egress
from loopback_iac.kube.policy import Egress, EgressPolicy, Gateway, Head, Node, Pool
from loopback_iac.model.fields import Value
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import collect, named, plain

V = TypeVar("V", bound=Value)
SECTIONS: dict[str, type[Value]] = {
    "nodes": Node,
    "gateways": Gateway,
    "pools": Pool,
    "policies": EgressPolicy,
}


class UniqueLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: the first of two policies is no policy."""


def _mapping(loader: UniqueLoader, node: yaml.MappingNode) -> dict[object, object]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        try:
            twice = key in seen
        except TypeError:
            twice = False  # what is no key is refused by SafeLoader's own words below
        else:
            seen.add(key)
        if twice:
            where = key_node.start_mark
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", where)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


UniqueLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load_yaml(title: str, text: str) -> list[object]:
    """Documents of a YAML text, without the empty ones.

    Raises: InputRejected, with the place.
    """
    try:
        found = list(yaml.load_all(text, UniqueLoader))  # a SafeLoader
    except (yaml.YAMLError, RecursionError) as cause:
        got = " ".join(str(cause).split()) or "nested too deeply"
        if isinstance(cause, yaml.MarkedYAMLError) and cause.problem_mark is not None:
            place = f"line {cause.problem_mark.line + 1}, column {cause.problem_mark.column + 1}"
            got = f"{cause.problem} at {place}"
        problem = Problem(title, got, "YAML", "mend it at the place named", "yaml-syntax")
        raise InputRejected(title, (problem,)) from None
    return [each for each in found if each is not None]


def parse_egress(title: str, text: str, *, judged: bool = True) -> Egress:
    """A cluster's egress as declared.

    In: `title` names the file in refusals; `judged`: held to its backend and nodes as well, which
        who is still choosing one is not.
    Raises: InputRejected with every problem at once.
    """
    documents = load_yaml(title, text)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        got = f"{len(documents)} documents" if len(documents) != 1 else "no map"
        fix = "begin with docs/egress-example.yaml"
        problem = Problem(title, got, "one map", fix, "egress-file-shape")
        raise InputRejected(title, (problem,))
    return parse_egress_tree(title, documents[0], judged=judged)


def parse_egress_tree(title: str, given: Mapping[str, object], *, judged: bool = True) -> Egress:
    """The same, where the file was read already.

    Raises: InputRejected with every problem at once.
    """
    tree = plain(given)
    assert isinstance(tree, dict)  # noqa: S101  # a map stays a map
    problems: list[Problem] = []
    rest = {key: value for key, value in tree.items() if key not in SECTIONS}
    head = collect(Head, "", rest, problems, known=Egress)
    parts = {
        "nodes": _section("nodes", Node, tree, problems),
        "gateways": _section("gateways", Gateway, tree, problems),
        "pools": _section("pools", Pool, tree, problems),
        "policies": _section("policies", EgressPolicy, tree, problems),
    }
    whole = judged and not problems
    shown = head if head is not None else _stand_in(rest)
    if not judged:
        shown = shown.model_copy(update={"backend": "cilium"})
    found = Egress.model_construct(**{**dict(shown), **parts})
    problems += check_egress(found, _written(tree), whole=whole)
    if problems or head is None:
        raise InputRejected(title, tuple(problems))
    return found


def _stand_in(rest: dict[str, object]) -> Head:
    """A head that parses, so that what is wrong with it hides nothing below."""
    backend = rest.get("backend")
    tried = {
        "format": 1,
        "cluster": "c",
        "backend": backend if backend in ("cilium", "kube-vip") else "cilium",
        "pod_cidrs": [],
        "service_cidrs": [],
    }
    return Head.model_validate(tried)


def _written(tree: dict[str, object]) -> dict[str, frozenset[str]]:
    """Every name that was written, whether its part parsed or not."""
    return {
        key: frozenset(map(str, part)) if isinstance(part := tree.get(key), dict) else frozenset()
        for key in SECTIONS
    }


def _section(
    name: str, kind: type[V], tree: dict[str, object], problems: list[Problem]
) -> dict[str, V]:
    if name not in tree:
        fix = f"add {name}, as in docs/egress-example.yaml"
        problems.append(Problem(name, "is missing", "", fix, "field-missing"))
        return {}
    found: dict[str, V] = {}
    for key, part in named(name, tree[name], problems).items():
        value = collect(kind, f"{name}.{key}", part, problems)
        if value is not None:
            found[key] = value
    return dict(sorted(found.items()))
