"""Ingress and certificates: what is rendered, and what is refused in which words."""

from __future__ import annotations

import copy
from functools import cache

import kubernetes_validate
import pytest
import yaml

from loopback_iac.kube import (
    ingress_base,
    ingress_pods,
    merged_values,
    parse_issuer,
    parse_update,
)
from loopback_iac.kube.ingress import Behind
from loopback_iac.kube.issuer import Update
from loopback_iac.kube.render_traefik import WORKER_BITS
from loopback_iac.model import InputRejected, parse_fleet, pool_facts, tunnels
from tests.golden import case as golden
from tests.golden import ingress

KUBERNETES = ("1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37")
OURS = ("cert-manager.io/v1",)


@pytest.mark.parametrize("name", ingress.names(rejected=True))
def test_rejected(name):
    case = ingress.load(name)
    golden.refused(case.folder, case.means, case.read)


@pytest.mark.parametrize("name", ingress.names(rejected=False))
def test_rendered(name):
    case = ingress.load(name)
    diff = golden.compare(case.folder, case.read())
    assert not diff, f"\n{diff}"


@cache
def manifests():
    return {
        name: list(yaml.safe_load_all(ingress.load(name).read()["manifests.yaml"]))
        for name in ingress.names(rejected=False)
    }


@pytest.mark.parametrize("version", KUBERNETES)
def test_kinds_of_kubernetes_itself_are_valid_in_strict_mode(version):
    kinds = set()
    for documents in manifests().values():
        for each in documents:
            if each["apiVersion"] not in OURS:
                assert kubernetes_validate.validate(each, version, strict=True) == version
                kinds.add(each["kind"])
    assert kinds >= {"Namespace", "ConfigMap", "DaemonSet", "IngressClass", "Service", "Secret"}


def test_no_manifest_bears_an_annotation_of_a_cloud():
    notes = {
        key
        for documents in manifests().values()
        for each in documents
        for key in each["metadata"].get("annotations", {})
    }
    assert notes == {"pulumi.com/skipAwait", "ingressclass.kubernetes.io/is-default-class"}


def fleet(workers=("w1", "w2"), pops=("fra1", "par1"), epochs=(1,)):
    """A fleet, and what it says of its pool."""
    upstream = {
        "asn": 64496,
        "interface": "t1",
        "local_v4": "192.0.2.1",
        "neighbor_v4": "192.0.2.0",
        "md5_waived_because": "of the test",
    }
    pools = {"web": {"workers": {w: {"host": {}, "node_id": int(w[1:])} for w in workers}}}
    tree = {
        "asn": 64500,
        "admin_sources": ["198.51.100.0/28"],
        "prefixes": {"v4": {"cidr": "203.0.113.0/24"}},
        "vips": {"www": {"addresses": ["203.0.113.10"]}},
        "pops": {
            pop: {"host": {}, "node_id": at, "upstreams": {"t1": upstream}}
            for at, pop in enumerate(pops, 1)
        },
        "pools": pools,
        "services": {
            "https": {
                "vip": "www",
                "port": 443,
                "pool": "web",
                "worker_port": 8443,
                "health": {"ready_port": 8082},
            }
        },
        "tunnels": {"key_epochs": list(epochs)},
    }
    return parse_fleet("edge", tree)


def pods(declared):
    """Configuration by file, and the pods' template, behind a fleet."""
    tree = copy.deepcopy(ingress.load("traefik").tree)
    tree["edge"] = pool_facts(declared)["web"]
    config, daemons = ingress_pods(ingress.behind(tree))
    return config["data"], daemons["spec"]["template"]


def test_each_worker_believes_its_own_tunnels_ends_and_nothing_else():
    declared = fleet(epochs=(1, 2))
    files, _ = pods(declared)
    for worker in ("w1", "w2"):
        ends = {str(one.pop_v4) for pop in declared.pops for one in tunnels(declared, pop, worker)}
        assert len(ends) == 4
        points = yaml.safe_load(files[f"{worker}.yaml"])["entryPoints"]
        assert set(points) == {"websecure", "ping"}
        assert set(points["websecure"]["proxyProtocol"]) == {"trustedIPs"}
        assert set(points["websecure"]["proxyProtocol"]["trustedIPs"]) == ends
        assert "forwardedHeaders" not in points["websecure"]


def test_pods_stay_when_a_worker_comes_and_go_when_a_pop_or_a_key_does():
    files, template = pods(fleet())
    more, same = pods(fleet(workers=("w1", "w2", "w3")))
    assert same == template
    assert {name: more[name] for name in files} == files
    assert set(more) - set(files) == {"w3.yaml"}
    for other in (fleet(pops=("fra1", "par1", "ams1")), fleet(epochs=(1, 2))):
        assert pods(other)[1] != template


