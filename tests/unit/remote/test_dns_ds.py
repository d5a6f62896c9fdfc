"""The DS at the parent: whose word counts, and what is left of a run that was cut off."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rrset
import pytest

from loopback_iac.remote import dns_ds
from loopback_iac.remote.dns_ds import LONGEST_WAIT_S, Parent, parse_parent, probe_ds, remove_ds
from loopback_iac.remote.dns_ds_left import ParentError

ZONE, ABOVE = "child.example.", "example."
FIRST, SECOND = "192.0.2.1", "192.0.2.2"
SECRET = "bG9vcGJhY2sgYXVkaXQga2V5IG9mIHRoZXNlIHRlc3Rz"  # of these tests
PARENT = Parent(ZONE, signed=True, addresses=[FIRST, SECOND], key_name="ds", secret=SECRET)
SOA = "ns hostmaster 1 3600 900 604800 3600"
DS = "12345 13 2 " + "AB" * 32


@dataclass
class Servers:
    """Two servers of a parent, and the time; what they say is made here, by no daemon."""

    ttl_s: int = 600
    holding: set[str] = field(default_factory=lambda: {FIRST, SECOND})
    mute: set[str] = field(default_factory=set)
    update: str = "NOERROR"
    behind: bool = False
    """The second one has what the first one has lost."""
    time_s: float = 1_000_000.0
    waited: list[float] = field(default_factory=list)
    asked_to: int = 0

    def tcp(self, query: dns.message.Message, address: str, **_: object) -> dns.message.Message:
        if address in self.mute:
            raise dns.exception.Timeout
        told = dns.message.make_response(query)
        told.flags |= dns.flags.AA
        if query.opcode() == dns.opcode.UPDATE:
            self.asked_to += 1
            if self.update in ("NOERROR", "lost"):
                self.holding -= {FIRST} if self.behind else {FIRST, SECOND}
            if self.update == "lost":
                raise dns.exception.Timeout
            told.set_rcode(dns.rcode.from_text(self.update))
            return told
        (question,) = query.question
        if question.rdtype == dns.rdatatype.SOA:
            if question.name == dns.name.from_text(ABOVE):
                told.answer.append(dns.rrset.from_text(ABOVE, 60, "IN", "SOA", SOA))
        elif address in self.holding:
            told.answer.append(dns.rrset.from_text(ZONE, self.ttl_s, "IN", "DS", DS))
        else:
            told.authority.append(dns.rrset.from_text(ABOVE, 60, "IN", "SOA", SOA))
        return told

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.time_s += seconds

    def remove(self, parent: Parent = PARENT) -> str:
        self.waited.clear()
        return remove_ds(parent, self.wait, lambda: self.time_s)

    def refused(self, parent: Parent = PARENT) -> str:
        """What it says when it does not let the zone go."""
        with pytest.raises(ParentError) as cause:
            self.remove(parent)
        assert "\n  fix: " in str(cause.value)
        return str(cause.value)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "loopback/ds-out/child.example.json"


@pytest.fixture
def servers(kept, monkeypatch):
    made = Servers()
    monkeypatch.setattr(dns_ds.dns.query, "tcp", made.tcp)
    return made


def test_it_goes_after_caches_have_forgotten_and_leaves_nothing(servers, kept):
    assert "600 s have passed" in servers.remove()
    assert servers.waited == [600]
    assert not kept.exists()
    assert servers.remove() == f"{ZONE} has no DS"
    assert servers.waited == []


def test_a_wait_that_was_cut_off_is_waited_to_its_end(servers):
    def cut(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remove_ds(PARENT, cut, lambda: servers.time_s)
    servers.time_s += 250
    assert "600 s have passed" in servers.remove()
    assert servers.waited == [350]
    assert servers.remove() == f"{ZONE} has no DS"


def test_an_update_without_an_answer_may_have_been_done(servers):
    servers.update = "lost"
    told = servers.refused()
    assert "does not say whether it took the DS" in told
    assert "600 s after no server has the DS" in told
    servers.time_s += 10_000  # nobody saw it go: it is gone since now
    servers.remove()
    assert servers.waited == [600]


def test_a_server_that_falls_silent_after_the_update(servers, monkeypatch):
    servers.behind = True
    told_by = servers.tcp

    def later_mute(query, address, **more):
        if servers.asked_to:
            servers.mute = {SECOND}
        return told_by(query, address, **more)

    monkeypatch.setattr(dns_ds.dns.query, "tcp", later_mute)
    told = servers.refused()
    assert f"{SECOND} does not say" in told
    assert "600 s after no server has the DS" in told
    monkeypatch.setattr(dns_ds.dns.query, "tcp", told_by)
    servers.mute, servers.holding = set(), set()
    servers.remove()
    assert servers.waited == [600]


def test_a_server_that_keeps_it(servers, monkeypatch):
    monkeypatch.setattr(dns_ds, "_SPREAD_S", -1.0)
    servers.behind = True
    told = servers.refused()
    assert f"{SECOND} still has the DS" in told
    assert "600 s after no server has the DS" in told
    # it had another TTL; caches keep the longer one
    servers.ttl_s, servers.behind = 5, False
    servers.remove()
    assert servers.waited[-1] == 600


def test_more_than_an_hour_is_come_back_to(servers):
    servers.ttl_s = LONGEST_WAIT_S + 500
    assert "fix: run it again in 4100 s, not before" in servers.refused()
    servers.time_s += 100
    assert "fix: run it again in 4000 s, not before" in servers.refused()
    servers.time_s += 3000
    servers.remove()
    assert servers.waited == [1000]


def test_a_refused_update_changed_nothing(servers, kept):
    servers.update = "NOTAUTH"
    assert "refuses to take the DS of child.example. out: NOTAUTH" in servers.refused()
    assert not kept.exists()
    # what an earlier run left behind is still so
    kept.write_text(json.dumps({"ttl_s": 900, "gone_at": None}))
    servers.refused()
    servers.holding = set()
    servers.remove()
    assert servers.waited == [900]


def test_a_clock_that_was_put_back_makes_nobody_wait_longer(servers, kept):
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"ttl_s": 600, "gone_at": int(servers.time_s) + 90_000}))
    servers.holding = set()
    servers.remove()
    assert servers.waited == [600]


def test_without_a_key_nothing_is_begun(servers, kept):
    by_hand = PARENT._replace(key_name="", secret="")
    assert "wait 600 s for the caches" in servers.refused(by_hand)
    assert (servers.asked_to, kept.exists()) == (0, False)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"ttl_s": "x", "gone_at": 1}', '{"ttl_s": 1, "gone_at": Infinity}']
)
def test_what_was_kept_and_cannot_be_read_is_not_passed_over(servers, kept, text):
    kept.parent.mkdir(parents=True)
    kept.write_text(text)
    servers.holding = set()
    assert f"{kept} does not say when" in servers.refused()


AA = dns.flags.AA
HARMS = {
    "a referral": (0, "NS", ABOVE),
    "a resolver": (0, "SOA", ABOVE),
    "the zone's own server": (AA, "SOA", ZONE),
    "a server beside": (AA, "SOA", "other.example."),
    "a server below": (AA, "SOA", f"x.{ZONE}"),
    "nothing at all": (AA, "", ""),
}


@pytest.mark.parametrize("harm", HARMS)
def test_only_the_parents_word_counts(servers, monkeypatch, harm):
    flags, kind, owner = HARMS[harm]

    def tcp(query, address, **_):
        told = dns.message.make_response(query)
        told.flags |= flags
        if kind:
            data = SOA if kind == "SOA" else "ns.elsewhere.test."
            told.authority.append(dns.rrset.from_text(owner, 60, "IN", kind, data))
        return told

    monkeypatch.setattr(dns_ds.dns.query, "tcp", tcp)
    with pytest.raises(ParentError, match="is no authority for the parent") as refused:
        probe_ds(PARENT)
    assert "fix: name servers of the parent zone" in str(refused.value)


@pytest.mark.parametrize("above", [ABOVE, "EXAMPLE.", "."])
def test_a_name_above_says_that_there_is_none(servers, monkeypatch, above):
    def tcp(query, address, **_):
        told = dns.message.make_response(query)
        told.flags |= AA
        told.set_rcode(dns.rcode.NXDOMAIN)
        told.authority.append(dns.rrset.from_text(above, 60, "IN", "SOA", SOA))
        return told

    monkeypatch.setattr(dns_ds.dns.query, "tcp", tcp)
    assert probe_ds(PARENT) == ()


@pytest.mark.parametrize(
    ("key_name", "secret"), [("ds", "hunter2!"), ("ds", ""), ("ds", "hunter2ü"), ("d..s", SECRET)]
)
def test_a_key_that_is_none_is_told_by_its_order_and_not_shown(key_name, secret):
    order = json.dumps({**PARENT._asdict(), "key_name": key_name, "secret": secret})
    with pytest.raises(ValueError, match="a key in base64") as refused:
        parse_parent(order)
    assert type(refused.value) is ValueError
    assert "hunter2" not in str(refused.value)


def test_the_end_of_a_line_is_no_part_of_a_key():
    order = json.dumps({**PARENT._asdict(), "secret": f"{SECRET}\n"})
    assert parse_parent(order).secret == SECRET
