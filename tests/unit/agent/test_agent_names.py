"""The name server's gate: what was heard goes in, where the gate stands comes out."""

import contextlib
import socket
import struct
import threading

import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.agent.allowed import parse_place
from loopback_iac.agent.asking import (
    LIMITED,
    NEW_S,
    SERVED,
    SILENT_QUESTIONS,
    SILENT_S,
    WRONG_S,
    Asker,
    Heard,
    ask_udp,
    judge,
    list_zones,
)
from loopback_iac.agent.bundle import SetFile
from loopback_iac.agent.decide import Memory, Names, Sight, decide
from loopback_iac.agent.disturbing import touches_data_plane
from loopback_iac.agent.gates import CLOSED, DEPREFER, OPEN
from loopback_iac.agent.messages import SOA, parse_message, render_query
from loopback_iac.agent.naming import Naming, read_spent_s
from loopback_iac.agent.plan import plan_retired, plan_steps, services_of
from loopback_iac.agent.refusal import RefusedError
from loopback_iac.agent.watchfile import Announcement, NameService, parse_watch

HERE, THERE = "198.51.100.53", "198.51.100.54"
NAMES = Announcement("n4", 4, "/run/loopback/gate/gate4-n4.conf", {}, (), "all", names=(HERE,))
WEB = Announcement("v4", 4, "/run/loopback/gate/gate4-v4.conf", {}, (), "all")
WELL = Names(running=True, zones=4, whole=True, wrong=(), late=(), silent=(), busy=False)
HOLD_S = 10.0
ZONE = "example.net."


class Gate:
    """An announcement and its memory; each `see` is one look a fifth of a second later."""

    def __init__(self, position=OPEN, what=NAMES):
        self.what, self.memory, self.at_s, self.reason = what, Memory(position), 100.0, ""

    def see(self, names=WELL, both=None, **seen) -> str:
        self.at_s += 0.2
        sight = {"haproxy": True, "bird": True, "missing": frozenset(), "workers": None,
                 "confirmed": True, "drain": None, **seen}  # fmt: skip
        sight["names"] = both or {HERE: names}
        done = decide(self.what, {}, self.memory, Sight(self.at_s, **sight), HOLD_S)
        self.memory, self.reason = done.memory, done.reason
        return done.position

    def see_both(self, here, there) -> str:
        return self.see(both={HERE: here, THERE: there})

    def see_for(self, seconds, names=WELL) -> str:
        return [self.see(names) for _ in range(round(seconds / 0.2))][-1]


def test_a_dead_name_server_closes_its_own_gate_at_once_and_no_other():
    dead = WELL._replace(running=False)
    assert Gate().see(dead) == CLOSED
    assert Gate(what=WEB).see(dead) == OPEN


@pytest.mark.parametrize(("mode", "position"), [("all", CLOSED), ("any", OPEN)])
def test_each_address_in_a_prefix_counts(mode, position):
    gate = Gate(what=NAMES._replace(names=(HERE, THERE), mode=mode))
    silent = WELL._replace(silent=("udp", "tcp"))
    assert gate.see_both(WELL, silent) == position


def test_a_dead_haproxy_leaves_names_alone():
    assert Gate().see(haproxy=False) == OPEN


def test_a_dead_bird_closes_names_as_well():
    assert Gate().see(bird=False) == CLOSED


@pytest.mark.parametrize(
    ("seen", "position"),
    [
        ({"silent": ("udp", "tcp")}, CLOSED),
        ({"silent": ("udp", "tcp"), "busy": True}, DEPREFER),  # flooded: no attack is handed on
        ({"silent": ("udp",)}, DEPREFER),
        ({"silent": ("tcp",)}, DEPREFER),
        ({"wrong": ("a. (rcode 5)",)}, DEPREFER),
        ({"wrong": ("a. (rcode 2)", "b. (rcode 2)")}, DEPREFER),
        ({"wrong": ("a. (rcode 2)", "b. (rcode 2)", "c. (rcode 2)")}, CLOSED),
        ({"zones": 1, "wrong": ("a. (not authoritative)",)}, CLOSED),
        ({"zones": 0}, CLOSED),
        ({"late": ("new.",)}, OPEN),  # a zone on its way is no fault
        ({"whole": False}, OPEN),  # what is being asked is not known yet
    ],
)
def test_what_an_open_gate_does(seen, position):
    gate = Gate()
    assert gate.see(WELL._replace(**seen)) == position
    assert gate.see_for(30, WELL._replace(**seen)) == position