def test_upper_bits_of_a_pops_ends_are_the_same_towards_every_worker():
    declared = fleet(workers=("w1", "w2", "w1023"), epochs=(1, 2))
    blocks = {
        (pop, one.key_epoch): {
            int(each.pop_v4) >> WORKER_BITS
            for worker in declared.workers
            for each in tunnels(declared, pop, worker)
            if each.key_epoch == one.key_epoch
        }
        for pop in declared.pops
        for one in tunnels(declared, pop, "w1")
    }
    assert all(len(found) == 1 for found in blocks.values())
    assert len(set.union(*blocks.values())) == len(blocks) == 4


def test_a_pod_takes_requests_until_every_pop_has_seen_that_it_leaves():
    tree = ingress.load("traefik").tree
    for noticed_ms in (0, 999, 1001, 20_000):
        behind = ingress.behind({**tree, "edge": {**tree["edge"], "noticed_after_ms": noticed_ms}})
        spec = ingress_pods(behind)[-1]["spec"]["template"]["spec"]
        assert behind.accept_s * 1000 > noticed_ms
        assert spec["terminationGracePeriodSeconds"] > behind.accept_s + behind.ingress.drain_s


@pytest.mark.parametrize("name", [n for n in ingress.names(rejected=False) if "issuer" not in n])
def test_names_and_kinds_are_known_before_the_edge_has_spoken(name):
    behind = ingress.behind(ingress.load(name).tree)
    nobody = ingress_pods(Behind.of_nobody(behind.ingress))
    told = [(each["kind"], each["metadata"], set(each)) for each in ingress_pods(behind)]
    assert told == [(each["kind"], each["metadata"], set(each)) for each in nobody]
    assert ingress_base(behind.ingress)[0]["kind"] == "Namespace"


def test_the_key_is_in_its_secret_and_nowhere_else():
    case = ingress.load("issuer-both")
    secret = case.tree["update"]["secret"]
    text = case.read()["manifests.yaml"]
    assert text.count(secret) == 1
    (key,) = [each for each in manifests()["issuer-both"] if each["kind"] == "Secret"]
    assert key["stringData"] == {"tsig": secret}
    assert Update.of_nobody().secret != secret


@pytest.mark.parametrize("secret", [31415926535, ["c2VjcmV0"], {"c2VjcmV0": 1}, True, "c2VjcmV0"])
def test_a_key_of_any_kind_is_refused_without_showing_it(secret):
    case = ingress.load("issuer-both")
    issuer = parse_issuer("letsencrypt", case.tree["issuer"])
    with pytest.raises(InputRejected) as told:
        parse_update("letsencrypt", issuer, case.tree["update"] | {"secret": secret})
    assert [each.rule for each in told.value.problems] == ["tsig-secret"]
    assert str(secret) not in str(told.value)
    assert "c2VjcmV0" not in str(told.value)


@pytest.mark.parametrize(
    ("directory", "authority"),
    [
        ("https://acme-staging-v02.api.letsencrypt.org/directory", "letsencrypt.org"),
        ("https://ACME.ZeroSSL.com:443/v2/DV90", "sectigo.com"),
        ("https://notacme.zerossl.com/v2/DV90", None),
        ("https://[2001:db8::1]:14000/dir", None),
    ],
)
def test_the_authority_is_known_by_its_host(directory, authority):
    tree = ingress.load("issuer-both").tree["issuer"] | {"directory": directory}
    assert parse_issuer("a", tree).authority == authority


def refusals(name, **changes):
    """What is refused of a case with other values, as "rule at path"."""
    case = ingress.load(name)
    for path, value in changes.items():
        *steps, last = path.split("__")
        owner = case.tree
        for step in steps:
            owner = owner[step]
        owner[last] = value
    with pytest.raises(InputRejected) as told:
        case.read()
    return [f"{each.rule} at {each.path}" for each in told.value.problems]


def test_an_issuer_without_a_way_to_prove_names_is_refused():
    without = {"issuer__http01": None, "issuer__dns01": None}
    assert refusals("issuer-both", **without) == ["solver-missing at http01"]
    assert refusals("issuer-both", issuer__dns01__names=[]) == ["section-empty at dns01.names"]
    nowhere = refusals("issuer-both", update__addresses=[])
    assert nowhere == ["section-empty at dns01.update.addresses"]


