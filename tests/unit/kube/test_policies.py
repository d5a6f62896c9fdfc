"""Any sound egress file renders to what the check of manifests passes, the same bytes each time."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import cycle

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from loopback_iac.kube import (
    backends,
    check_manifests,
    fit,
    free_addresses,
    parse_egress,
    render_cilium,
    render_values,
    render_yaml,
)
from loopback_iac.kube.cegp import KIND
from loopback_iac.model import InputRejected
from tests.golden import egress as golden

V4 = [str(each) for each in ip_network("198.18.0.0/16").subnets(new_prefix=24)]
V6 = [str(each) for each in ip_network("2001:db8:ba::/48").subnets(new_prefix=56)]


@st.composite
def files(draw):
    """Up to four policies, each with pods, networks and addresses of its own."""
    tree = golden.load("cilium-two-families").egress
    tree["policies"], held = {}, {"w1": [], "w2": []}
    allocations = tree["pools"]["partners"]["allocations"] = {}
    for at in range(draw(st.integers(1, 4))):
        tenant, node = f"t{at}", draw(st.sampled_from(["w1", "w2"]))
        four, six = draw(st.sampled_from([(1, 0), (0, 1), (2, 2)]))
        addresses = [f"203.0.113.{17 + at}"] * bool(four) + [f"2001:db8:100::{21 + at}"] * bool(six)
        allocations[tenant] = addresses
        held[node] += addresses
        wide = V4[at * 9 : at * 9 + four]
        tree["policies"][f"p{at}"] = {
            "tenant": tenant,
            "owner": "somebody",
            "namespaces": draw(st.lists(st.sampled_from("abc"), min_size=1, unique=True)),
            "pod_labels": {"app": f"app-{at}"},
            "destinations": [*wide, *V6[at * 9 : at * 9 + six]],
            "excluded": [each.replace(".0/24", ".64/26") for each in wide if draw(st.booleans())],
            "ports": draw(st.sampled_from([[], ["tcp:443"], ["udp:53", "tcp:1"]])),
            "gateways": {"a" if node == "w1" else "b": addresses},
            "default_deny": draw(st.sampled_from(["outside", "everything"])),
        }
    for node, addresses in held.items():
        tree["nodes"][node]["carries"] = addresses
    return tree


def text(tree) -> str:
    return yaml.safe_dump(tree, sort_keys=False)


@settings(max_examples=6)
@given(files(), st.randoms())
def test_any_sound_file_renders_what_its_own_check_passes(tree, chance):
    found = parse_egress("egress.yaml", text(tree))
    rendered = render_yaml(render_cilium(found))
    documents = list(yaml.safe_load_all(rendered))
    assert check_manifests(documents) == ()
    made = [each for each in documents if each["kind"] == "CiliumEgressGatewayPolicy"]
    assert len(made) == sum(len(policy.families) for policy in found.policies.values())
    assert render_yaml(render_cilium(parse_egress("other.yaml", text(shuffled(tree, chance))))) == (
        rendered
    )


def shuffled(tree, chance):
    """The same declared in another order of keys."""
    if not isinstance(tree, dict):
        return tree
    keys = list(tree)
    chance.shuffle(keys)
    return {key: shuffled(tree[key], chance) for key in keys}


def test_a_longer_network_in_another_policy_is_no_overlap():
    tree = golden.load("cilium-two-families").egress
    tree["policies"]["reports"] |= {"namespaces": ["billing"], "destinations": ["192.0.0.0/8"]}
    tree["policies"]["reports"] |= {"namespace_labels": {}}
    tree["policies"]["billing"]["excluded"] = []
    assert parse_egress("egress.yaml", text(tree)).policies["reports"].namespaces == ("billing",)


def test_what_one_policy_excludes_the_other_has_to_exclude_as_well():
    tree = golden.load("cilium-two-families").egress
    tree["policies"]["reports"] |= {"namespaces": ["billing"], "namespace_labels": {}}
    tree["policies"]["reports"] |= {"pod_expressions": []}
    with pytest.raises(InputRejected) as caught:
        parse_egress("egress.yaml", text(tree))
    assert [each.rule for each in caught.value.problems] == ["overlap-excluded"]
    tree["policies"]["reports"]["excluded"] = ["192.0.2.64/26"]
    assert parse_egress("egress.yaml", text(tree)).policies["reports"].excluded


def test_values_of_ones_own_stay_and_texts_for_true_are_true():
    tree = golden.load("cilium-two-families").egress
    tree["cilium"]["values"] |= {"kubeProxyReplacement": "true", "devices": ["eth0"]}
    values = render_values(parse_egress("egress.yaml", text(tree)))
    assert values["devices"] == ["eth0"]
    assert values["hubble"]["relay"] == {"enabled": False}
    assert values["kubeProxyReplacement"] is True


def test_each_ability_that_a_backend_lacks_is_refused_by_name():
    tree = golden.load("kube-vip-cannot").egress
    with pytest.raises(InputRejected) as caught:
        parse_egress("egress.yaml", text(tree))
    refused = {problem.rule for problem in caught.value.problems}
    unmet = fit(parse_egress("egress.yaml", text(tree), judged=False), "kube-vip").unmet
    asked = {ability for _, ability in unmet} - {"pods-overlap"}
    lacking = {name for name, each in backends()["kube-vip"].can.items() if not each.holds}
    assert asked == lacking - {"pods-overlap", "namespace-labels"}
    assert {f"backend-{ability}" for ability in asked} <= refused


def test_free_addresses_leave_out_ends_and_what_is_taken():
    pools = parse_egress("egress.yaml", text(golden.load("cilium-two-families").egress)).pools
    free = [str(each) for each in free_addresses(pools["partners"], 4)]
    assert free == [f"203.0.113.{last}" for last in (17, 18, 19, *range(22, 31))]
    assert str(next(free_addresses(pools["partners"], 6))) == "2001:db8:100::21"


@pytest.mark.parametrize("wrong", ["", "[]", "a: {", "a: *b", "- 1", "{" * 400, "a: 1\na: 2"])
def test_what_is_no_egress_file_is_refused(wrong):
    with pytest.raises(InputRejected):
        parse_egress("egress.yaml", wrong)


def test_nothing_that_stands_in_place_of_a_part_ends_in_another_error():
    whole = golden.load("cilium-two-families").egress
    wrongs = cycle((None, 7, "x", [], {}, [None], {"x": 1}))
    for path in paths(whole):
        tree = yaml.safe_load(text(whole))
        here = tree
        for step in path[:-1]:
            here = here[step]
        here[path[-1]] = next(wrongs)
        try:
            parse_egress("egress.yaml", text(tree))
        except InputRejected as cause:
            assert cause.problems  # noqa: PT017 - either it is sound, or it is refused


def paths(tree, above=()):
    for key, value in tree.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from paths(value, (*above, key))


@pytest.mark.parametrize(
    ("way", "wrong"),
    [
        ({"nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "w1"}}}, []),
        ({"nodeSelector": {"matchLabels": {"other": "w1"}}}, ["cegp-gateway-ignored"]),
        (
            {
                "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "w1"}},
                "egressIP": "192.0.2.9",
            },
            ["cegp-gateway-ignored"],
        ),
    ],
)
def test_a_node_that_a_keeper_named_is_no_mistake(way, wrong):
    made = render_cilium(golden.load("cilium-candidates").read())
    policy = next(each for each in made if each["kind"] == KIND)
    spec = policy["spec"]
    found = {**policy, "spec": {**spec, "egressGateways": [{**spec["egressGateway"], **way}]}}
    assert [problem.rule for problem in check_manifests([found])] == wrong
