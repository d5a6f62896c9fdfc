"""What a keeper reads, says and hears; tests/cluster has it on real cards and a real API server."""

from __future__ import annotations

import json
import struct

import pytest

from loopback_iac.agent import gatewayguard, gatewaystatus
from loopback_iac.agent.gatewaycard import render_advertisement
from loopback_iac.agent.gatewaychoice import Said
from loopback_iac.agent.gatewayfile import check_credential, parse_gateway
from loopback_iac.agent.gatewaypeers import Ear, derive_key, parse_answer, sign, verify
from loopback_iac.agent.gatewaystatus import Status, count, read_status, read_wish, write_status
from loopback_iac.agent.metrics import render_metrics
from loopback_iac.agent.programs import Outcome, boottime_s
from loopback_iac.agent.refusal import RefusedError

FILE = {
    "format": 1,
    "node": "w1",
    "server": "https://198.18.77.1:6443",
    "authority": "PEM",
    "namespace": "kube-system",
    "agent": "http://127.0.0.1:9879/healthz",
    "groups": [
        {
            "name": "partners",
            "addresses": ["192.0.2.10", "2001:db8::10"],
            "interface": "",
            "announced": "layer-2",
            "nodes": [
                {"name": "w1", "address": "198.18.77.2"},
                {"name": "w2", "address": "198.18.77.3"},
            ],
            "policies": ["partners-v4"],
            "lease_s": 1.5,
        }
    ],
}
CARDS = ("eth1", "eth2", "eth3")
SAID = Said(5.0, 3, api=True, ready=True, holds=False, offer="w2")


def changed(**more) -> bytes:
    return json.dumps({**FILE, **more}).encode()


def group(**more) -> bytes:
    return changed(groups=[{**FILE["groups"][0], **more}])


def test_the_file_as_it_is_rendered():
    found = parse_gateway(changed())
    assert found.groups[0].names == ("w1", "w2")
    assert not found.groups[0].fixed
    assert found.groups[0].address_of("w2") == "198.18.77.3"


def test_a_holder_lets_go_before_another_may_take():
    timing = parse_gateway(changed()).groups[0].timing
    assert timing.interval_s < timing.lost_s < timing.give_up_s < timing.lease_s
    # what a node said while it saw no API holds for less than it waits once it does
    assert timing.trust_s < timing.lease_s
    assert timing.lifetime_s > timing.lease_s


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        changed(server="http://198.18.77.1"),
        changed(server="https://198.18.77.1:66443"),
        changed(server="https://198.18.77.1:0"),
        changed(agent="http://127.0.0.1:abc/healthz"),
        changed(node="w9"),
        changed(groups=[]),
        changed(groups=[FILE["groups"][0]] * 2),
        group(announced="by-mail"),
        group(addresses=["192.0.2.999"]),
        group(addresses=[]),
        group(lease_s=0.1),
        group(lease_s="nan"),
        group(nodes=FILE["groups"][0]["nodes"][:1] * 2),
        group(nodes=[{"name": "w1"}]),
    ],
)
def test_what_does_not_fit_is_refused(content: bytes):
    with pytest.raises(RefusedError):
        parse_gateway(content)


@pytest.mark.parametrize(
    "content", [b"", b"two words", b"-----BEGIN CERTIFICATE-----\nx\n", b"\xff", b"a\nb"]
)
def test_what_is_no_credential_is_refused(content: bytes):
    with pytest.raises(RefusedError):
        check_credential(content)


def test_a_token_and_a_certificate_with_its_key_are_credentials():
    check_credential(b"abc.DEF-123_~+/=\n")
    check_credential(b"-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\n")


def test_what_is_not_signed_with_the_groups_key_is_not_heard():
    key = derive_key("token", "partners")
    datagram = sign(key, {"ask": "w1", "number": "1"})
    assert verify(key, datagram) == {"ask": "w1", "number": "1"}
    assert verify(derive_key("token", "others"), datagram) is None
    assert verify(key, datagram[:-1] + b"!") is None
    assert verify(key, b"") is None
    assert verify(key, sign(key, {})[:64] + b"[]") is None


def answered(age_s: float = 0.0) -> tuple[bytes, bytes]:
    """A key, and the answer to question 1 of a node whose word is so old."""
    key = derive_key("token", "partners")
    word = SAID._replace(at_s=boottime_s() - age_s)
    answer = Ear({"partners": (key, "w1", lambda: word)}).answer(
        sign(key, {"ask": "w1", "number": "1"})
    )
    assert answer is not None
    return key, answer


def test_an_answer_is_dated_by_the_question_and_by_its_age():
    key, answer = answered(age_s=2.0)
    said = parse_answer(verify(key, answer), "1", "w1", 100.0)
    assert said is not None
    assert 97.0 < said.at_s <= 98.0
    assert said._replace(at_s=5.0) == SAID


@pytest.mark.parametrize(("number", "node"), [("2", "w1"), ("1", "w2")])
def test_an_answer_to_another_question_is_none(number: str, node: str):
    key, answer = answered()
    assert parse_answer(verify(key, answer), number, node, 100.0) is None