def test_names_end_where_dns_does():
    label = "a" * 63
    fits = f"{label}.{label}.{label}.{'a' * 45}.example"
    assert len(fits) <= 253 < len(f"{fits}.acme.example.net")
    assert refusals("issuer-both", issuer__dns01__names=[fits]) == ["name-long at dns01.names[0]"]
    long = f"{label}.{label}.{label}.{'a' * 54}.example"
    assert len(long) == 254
    named = refusals("issuer-both", issuer__dns01__names=[long])
    assert named == ["certificate-name at dns01.names[0]"]


def test_the_nearest_zone_has_to_lead_to_the_challenge():
    """A zone and one below it are both known: the CNAME is looked for in the lower one."""
    case = ingress.load("issuer-both")
    zones = case.tree["zones"]
    records = zones["example.net"]["records"]
    lower = {"_acme-challenge": records.pop("_acme-challenge.shop"), "@": records["@"]}
    hosts = {name: records[name] for name in ("ns1", "ns2")}
    zones["shop.example.net"] = {"records": lower | hosts}
    assert "CNAME" in case.read()["records.txt"]
    del zones["shop.example.net"]["records"]["_acme-challenge"]
    with pytest.raises(InputRejected, match=r"zones\.shop\.example\.net"):
        case.read()


def test_one_caa_record_stands_for_what_is_below_it():
    lines = ingress.load("issuer-both").read()["records.txt"].splitlines()
    names = ["shop.example.net", "a.shop.example.net", "www.example.net"]
    case = ingress.load("issuer-both")
    case.tree["issuer"]["dns01"]["names"] = names
    case.tree["zones"] = {}
    told = [line for line in case.read()["records.txt"].splitlines() if " CAA " in line]
    assert [line.split()[0] for line in told] == ["shop.example.net.", "www.example.net."]
    assert any(" CAA " in line for line in lines)


def test_a_worker_that_no_pop_reaches_believes_nobody():
    workers = ingress.load("traefik").tree["edge"]["workers"] | {"w1": []}
    assert refusals("traefik", edge__workers=workers) == ["edge-without-pop at edge"]


def test_a_name_of_a_node_is_one_from_its_first_letter_to_its_last():
    path = "kubernetes-name at node_names.w1"
    for node in ("a b", "node1/../x", "Node1", "", "-a"):
        assert path in refusals("traefik", ingress__node_names={"w1": node})


def test_what_a_config_map_cannot_hold_is_refused():
    many = {f"w{n}": [f"10.88.{n // 128 * 8}.{n % 128 * 2}"] for n in range(1, 700)}
    found = refusals("traefik", edge__workers=many, ingress__node_names={})
    assert found == ["config-too-large at edge.workers"]


def test_a_named_vip_says_which_ports_and_which_address():
    tree = ingress.load("traefik").tree
    tree["edge"]["vips"] = {"api": ["2001:db8:100::1", "203.0.113.1"], "www": ["203.0.113.10"]}
    tree["edge"]["services"] = {
        vip: {"vip": vip, "port": 443, "worker_port": port}
        for vip, port in (("api", 9443), ("www", 8443))
    }
    for vip, port, address in (("api", 9443, "203.0.113.1"), ("www", 8443, "203.0.113.10")):
        found = ingress.behind({**tree, "ingress": tree["ingress"] | {"vip": vip}})
        assert (found.http_port, found.https_port, str(found.address)) == (None, port, address)


@pytest.mark.parametrize("wanted", [True, False])
def test_what_is_asked_for_reaches_the_chart_and_nginx(wanted):
    asked = {"own_kinds": wanted, "access_log": wanted}
    tree = ingress.load("traefik-chart").tree
    values = merged_values(ingress.behind({**tree, "ingress": tree["ingress"] | asked}))
    assert values["providers"]["kubernetesCRD"] == {"enabled": wanted}
    assert values["logs"]["access"]["enabled"] is wanted
    tree = ingress.load("nginx").tree
    logs = {"access_log": wanted}
    config = ingress_pods(ingress.behind({**tree, "ingress": tree["ingress"] | logs}))[0]["data"]
    assert config.get("access-log-off") == (None if wanted else "True")


def test_a_long_value_is_not_told_whole():
    tree = ingress.load("traefik-chart").tree
    tree["ingress"]["controller"]["chart"]["values"] = {"globalArguments": ["x" * 500]}
    with pytest.raises(InputRejected) as told:
        ingress.behind(tree)
    assert "xxx..." in str(told.value)
    assert "x" * 100 not in str(told.value)
