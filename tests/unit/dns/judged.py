"""What the comparer says of a server of the zone that was signed in memory."""

from __future__ import annotations

from loopback_iac.dns.served import Expected, check_served
from loopback_iac.dns.served.check_server import must_be_asked
from loopback_iac.dns.served.judge import Measure
from loopback_iac.dns.served.signatures import make_ds
from tests.unit.dns.signed import DECLARED, ORIGIN, TEXT, now, signed, view_of

RICH = (
    f"{TEXT}old DNAME ns1\n*.wild A 192.0.2.5\nwide CNAME ns1\n*.all CNAME ns1\nx.all A 192.0.2.6\n"
    f"x.y.wild A 192.0.2.7\nsafe NS ns2.example.org.\nsafe DS 1 13 2 {'AB' * 32}\n"
)


def ds_of(records):
    return make_ds(ORIGIN, [one.wire for one in records if one.type == "DNSKEY"])


def verdict_on(records, *others, declared=DECLARED, now_s=0, ds=None, **rest):
    """What is said of a server that has these records, and the rules that it breaks."""
    anchors = ds_of(signed()) if ds is None else ds
    expected = Expected(declared, now_s or now(), anchors)
    asked = must_be_asked(Measure(declared, None, 0))
    view = view_of(records, asked=asked, **rest)
    report = check_served(expected, [view, *others])
    (found,) = (one for one in report.servers if one.server.name == "ns1")
    return found.verdict, {one.rule for one in report.findings if one.server == "ns1"}