def test_an_answer_of_another_shape_is_none():
    for tree in ({}, {"number": "1", "node": "w1"}, {"number": "1", "node": "w1", "age_s": "x"}):
        assert parse_answer(tree, "1", "w1", 100.0) is None


def test_a_question_to_another_node_gets_no_answer():
    key = derive_key("token", "partners")
    ear = Ear({"partners": (key, "w1", lambda: SAID)})
    assert ear.answer(sign(key, {"ask": "w2", "number": "1"})) is None
    assert ear.answer(b"garbage") is None


def test_the_advertisement_overrides_and_names_the_card():
    frame = render_advertisement(bytes.fromhex("020000000001"), "2001:db8::10")
    kind, code, _, flags = struct.unpack_from("!BBHI", frame)
    assert (kind, code, flags) == (136, 0, 0x20000000)
    assert frame[-8:] == bytes.fromhex("0201020000000001")
    assert len(frame) == 32


STATUS = Status("w1", 3, "hold", "the lease is renewed", *[True] * 4, 1, 2, 0, "")


def test_status_and_metrics_are_left_for_others(tmp_path):
    write_status({"partners": STATUS}, str(tmp_path))
    assert read_status(str(tmp_path / "status.json")) == {"partners": STATUS}
    text = (tmp_path / "metrics/loopback-gateway.prom").read_text()
    assert text == render_metrics(count({"partners": STATUS}))
    assert 'loopback_gateway_api_errors_total{group="partners"} 2\n' in text
    assert 'loopback_gateway_settled{group="partners"} 1\n' in text
    assert 'loopback_gateway_unnamed{group="partners"} 0\n' in text


def test_a_broken_status_is_none(tmp_path):
    (tmp_path / "status.json").write_text('{"partners": 1}')
    assert read_status(str(tmp_path / "status.json")) is None


@pytest.mark.parametrize("text", ["", "[]", '{"group": "partners"}', '{"group": "others"}'])
def test_a_wish_of_another_shape_or_group_is_none(text: str, tmp_path):
    (tmp_path / "wish").write_text(text)
    assert read_wish("partners", str(tmp_path / "wish")) is None


def test_a_card_without_a_guard_keeps_no_other_from_having_one(monkeypatch):
    guarded = []

    def run(*words):
        card = words[words.index("dev") + 1]
        if card == "eth1":
            raise RefusedError("tc did not end within 30 s")
        if "replace" not in words:
            return Outcome(0, "", "")
        guarded.append(card)
        return Outcome(int(card == "eth2"), "", "Cannot find device")

    parts = [{**FILE["groups"][0], "name": card, "interface": card} for card in CARDS]
    monkeypatch.setattr(gatewayguard, "run", run)
    monkeypatch.setattr(gatewayguard, "read_addresses", list)
    with pytest.raises(RefusedError) as refused:
        gatewayguard.guard_cards(parse_gateway(changed(groups=parts)))
    assert guarded == ["eth2", "eth3"]
    assert str(refused.value) == (
        "no guard stands on eth1: tc did not end within 30 s; "
        "no guard stands on eth2: Cannot find device"
    )


def handed_over(monkeypatch, tmp_path, *stages: Status):
    """What `hand-over partners w2` tells on w1, which looks at its status so many times."""
    left = list(stages)
    monkeypatch.setattr(gatewaystatus, "read_gateway", lambda: parse_gateway(changed()))
    monkeypatch.setattr(
        gatewaystatus, "read_status", lambda: {"partners": left.pop(0) if left[1:] else left[0]}
    )
    monkeypatch.setattr(gatewaystatus, "WISHES", str(tmp_path / "wishes.json"))
    monkeypatch.setattr(gatewaystatus, "LONGEST_S", 0.2)
    return gatewaystatus.hand_over_group("partners", "w2")


GIVEN = STATUS._replace(holder="w2", epoch=4, holds=False, settled=False)


def test_handed_over_is_what_the_next_node_says_is_done(monkeypatch, tmp_path):
    done = handed_over(monkeypatch, tmp_path, STATUS, GIVEN, GIVEN._replace(settled_at="w2"))
    assert done["holder"] == "w2"


def test_a_node_that_has_the_lease_and_no_more_was_not_handed_anything(monkeypatch, tmp_path):
    with pytest.raises(RefusedError, match="its card does not take the addresses"):
        handed_over(monkeypatch, tmp_path, STATUS, GIVEN)


def test_a_holder_that_is_not_done_says_so_and_not_that_another_should_be_asked(
    monkeypatch, tmp_path
):
    stuck = STATUS._replace(settled=False, trouble="eth1: No such device")
    with pytest.raises(RefusedError, match="not settled on this node yet: eth1: No such device"):
        handed_over(monkeypatch, tmp_path, stuck)
    with pytest.raises(RefusedError, match="w2 holds partners, not this node"):
        handed_over(monkeypatch, tmp_path, GIVEN)
    told = handed_over(monkeypatch, tmp_path, GIVEN._replace(settled_at="w2"))
    assert told["took_s"] == 0