@pytest.mark.parametrize(
    ("seen", "position"),
    [
        ({}, OPEN),
        ({"whole": False}, CLOSED),
        ({"late": ("new.",)}, DEPREFER),
        ({"late": ("a.", "b.", "c.")}, CLOSED),
        ({"silent": ("udp", "tcp"), "busy": True}, CLOSED),
    ],
)
def test_what_a_closed_gate_waits_for(seen, position):
    gate = Gate(CLOSED)
    assert gate.see_for(HOLD_S - 1, WELL._replace(**seen)) == CLOSED
    assert gate.see_for(2, WELL._replace(**seen)) == position


def test_a_restart_of_the_name_server_costs_the_whole_hold():
    gate = Gate()
    gate.see(WELL._replace(running=False))
    assert gate.see_for(HOLD_S - 0.4) == CLOSED
    assert gate.see_for(1) == OPEN


def test_the_reason_names_the_zones():
    gate = Gate()
    gate.see(WELL._replace(wrong=("a.example. (rcode 5)",)))
    assert gate.reason == "1 of 4 zones are not answered for: a.example. (rcode 5)"


def test_how_long_something_is_so_before_it_counts():
    heard = Heard(
        0.0,
        ("a.", "b."),
        whole=True,
        failing=(("a.", 100.0, "rcode 5", True), ("b.", 100.0, "rcode 2", False)),
        heard_s=(100.0, 90.0),
        unanswered=(SILENT_QUESTIONS, SILENT_QUESTIONS),
    )
    assert heard.late(100.0) == ("a.", "b.")
    still = heard._replace(heard_s=(100.0 + NEW_S, 90.0))
    assert still.wrong(100.0 + WRONG_S / 2) == ()
    assert still.wrong(100.0 + WRONG_S) == ("a. (rcode 5)",)
    assert still.wrong(100.0 + NEW_S) == ("a. (rcode 5)", "b. (rcode 2)")
    # of a machine that was paused nobody knows what it would say by now
    assert heard.wrong(100.0 + NEW_S) == ()
    assert heard.late(100.0 + NEW_S) == ("a.", "b.")
    assert heard.silent(90.0 + SILENT_S) == ("tcp",)
    assert heard.silent(100.0 + SILENT_S) == ("udp", "tcp")
    # a machine that was paused asked nothing, and concludes nothing
    assert heard._replace(unanswered=(0, 1)).silent(100.0 + 60 * SILENT_S) == ()
    # the patience of one that was never heard begins with the watch
    young = Heard(50.0, unanswered=(9, 9))
    assert young.silent(50.0 + SILENT_S - 1) == ()
    assert young.silent(50.0 + SILENT_S) == ("udp", "tcp")


def answer(number=7, zone=ZONE, flags="QR AA", rcode=0, rrs=(f"{ZONE} 60 IN SOA a. b. 1 2 3 4 5",)):
    told = dns.message.Message(number)
    told.flags = dns.flags.from_text(flags)
    told.set_rcode(rcode)
    told.question = [dns.rrset.from_text(zone, 0, "IN", "SOA")]
    for line in rrs:
        owner, ttl, _, kind, rest = line.split(" ", 4)
        told.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, rest))
    return told.to_wire()


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (answer(), SERVED),
        (answer(zone="EXAMPLE.net."), SERVED),
        (answer(flags="QR"), "not authoritative"),
        (answer(rcode=5, rrs=()), "rcode 5"),
        (answer(rcode=2, rrs=()), "rcode 2"),
        (answer(rrs=()), "no SOA"),
        (answer(rrs=("other.example. 60 IN SOA a. b. 1 2 3 4 5",)), "no SOA"),
        (answer(rrs=(f"{ZONE} 60 IN NS a.",)), "no SOA"),
        (answer(flags="QR AA TC", rrs=()), LIMITED),
        (answer(number=8), "no answer to what was asked"),
        (answer(zone="other.example.", rrs=()), "no answer to what was asked"),
        (answer(flags="AA"), "no answer to what was asked"),
        (b"", "no answer to what was asked"),
        (answer()[:-1], "no answer to what was asked"),
    ],
)
def test_what_an_answer_is_worth(told, verdict):
    assert judge(7, ZONE, parse_message(told)) == verdict


