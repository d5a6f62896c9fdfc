"""Checks that a declared policy and a hand-written manifest share: labels, networks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from loopback_iac.kube.selectors import OPERATORS, key_fault, value_fault
from loopback_iac.model.fields import Network, described
from loopback_iac.model.problem import Problem

_LABEL_NEED = "letters, digits, '-', '_' and '.', at most 63, beginning and ending with one of them"


def check_labels(path: str, labels: object) -> Iterator[Problem]:
    """Every key and value of a map of labels."""
    if not isinstance(labels, Mapping):
        yield Problem(path, described(labels), "a map", "write a map of labels", "field-type")
        return
    for key, value in labels.items():
        where = f"{path}.{key}"
        if fault := key_fault(str(key)):
            yield Problem(where, fault, "[dns-name/]name", "write the label's key", "label-key")
        if not isinstance(value, str):
            got = described(value)
            fix = f'put it in quotes: "{str(value).lower()}"'
            yield Problem(where, got, "a string", fix, "label-value")
        elif fault := value_fault(value):
            yield Problem(where, fault, _LABEL_NEED, "write the label's value", "label-value")


def check_expression(path: str, key: object, operator: object, values: object) -> Iterator[Problem]:
    """One requirement with an operator, as API server and agent want it."""
    if not isinstance(key, str) or key_fault(key):
        got = key_fault(key) if isinstance(key, str) else described(key)
        yield Problem(f"{path}.key", got, "[dns-name/]name", "write the label's key", "label-key")
    if operator not in OPERATORS:
        got, need = f"{operator!r} is no operator", ", ".join(OPERATORS)
        yield Problem(f"{path}.operator", got, need, "choose one of them", "selector-operator")
        return
    named = list(values) if isinstance(values, list | tuple) else []
    if operator in ("In", "NotIn") and not named:
        got = f"{operator} without values"
        yield Problem(f"{path}.values", got, "a value", "write values", "selector-values")
    if operator in ("Exists", "DoesNotExist") and named:
        got = f"{operator} with values"
        yield Problem(f"{path}.values", got, "none", "remove them", "selector-values")
    for at, value in enumerate(named):
        fault = value_fault(value) if isinstance(value, str) else described(value)
        if fault:
            yield Problem(f"{path}.values[{at}]", fault, _LABEL_NEED, "write it", "label-value")


def inside(network: Network, outer: Network) -> bool:
    """Whether all of a network lies in another."""
    return (
        network.version == outer.version
        and network.prefixlen >= outer.prefixlen
        and network.network_address in outer
    )


def check_networks(
    path: str,
    destinations: Sequence[Network | None],
    excluded: Sequence[Network | None],
    fields: tuple[str, str] = ("destinations", "excluded"),
) -> Iterator[Problem]:
    """Destinations that are named twice, and exclusions that exclude nothing or everything.

    In: None where something stands that is no network.
    """
    wanted = [network for network in destinations if network is not None]
    for at, network in enumerate(destinations):
        if network is not None and network in destinations[:at]:
            where = f"{path}.{fields[0]}[{at}]"
            yield Problem(where, f"{network} is named twice", "", "remove it", "destination-twice")
    for at, network in enumerate(excluded):
        where = f"{path}.{fields[1]}[{at}]"
        if network is None:
            continue
        if not any(inside(network, each) for each in wanted):
            yield Problem(
                where,
                f"{network} is in no destination, so it excludes nothing",
                f"a part of {', '.join(dict.fromkeys(map(str, wanted))) or 'a destination'}",
                "remove it, or widen a destination",
                "excluded-subset",
            )
        elif network in wanted:
            got = f"{network} is a destination as well, and excluded as a whole"
            yield Problem(where, got, "a part of it", "remove one of them", "excluded-whole")


class Ends(NamedTuple):
    """Where pods may go by one policy, as far as another meets it."""

    name: str
    path: str
    destinations: Sequence[Network]
    excluded: Sequence[Network]


def check_shared(one: Ends, other: Ends) -> Iterator[Problem]:
    """Networks of two policies that may mean one pod.

    The longest network decides in the agent, so a part of another's destination is no conflict;
    the same network twice is, and so is an exclusion that only one of them knows.
    Sources: Cilium 1.20.1, bpf/lib/egress_gateway.h and pkg/egressgateway/policy.go.
    """
    both = {*one.destinations, *one.excluded} & {*other.destinations, *other.excluded}
    for network in sorted(both - ({*one.excluded} & {*other.excluded}), key=str):
        got = f"{network} is in {one.name} as well, for pods that both may mean"
        fix = "tell the pods apart by a label, or write the network in one of them"
        yield Problem(other.path, got, "networks of its own", fix, "overlap-destination")
    for narrow, wide in ((other, one), (one, other)):
        for network in narrow.excluded:
            if any(inside(network, each) for each in wide.excluded):
                continue
            for target in wide.destinations:
                if target != network and inside(network, target):
                    got = (
                        f"{narrow.name} excludes {network}, a part of {target}: for these pods too"
                    )
                    fix = "exclude it here as well, or tell the pods apart by a label"
                    yield Problem(wide.path, got, "", fix, "overlap-excluded")
