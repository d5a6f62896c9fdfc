"""What name servers count, in words that are the same for both."""

from __future__ import annotations

from loopback_iac.agent.metrics import Sample, count_names
from loopback_iac.agent.namestats import NameCounts, parse_knot, parse_nsd

# as they said it, lines of other things cut
KNOT = """\
server.zone-count = 3
mod-rrl.slipped = 4
mod-rrl.dropped = 3
mod-rrl.dropped-time = 0
mod-stats.request-protocol[udp4] = 5
mod-stats.request-protocol[tcp4] = 3
mod-stats.request-protocol[udp6] = 2
mod-stats.response-code[NOERROR] = 7
mod-stats.response-code[NXDOMAIN] = 3
mod-stats.response-code[REFUSED] = 0
mod-stats.response-code[NOTAUTH] = 0
"""
NSD = """\
num.queries=48
time.elapsed=1.831653
num.type.A=6
num.rcode.NOERROR=45
num.rcode.NXDOMAIN=3
num.rcode.FORMERR=0
num.udp=21
num.udp6=18
num.tcp=7
num.tcp6=2
num.dropped=9
"""


def test_knot_is_read():
    assert parse_knot(KNOT) == NameCounts(
        {"udp4": 5, "udp6": 2, "tcp4": 3, "tcp6": 0},
        {"NOERROR": 7, "NXDOMAIN": 3, "REFUSED": 0},
        {"truncated": 4, "dropped": 3},
    )


def test_a_knot_that_counts_nothing_has_no_samples():
    assert parse_knot("server.zone-count = 3\nmod-rrl.slipped = 4\n") is None


def test_nsd_is_read():
    assert parse_nsd(NSD) == NameCounts(
        {"udp4": 21, "udp6": 18, "tcp4": 7, "tcp6": 2},
        {"NOERROR": 45, "NXDOMAIN": 3},
        {"dropped": 9},
    )
    assert parse_nsd("error: could not connect\n") is None


def test_each_count_is_a_counter_with_its_label():
    questions, answers, limited = count_names(
        NameCounts({"udp4": 5}, {"NOERROR": 4, "NXDOMAIN": 1}, {})
    )
    assert (questions.name, questions.kind) == ("loopback_name_questions_total", "counter")
    assert questions.samples == [Sample(5, (("transport", "udp4"),))]
    assert answers.samples == [
        Sample(4, (("rcode", "NOERROR"),)),
        Sample(1, (("rcode", "NXDOMAIN"),)),
    ]
    assert limited.samples == []