def test_a_query_is_what_others_read():
    asked = dns.message.from_wire(render_query(77, ZONE, SOA))
    assert (asked.id, asked.question[0].name.to_text()) == (77, ZONE)


@given(st.binary(max_size=80) | st.builds(lambda head, tail: answer()[:head] + tail,
                                          st.integers(0, 60), st.binary(max_size=40)))  # fmt: skip
def test_no_message_is_too_broken_to_be_read(told):
    parse_message(told)


def test_names_that_point_at_themselves_end():
    looped = struct.pack("!6H", 1, 0x8000, 1, 0, 0, 0) + b"\xc0\x0c" + struct.pack("!2H", 6, 1)
    assert parse_message(looped) is None


class Server:
    """Answers on one port of 127.0.0.1, over TCP and UDP, as it is told to."""

    def __init__(self, zones, messages=1):
        self.zones, self.messages = zones, messages
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        for serve in (self._udp, self._tcp):
            threading.Thread(target=serve, daemon=True).start()

    def close(self):
        """Also for the threads, which wait in the kernel for what comes."""
        for line in (self.tcp, self.udp):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def _said(self, query):
        asked = dns.message.from_wire(query)
        zone = asked.question[0].name.to_text()
        if asked.question[0].rdtype == dns.rdatatype.AXFR:
            yield from self._transfer(asked)
        elif zone in self.zones:
            yield answer(asked.id, zone, rrs=(f"{zone} 60 IN SOA a. b. 1 2 3 4 5",))
        else:
            yield answer(asked.id, zone, rcode=5, rrs=())

    def _transfer(self, asked):
        soa = dns.rrset.from_text("cat.", 0, "IN", "SOA", ". . 1 2 3 4 5")
        sets = [soa, dns.rrset.from_text("version.cat.", 0, "IN", "TXT", "2")]
        for at, zone in enumerate(sorted(self.zones)):
            sets.append(dns.rrset.from_text(f"m{at}.zones.cat.", 0, "IN", "PTR", zone))
        # who had the zone before (RFC 9432 4.3.1) is no zone
        sets.append(dns.rrset.from_text("coo.m0.zones.cat.", 0, "IN", "PTR", "old.cat."))
        sets.append(soa)
        step = -(-len(sets) // self.messages)
        for at in range(0, len(sets), step):
            told = dns.message.make_response(asked)
            # its second SOA is one more record, not one more of the first set
            for rrset in sets[at : at + step]:
                told.answer.append(rrset)
            yield told.to_wire()

    def _udp(self):
        while True:
            try:
                query, whom = self.udp.recvfrom(4096)
            except OSError:
                return
            if not query:
                return
            for told in self._said(query):
                self.udp.sendto(told, whom)

    def _tcp(self):
        while True:
            try:
                line, _ = self.tcp.accept()
            except OSError:
                return
            with line:
                query = line.recv(4096)[2:]
                for told in self._said(query):
                    line.sendall(struct.pack("!H", len(told)) + told)


@pytest.fixture
def server():
    made = Server({"a.example.", "b.example."})
    yield made
    made.close()


@pytest.mark.parametrize("messages", [1, 2, 6])
def test_the_list_of_zones_is_read_whole(messages):
    made = Server({"a.example.", "b.example."}, messages)
    assert list_zones("127.0.0.1", "cat.", made.port) == ("a.example.", "b.example.")
    made.close()


def test_without_a_list_there_is_none(server):
    server.close()
    assert list_zones("127.0.0.1", "cat.", server.port) is None


def test_an_asker_goes_round_and_notices_what_changes(server):
    asker = Asker("127.0.0.1", "cat.", "127.0.0.1", server.port)
    asker.ask_round()
    assert asker.heard.zones == ("a.example.", "b.example.")
    asker.ask_round()
    assert asker.heard.whole
    assert asker.heard.failing == ()
    # it stops answering for one that it still lists
    listed, server.zones = server.zones, {"a.example."}
    asker.listed_s = float("inf")  # no look at the list meanwhile
    asker.ask_round()
    ((zone, since_s, what, known),) = asker.heard.failing
    assert (zone, what, known) == ("b.example.", "rcode 5", True)
    asker.ask_round()
    assert asker.heard.failing[0][1] == since_s
    # the list says that it is gone: no fault
    asker.listed_s = 0.0
    asker.ask_round()
    assert asker.heard.failing == ()
    assert asker.heard.whole
    # one that comes has to be asked for first
    server.zones = listed
    asker.listed_s = 0.0
    asker._list()
    assert asker._note().whole is False
    asker.ask_round()
    assert asker.heard.whole


def test_an_address_that_is_not_on_this_host_is_silent(server):
    """Its answer would come from another PoP."""
    assert ask_udp("192.0.2.53", "a.example.", server.port) is None


def test_work_that_goes_on_in_silence_is_busyness(server):
    spent = iter([0.0, 0.0, 100.0, 100.0, 100.0])
    service = NameService("knot", "cat.", "127.0.0.1")
    naming = Naming(service, [], lambda: next(spent))
    assert naming._is_busy(HERE, 1.0, silent=False) is False
    assert naming._is_busy(HERE, 2.0, silent=True) is False
    assert naming._is_busy(HERE, 10.0, silent=True) is True
    # a machine that does not say it: then silence is silence
    assert Naming(service, [], lambda: None)._is_busy(HERE, 10.0, silent=True) is False
    assert read_spent_s("no-such-unit-here") is None


def test_a_watch_file_names_the_server_it_is_for():
    text = (
        b'{"format": 1, "host": "fra1", "role": "pop", "name_service":'
        b' {"unit": "%s", "catalog": "c.", "list_at": "::1"}}'
    )
    told = parse_watch(text % b"nsd").name_service
    assert told == NameService("nsd", "c.", "::1")
    with pytest.raises(RefusedError, match="named"):
        parse_watch(text % b"named")
    lonely = (
        b'{"format": 1, "role": "pop", "announcements": {"n4": {"family": 4, "services": [],'
        b' "gate": "/run/loopback/gate/gate4-n4.conf", "mode": "all", "names": ["198.51.100.53"],'
        b' "open": "", "deprefer": "", "closed": ""}}}'
    )
    with pytest.raises(RefusedError, match="n4 is gated by names"):
        parse_watch(lonely)


KNOT, NSD = "/etc/knot/knot.conf", "/etc/nsd/nsd.conf"
DROP_IN = "/etc/systemd/system/nsd.service.d/loopback.conf"
BIRD = "/etc/bird/bird.conf"


def files(*paths: str, text: str = "one") -> dict[str, SetFile]:
    return {path: SetFile(text, 0o644, "root", "root") for path in paths}


def test_a_pop_may_be_a_name_server_and_a_worker_may_not():
    assert {parse_place(path, "pop").kind for path in (KNOT, NSD)} == {"knot", "nsd"}
    assert parse_place(DROP_IN, "pop").kind == "drop-in"
    for path in (KNOT, NSD):
        with pytest.raises(RefusedError):
            parse_place(path, "worker")


def test_a_name_server_that_comes_changes_or_goes_drains_nobody():
    old, new = files(BIRD), files(BIRD, NSD, DROP_IN)
    assert services_of(new, "pop") == ["bird", "nsd"]
    steps = [step.kind for step in plan_steps([NSD, DROP_IN], old, new, "pop")]
    assert steps == ["units", "nsd"]
    assert not touches_data_plane([KNOT, NSD, DROP_IN], "pop")
    assert [step.kind for step in plan_retired(new, old, "pop")] == ["nsd"]
