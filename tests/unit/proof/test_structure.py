"""What a fleet declares becomes what it survives."""

from __future__ import annotations

from datetime import date

import pytest

from loopback_iac.model import InputRejected
from loopback_iac.proof import (
    Demands,
    Standing,
    parse_demands_tree,
    prove_redundancy,
    read_stack,
)
from loopback_iac.proof.wording import unmet_texts
from tests.unit.proof.fleets import (
    EDGE,
    PLACES,
    V4,
    V6,
    fleet,
    place,
    proved,
    resources,
    two,
    upstream,
    worker,
)


def survived(facts=None, places=None, tree=None):
    (verdict,) = proved(facts, places, parse_demands_tree("t", tree or {})).verdicts
    return verdict.survives, {" + ".join(cut) for cut in verdict.cuts}


def test_nothing_shared_survives_any_one_loss():
    survives, cuts = survived()
    assert survives == 1
    assert {"pop a + pop b", "worker w1 + worker w2", "upstream AS64496 + upstream AS64497"} <= cuts


@pytest.mark.parametrize("shared", ["provider", "site", "country"])
def test_what_every_pop_shares_is_a_cut_by_itself(shared):
    places = PLACES | {n: place(n, **{shared: "DE"}) for n in ("a", "b")}
    assert survived(places=places) == (0, {f"{shared} {'DE' if shared == 'country' else 'de'}"})


def test_a_failure_domain_of_both_workers_is_a_cut():
    places = PLACES | {n: place(n, failure_domains=["row-3"]) for n in ("w1", "w2")}
    assert survived(places=places) == (0, {"domain row-3"})


def test_one_upstream_of_every_pop_is_a_cut():
    ups = {"t1": upstream(64496)}
    facts = fleet({"a": ups, "b": ups}, {"w1": worker(), "w2": worker()})
    assert survived(facts) == (0, {"upstream AS64496"})


def test_a_session_of_the_other_family_does_not_help():
    ups = {"t1": upstream(64496), "t2": upstream(64497, (6,))}
    facts = fleet({"a": ups, "b": ups}, {"w1": worker(), "w2": worker()})
    assert survived(facts) == (0, {"upstream AS64496"})
    assert survived(facts | {"vips": {"www": [V6]}})[0] == 1


def test_an_address_that_is_given_up_at_a_pop_is_not_served_there():
    facts = two(blackholes=[{"address": V4, "pops": ["a"]}])
    survives, cuts = survived(facts)
    assert survives == 0
    assert "pop b" in cuts


def test_a_prefix_is_announced_where_its_origins_say():
    origins = {"ours": {"asn": 64500, "announced_by": "pop", "state": "announced", "pops": ["a"]}}
    cidr = {"cidr": "203.0.113.0/24"}
    assert survived(two(prefixes={"v4": cidr | {"origins": origins}}))[0] == 0
    both = origins | {
        "theirs": {"asn": 64512, "announced_by": "provider", "state": "announced", "pops": ["b"]}
    }
    survives, cuts = survived(two(prefixes={"v4": cidr | {"origins": both}}))
    assert survives == 1  # at b the provider announces: no session of b is in any cut
    assert not any("session b/" in cut for cut in cuts)


def test_an_origin_that_no_carrier_took_yet_is_told():
    ours = {"asn": 64500, "announced_by": "pop", "state": "roa-valid", "pops": ["a", "b"]}
    proof = proved(two(prefixes={"v4": {"cidr": "203.0.113.0/24", "origins": {"ours": ours}}}))
    assert any("state 'roa-valid', counted as if" in line for line in proof.model.assumed)


def test_a_supplier_in_two_spellings_is_one_and_a_longer_name_is_told():
    names = {"a": "Hetzner", "b": " hetzner", "w1": "Hetzner Online GmbH", "w2": "ionos"}
    places = {n: place(n, provider=name) for n, name in names.items()}
    assert survived(places=places) == (0, {"provider hetzner"})
    told = "hetzner, hetzner online gmbh are taken as different providers"
    assert told in proved(places=places).model.assumed


def test_drained_workers_serve_nobody():
    facts = two(pools={"web": {"workers": {"w1": worker(), "w2": worker(drained=True)}}})
    assert survived(facts)[0] == 0
    facts = two(pools={"web": {"workers": {"w1": worker(0), "w2": worker(drained=True)}}})
    proof = proved(facts)
    assert proof.verdicts[0].survives == -1
    assert "down with nothing lost" in unmet_texts(proof)[0]


def test_load_that_needs_two_workers_leaves_no_worker_to_lose():
    survives, cuts = survived(tree={"services": {"https": {"workers": 2}}})
    assert survives == 0
    assert {"worker w1", "worker w2"} <= cuts


def test_tunnels_to_one_router_share_it():
    tunnel = {"endpoint": "198.51.100.9", "router": "own"}
    ups = {"r": upstream(64500, kind="tunnel", tunnel=tunnel)}
    facts = fleet({"a": ups, "b": ups}, {"w1": worker(), "w2": worker()})
    assert survived(facts) == (0, {"router 198.51.100.9"})
    assert any("beyond router 198.51.100.9" in line for line in proved(facts).model.assumed)


