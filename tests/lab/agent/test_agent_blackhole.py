"""Addresses given up on a live PoP: nothing is drained for it, and it outlives what a PoP meets."""

import json

import pytest

from tests.lab.agent.conftest import AGENT, NEIGHBOR

SIX = "2001:db8:100::66"
ONE, TWO, THREE = "203.0.113.66", "203.0.113.67", "203.0.113.68"
NFT = "/etc/loopback/nftables.conf"
DECLARED = {
    "/etc/loopback/blackhole4.conf": f"route {ONE}/32 blackhole; # a flood\n",
    "/etc/loopback/blackhole.nft": f"add element inet loopback blackholed4 {{ {ONE} }}\n",
}


@pytest.fixture
def serving_whole(edge, serving):
    """Whatever a test gives up by hand is taken back."""
    yield serving
    for hole in edge.report()["blackholes"]:
        edge.inside(f"loopback-agent blackhole remove {hole['address']} >/dev/null 2>&1 || true")
    edge.converge(serving)


def at_upstream(edge, address):
    """The route as the upstream's BIRD tells it; empty when there is none."""
    shown = edge.bird_at_t1(f"show route all for {address}/32 protocol {NEIGHBOR}")
    return shown if f"{address}/32" in shown else ""


def dropped_at_upstream(edge, address):
    done = edge.lab.exec("t1", ["ip", "route", "show", f"{address}/32"])
    return "blackhole" in done.stdout


def by_hand(edge, words):
    """Over SSH, as an operator would."""
    done = edge.ssh(f"{AGENT} blackhole {words}")
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def test_a_declared_one_is_announced_and_nothing_is_drained_or_withdrawn(edge, serving_whole):
    before = edge.withdrawals()
    applied = edge.converge(edge.bundle(DECLARED))
    assert (applied["changed"], applied["drained"]) == (sorted(DECLARED), False)
    edge.eventually(lambda: "(65535,666)" in at_upstream(edge, ONE))
    edge.eventually(lambda: dropped_at_upstream(edge, ONE))
    assert edge.announced()
    told = edge.report()["blackholes"]
    assert [(h["address"], h["origin"], h["reason"]) for h in told] == [
        (ONE, "declared", "a flood")
    ]
    assert (told[0]["announced_to"], told[0]["dropped_packets"]) == (["t1"], 0)
    # what still comes by another way ends here, and is counted
    edge.lab.exec("t1", ["ip", "route", "replace", f"{ONE}/32", "via", "192.0.2.3"])
    edge.lab.exec("t1", ["ping", "-c", "2", "-W", "1", "-i", "0.2", ONE])
    assert edge.report()["blackholes"][0]["dropped_packets"] >= 2
    code, refused = by_hand(edge, f"remove {ONE}")
    assert code == 1
    assert "is declared in the program (a flood), so it stays given up" in refused
    edge.converge(serving_whole)
    edge.eventually(lambda: not at_upstream(edge, ONE))
    assert edge.report()["blackholes"] == []
    assert edge.withdrawals() == before + 1  # of the blackhole itself


def test_by_hand_it_outlives_an_apply_a_firewall_restart_and_a_bird_restart(edge, serving_whole):
    code, told = by_hand(edge, f"add {ONE}")
    assert (code, told["state"], told["announced_to"]) == (0, "given up", ["t1"])
    assert told["delivered_by"] == ["t9"]
    edge.eventually(lambda: "(65535,666)" in at_upstream(edge, ONE))
    assert by_hand(edge, f"add {ONE}")[1]["state"] == "given up already"
    edge.converge(edge.bundle({"/etc/loopback/sysctl.conf": "net.ipv4.tcp_syncookies = 1\n"}))
    edge.inside("systemctl restart loopback-nftables bird")
    edge.eventually(lambda: "(65535,666)" in at_upstream(edge, ONE))
    (hole,) = edge.report()["blackholes"]
    assert (hole["origin"], hole["dropped_packets"]) == ("by hand", 0)
    assert hole["reason"].startswith("by hand since 20")
    assert by_hand(edge, f"remove {ONE}")[1]["state"] == "taken back"
    edge.eventually(lambda: not at_upstream(edge, ONE))
    assert edge.report()["blackholes"] == []


def test_declaring_what_was_given_up_by_hand_takes_it_over(edge, serving_whole):
    assert by_hand(edge, f"add {ONE}")[0] == 0
    edge.converge(edge.bundle(DECLARED))
    assert {h["origin"] for h in edge.report()["blackholes"]} == {"declared", "by hand"}
    code, refused = by_hand(edge, f"remove {ONE}")
    assert code == 1, refused
    edge.eventually(lambda: [h["origin"] for h in edge.report()["blackholes"]] == ["declared"])
    assert at_upstream(edge, ONE)


def test_what_is_not_ours_is_refused(edge, baseline):
    for words, code, said in (
        ("add 198.51.100.2", 1, "198.51.100.2 is in no prefix of this fleet ("),
        ("add www", 2, "is no address"),
        ("add", 2, "blackhole add ADDRESS"),
        ("remove 198.51.100.2", 1, "198.51.100.2 is not given up here"),
        (f"remove {THREE}", 1, f"{THREE} is not given up here"),
    ):
        got, told = by_hand(edge, words)
        assert got == code
        assert said in told
        assert "host: unchanged" in told
    assert edge.report()["blackholes"] == []


def test_what_no_session_carries_is_said_to_be_dropped_here_only(edge, serving_whole):
    """The hand-written PoP has an IPv6 prefix and no IPv6 session."""
    code, told = by_hand(edge, f"add {SIX}")
    assert (code, told["state"], told["announced_to"]) == (0, "dropped here only", [])
    assert SIX in edge.inside("nft list set inet loopback blackholed6")
    assert by_hand(edge, f"remove {SIX}")[1]["state"] == "taken back"


def test_no_more_than_the_upstreams_agreed_to(edge, serving_whole):
    assert by_hand(edge, f"add {ONE}")[0] == 0
    assert by_hand(edge, f"add {TWO}")[0] == 0
    code, told = by_hand(edge, f"add {THREE}")
    assert code == 1
    assert f"the upstreams agreed to 2: {ONE}, {TWO}" in told
    assert not at_upstream(edge, THREE)


def test_another_limit_drains_nothing_and_another_rule_does(edge, serving_whole):
    text = serving_whole["files"][NFT]["text"]
    before = edge.withdrawals()
    limited = text.replace(
        "\tchain input {",
        "\t# limits: begin\n\tcounter new-https {\n\t}\n\t# limits: end\n\tchain input {",
    )
    applied = edge.converge(edge.bundle({NFT: limited}))
    assert (applied["changed"], applied["drained"]) == ([NFT], False)
    assert edge.withdrawals() == before
    told = edge.inside("nft list counters table inet loopback")
    assert "new-https" in told
    applied = edge.converge(edge.bundle({NFT: limited.replace("\t}\n}", "\t\tcounter\n\t}\n}")}))
    assert (applied["changed"], applied["drained"]) == ([NFT], True)
