"""A bundle as it arrives: what does not fit is refused before anything is written."""

import json

import pytest

from loopback_iac.agent.bundle import HostSet, SetFile, parse_bundle
from loopback_iac.agent.refusal import RefusedError
from loopback_iac.agent.watchfile import parse_watch

DIGEST = "ab" * 32
FILE = {"text": "x @{secret:a}\n", "mode": "0640", "owner": "root", "group": "bird"}
BUNDLE = {
    "format": 1, "host": "fra1", "role": "pop", "digest": DIGEST, "secrets": {"a": "b"},
    "files": {"/etc/bird/bird.conf": FILE}, "admin_sources": ["192.0.2.0/24", "2001:db8::/48"],
    "ssh_port": 22.0, "drain_s": 30, "confirm_s": 30,
}  # fmt: skip


def parse(**other) -> HostSet:
    text = json.dumps(BUNDLE | other).encode()
    return parse_bundle(text, host="fra1", digest=DIGEST, role="pop")


def test_a_bundle_becomes_a_set_with_its_secrets_in_place():
    kept = parse()
    assert kept.files == {"/etc/bird/bird.conf": SetFile("x b\n", 0o640, "root", "bird")}
    assert (kept.ssh_port, kept.drain_s, kept.digest) == (22, 30, DIGEST)
    assert HostSet.decode(kept.encode()) == kept


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"host": "par1"}, "'par1'"),
        ({"role": "worker"}, "worker"),
        ({"digest": "cd" * 32}, "the command says"),
        ({"files": []}, "'files' is list"),
        ({"files": {"/etc/bird/bird.conf": FILE | {"mode": "0644"}}}, "0640 root bird"),
        ({"files": {"/etc/bird/bird.conf": FILE | {"owner": "bird"}}}, "0640 bird bird"),
        ({"files": {"/etc/bird/bird.conf": {}}}, "no text"),
        ({"files": {"/etc/shadow": FILE}}, "not a path this agent writes"),
        ({"secrets": {"a": 7}}, "'a'"),
        ({"secrets": {}}, "needs the secret 'a'"),
        ({"admin_sources": []}, "nobody could reach"),
        ({"admin_sources": ["192.0.2.1/24"]}, "host bits"),
        ({"ssh_port": True}, "'ssh_port' is bool"),
        ({"ssh_port": "22"}, "'ssh_port' is str"),
        ({"drain_s": -1}, "'drain_s' is -1"),
        ({"confirm_s": 1e9}, "'confirm_s' is 1e\\+09"),
    ],
)
def test_what_does_not_fit_is_refused(other, words):
    with pytest.raises(RefusedError, match=words):
        parse(**other)


def test_a_file_that_stood_there_before_us_keeps_its_odd_bytes():
    odd = b"caf\xe9\n"
    kept = SetFile(odd.decode("utf-8", "surrogateescape"), 0o644, "root", "root")
    again = HostSet.decode(HostSet("origin", "pop", {"/etc/x": kept}).encode())
    assert again.files["/etc/x"].content == odd


WATCH = {
    "format": 1, "host": "fra1", "role": "pop", "tunnels": ["lb-w2", "lb-w1"],
    "announcements": {"v4": {
        "family": 4, "gate": "/run/loopback/gate/gate4-v4.conf", "open": "a", "deprefer": "b",
        "closed": "# c", "services": ["https"], "mode": "all",
    }},
    "services": {"https": {"listeners": [["192.0.2.1", 443]], "backend": "web", "workers": ["w1"]}},
}  # fmt: skip


def test_a_watch_file_of_a_pop_and_of_a_worker():
    kept = parse_watch(json.dumps(WATCH).encode())
    assert kept.tunnels == ("lb-w1", "lb-w2")
    assert kept.services["https"].listeners == (("192.0.2.1", 443),)
    assert kept.return_hold_s == 10
    assert parse_watch(b'{"format": 1, "role": "worker", "tunnels": []}').announcements == ()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("gate", "/etc/passwd", "is not /run/loopback/gate/"),
        ("gate", "/run/loopback/gate/gate4-../x.conf", "is not /run/loopback/gate/"),
        ("mode", "most", "all and any exist"),
        ("services", ["dns"], "unknown services dns"),
    ],
)
def test_a_watch_file_that_does_not_fit(name, value, words):
    wrong = json.loads(json.dumps(WATCH))
    wrong["announcements"]["v4"][name] = value
    with pytest.raises(RefusedError, match=words):
        parse_watch(json.dumps(wrong).encode())