def test_hosts_that_do_not_say_where_they_stand_are_taken_to_stand_together():
    places = PLACES | {n: place(n, site=None) for n in ("a", "b")}
    assert survived(places=places) == (0, {"site (not declared)"})
    proof = proved(places=places)
    assert any("site of a, b is not declared" in line for line in proof.model.assumed)
    assert "declare `site` of every host" in unmet_texts(proof)[0]


def test_a_value_that_only_up_knows_is_left_out_where_doubt_must_not_refuse():
    places = PLACES | {n: place(n, site="(known after apply)") for n in ("a", "b")}
    assert proved(places=places).verdicts[0].survives == 0
    assert proved(places=places, doubtful=False).verdicts[0].survives == 1


LATE = "(known after apply)"
TAKEN = {"because": "until March", "owner": "cto"}


@pytest.mark.parametrize(
    ("late", "cause"),
    [
        ({"site": LATE}, "site hel1"),
        ({"provider": LATE}, "provider metal"),
        ({"country": None, "host": LATE}, "country FI"),
        ({"failure_domains": ["rack 1", LATE]}, "domain hel1-dc2"),
        ({"legal_owner": LATE}, "owner Example GmbH"),
    ],
)
@pytest.mark.parametrize("doubtful", [True, False])
def test_what_is_accepted_of_what_only_up_knows_stays_open(late, cause, doubtful):
    asked = parse_demands_tree("t", {"accepted": [{"cause": cause, **TAKEN}]})
    places = PLACES | {"w1": place("w1", **late)}
    model = proved(places=places, demands=asked, doubtful=doubtful).model
    (told,) = model.open
    assert told.startswith(f"accepted[0].cause: there is no cause {cause!r} before `up`")
    assert told in model.assumed  # and so in the certificate
    assert cause not in model.causes
    for known in (PLACES, PLACES | {"w1": place("w1")}):
        with pytest.raises(InputRejected) as caught:
            proved(places=known, demands=asked, doubtful=doubtful)
        assert [p.rule for p in caught.value.problems] == ["accepted-unknown"]


def test_what_is_known_to_be_absent_is_refused_whatever_else_comes():
    places = PLACES | {"w1": place("w1", site=LATE)}
    for cause in ("country FI", "pop c", "nothing x", "site"):
        asked = parse_demands_tree("t", {"accepted": [{"cause": cause, **TAKEN}]})
        with pytest.raises(InputRejected, match="there is no cause"):
            proved(places=places, demands=asked)


def test_demands_of_a_fleet_that_only_up_knows_stay_open():
    other = two(vips={"www": [LATE]}, services={"mail": {"vip": "www", "pool": "web"}})
    trees = [*resources(two(), PLACES), {"type": EDGE, "name": "new", "inputs": {"fleet": other}}]
    asked = {
        "services": {"mail": {"survives": 2}},
        "shared": [{"name": "duct", "hosts": ["w1", "w9"]}],
        "accepted": [{"cause": "worker w9", **TAKEN}],
    }
    demands = parse_demands_tree("t", asked)
    model = prove_redundancy(read_stack(trees), demands, 1).model
    assert [line.partition(" before")[0] for line in model.open] == [
        "services.mail: there is no service 'mail'",
        "shared[0].hosts: there is no PoP or worker 'w9'",
        "accepted[0].cause: there is no cause 'worker w9'",
    ]
    assert "new: facts are not known before `up`, and left out" in model.assumed
    with pytest.raises(InputRejected) as caught:
        prove_redundancy(read_stack(trees[:-1]), demands, 1)
    rules = [p.rule for p in caught.value.problems]
    assert rules == ["service-unknown", "host-unknown", "accepted-unknown"]


def test_an_accepted_cause_is_listed_and_not_counted():
    places = PLACES | {n: place(n, country="DE") for n in PLACES}
    taken = {"cause": "country DE", "because": "we serve Germany alone", "owner": "board"}
    survives, cuts = survived(places=places, tree={"accepted": [taken]})
    assert survives == 1
    assert not any("country" in cut for cut in cuts)
    proof = proved(places=places, demands=parse_demands_tree("t", {"accepted": [taken]}))
    assert proof.model.causes["country DE"].standing is Standing.ACCEPTED
    assert proof.alone()["country DE"] == (f"https at {V4}",)


def test_an_acceptance_ends_after_its_day():
    taken = {"cause": "country DE", "because": "x", "owner": "y", "until": "2026-11-21"}
    places = PLACES | {n: place(n, country="DE") for n in PLACES}
    demands = parse_demands_tree("t", {"accepted": [taken]})
    on_the_day = proved(places=places, demands=demands, today=date(2026, 11, 21))
    assert on_the_day.verdicts[0].survives == 1
    after = proved(places=places, demands=demands, today=date(2026, 11, 22))
    assert after.verdicts[0].survives == 0
    assert "nobody accepts DE (country) since 2026-11-21: counted again" in after.model.assumed


def test_a_pool_that_needs_very_many_says_how_far_the_search_came():
    workers = {f"w{n}": worker() for n in range(200)}
    facts = fleet({"a": {"t1": upstream(64496)}}, workers)
    places = {"a": place("a")} | {name: place(name) for name in workers}
    tree = {"services": {"https": {"workers": 150, "survives": 2}}}
    proof = proved(facts, places, parse_demands_tree("t", tree))
    pool = proof.parts[proof.model.systems[0].parts["pool web"]]
    assert (pool.survives, pool.exact) == (1, False)
    assert proof.verdicts[0].cuts  # of the edge, which has one PoP


def test_what_is_single_in_every_fleet_is_listed_with_its_class():
    proof = proved()
    classes = {key: proof.model.causes[key].standing.value for key in proof.alone()}
    assert classes == {
        "credentials deploy key of edge": "accepted",
        "origin AS64500": "accepted",
        "pipeline `up` of edge": "gated",
        "prefix 203.0.113.0/24": "accepted",
        "software BIRD, HAProxy, WireGuard and the agent": "gated",
    }
    assert all(systems == (f"https at {V4}",) for systems in proof.alone().values())


NAMED = {
    "services": ["https"],
    "operators": {"hetzner": ["com", "de"], "ionos": ["com"]},
    "registrar": "some registrar",
    "signer": {"name": "signer", "bound": "7 days: SOA expire and the signatures' life"},
}


def test_a_name_falls_with_its_last_operator_and_with_the_name_of_its_servers():
    survives, cuts = survived(tree={"names": {"www.example.net": NAMED}})
    assert survives == 1
    assert {"operator hetzner + operator ionos", "tld com + tld de"} <= cuts
    one = NAMED | {"operators": {"hetzner": ["com"]}}
    assert survived(tree={"names": {"www.example.net": one}}) == (
        0,
        {"operator hetzner", "tld com"},
    )
    proof = proved(demands=parse_demands_tree("t", {"names": {"www.example.net": NAMED}}))
    assert proof.model.causes["signer signer"].standing is Standing.BOUNDED
    assert {"parent net", "registrar some registrar", "signer signer"} <= proof.alone().keys()


def test_a_shared_cause_that_no_component_knows_counts():
    shared = {"shared": [{"name": "metro Frankfurt", "hosts": ["a", "b"]}]}
    assert survived(tree=shared) == (0, {"shared metro Frankfurt"})


@pytest.mark.parametrize(
    ("tree", "rule"),
    [
        ({"services": {"htps": {}}}, "service-unknown at services.htps"),
        ({"names": {"n": NAMED | {"services": ["x"]}}}, "service-unknown at names.n.services"),
        ({"shared": [{"name": "x", "hosts": ["c"]}]}, "host-unknown at shared[0].hosts"),
        (
            {"accepted": [{"cause": "country XX", "because": "x", "owner": "y"}]},
            "accepted-unknown at accepted[0].cause",
        ),
    ],
)
def test_demands_that_name_what_is_not_there_are_refused(tree, rule):
    with pytest.raises(InputRejected) as caught:
        proved(demands=parse_demands_tree("t", tree))
    assert [f"{p.rule} at {p.path}" for p in caught.value.problems] == [rule]


def test_machines_of_every_kind_say_where_they_stand():
    machine = {"provider": "hetzner", "location": "fsn1", "country": "DE"}
    ref = {"provider": "hetzner", "site": "fsn1", "country": "DE", "legal_owner": "us",
           "failure_domains": ["hetzner-fsn1", "rack-1"]}  # fmt: skip
    kind = "loopback-iac:index:HetznerHost"
    planned = {"machine": machine | {"legal_owner": "us", "failure_domains": ["rack-1"]}}
    for inputs in (planned, {"machine": machine, "host": ref}):
        (found,) = read_stack([{"type": kind, "name": "h", "inputs": inputs}]).places.values()
        assert (found.provider, found.site, found.country) == ("hetzner", "fsn1", "DE")
        assert (found.owner, found.domains, found.unknown) == ("us", ("rack-1",), ())


def test_facts_of_another_version_are_refused_by_name():
    old = {k: v for k, v in two().items() if k != "blackholes"}
    with pytest.raises(InputRejected, match="its facts cannot be read"):
        proved(old)


def test_origins_by_two_as_numbers_do_not_share_them():
    origins = {
        "a": {"asn": 64500, "announced_by": "pop", "state": "announced", "pops": ["a"]},
        "b": {"asn": 64501, "announced_by": "pop", "state": "announced", "pops": ["b"]},
    }
    proof = proved(two(prefixes={"v4": {"cidr": "203.0.113.0/24", "origins": origins}}))
    assert proof.alone()["origin AS64500"] == proof.alone()["origin AS64501"] == ()


def test_two_fleets_of_one_stack_are_told_apart():
    trees = [*resources(two(), PLACES)]
    trees.append(trees[-1] | {"name": "other"})
    stack = read_stack(trees)
    names = [v.system.name for v in prove_redundancy(stack, Demands()).verdicts]
    assert names == [f"edge/https at {V4}", f"other/https at {V4}"]
