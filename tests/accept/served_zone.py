"""A signed zone on real servers, and what is done to it: what both tests of served zones share."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import dns.name
import dns.query
import dns.rdataset
import dns.rdatatype
import dns.tsig
import dns.zone
from typer.testing import CliRunner

from loopback_iac.cli import app
from loopback_iac.dns import parse_zone_file
from loopback_iac.dns.served import Expected, check_served
from loopback_iac.dns.served.ds_gate import check_ds_gate
from loopback_iac.dns.served.signatures import make_ds
from loopback_iac.remote.dns_ask import Limits
from loopback_iac.remote.dns_served import Probe, probe_looks, probe_zone
from loopback_iac.remote.dns_transfer import parse_tsig
from tests.accept.name_servers import HOST, KEY_LINE, SECRET, ZONE, Between, knot, nsd, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_iac.lab.names.image import Image

TEXT = """\
$ORIGIN example.net.
$TTL 3600
@ SOA ns1 hostmaster 1 3600 900 604800 3600
@ NS ns1
@ NS ns2.example.org.
@ MX 10 mail
@ CAA 0 issue "ca.example"
ns1 A 192.0.2.53
mail A 192.0.2.1
www A 192.0.2.2
www AAAA 2001:db8::1
_sip._tcp SRV 10 5 5060 mail
alias CNAME www
*.wild TXT "w"
a.b.c TXT "deep"
svc HTTPS 1 . alpn=h2
child NS ns.child
child NS ns2.example.org.
ns.child A 192.0.2.9
safe NS ns.example.org.
safe DS 12345 13 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF
"""
DECLARED = parse_zone_file(TEXT)
OTHERS = {
    "A": "192.0.2.77",
    "AAAA": "2001:db8::77",
    "CAA": '0 issue "other.example"',
    "CNAME": "mail.example.net.",
    "DS": "54321 13 2 " + "AB" * 32,
    "HTTPS": "1 . alpn=h3",
    "MX": "66 mail.example.net.",
    "NS": "ns9.example.org.",
    "SOA": "ns1.example.net. other.example.net. 1 3600 900 604800 3600",
    "SRV": "10 5 5061 mail.example.net.",
    "TXT": '"other"',
}
# of whoever is silent on purpose; all others may be late on a busy machine
HASTY = Limits(timeout_s=1.5, tries=3)
SURE = Limits(timeout_s=5.0, tries=4)
RING = {dns.name.from_text("audit"): dns.tsig.Key("audit", SECRET, "hmac-sha256")}


class Fleet:
    """A signer, and two servers that have what it signed."""

    def __init__(self, image, text, before):
        self.image = image
        self.signer = knot(image, f"{before}signer", text, sign={})
        self.signer.start()
        self.signed = transfer(self.signer)
        self.plain = knot(image, f"{before}plain", text_of(self.signed))
        self.nsd = nsd(image, f"{before}nsd", text_of(self.signed))

    @property
    def ds(self):
        keys = self.signed.find_rdataset("@", "DNSKEY")
        return make_ds(ZONE, [one.to_digestable() for one in keys])

    def altered(self, change):
        """The signed zone after a change, as text."""
        zone = dns.zone.from_text(text_of(self.signed), ZONE, check_origin=False)
        change(zone)
        return text_of(zone)

    def as_signed(self):
        """Serve everywhere what the signer signed."""
        if (self.plain.home / "zone").read_text() != text_of(self.signed):
            self.plain.reload(text_of(self.signed))


@contextlib.contextmanager
def signed_fleet(image: Image, text: str = TEXT, before: str = "") -> Iterator[Fleet]:
    """The servers, running; gone afterwards.

    `before`: of each one's name, so that two fleets may stand side by side.
    """
    made = Fleet(image, text, before)
    try:
        with running(made.plain, made.nsd):
            yield made
    finally:
        made.signer.stop()


def transfer(daemon):
    messages = dns.query.xfr(HOST, ZONE, port=daemon.port, keyring=RING, keyname="audit")
    return dns.zone.from_xfr(messages)


def text_of(zone):
    return zone.to_text(relativize=False, want_origin=True)


def check(servers, *, ds=(), way="all", keyed=True, parent=None, later_s=0, **rest):
    now = int(time.time())
    tsig = parse_tsig(KEY_LINE) if keyed is True else keyed or None
    views, above = [], None
    for hasty in (True, False):
        asked = [getattr(s, "server", s) for s in servers if isinstance(s, Between) is hasty]
        probe = Probe(DECLARED, now, tsig, way, HASTY if hasty else SURE)
        found, above = probe_zone(probe, asked, None if hasty else parent)
        views += found
    return check_served(Expected(DECLARED, now + later_s, tuple(ds), **rest), views, above)


def rules(report, name):
    return {one.rule for one in report.findings if one.server == name}


def verdicts(report):
    return {one.server.name: one.verdict for one in report.servers}


def put(zone, name, kind, text=None, ttl=3600):
    zone.replace_rdataset(name, dns.rdataset.from_text("IN", kind, ttl, text or OTHERS[kind]))


SIGNERS = {"RRSIG", "NSEC", "DNSKEY", "ZONEMD", "CDS", "CDNSKEY"}


def strip(zone):
    for name in list(zone.nodes):
        for rdataset in list(zone.nodes[name]):
            if dns.rdatatype.to_text(rdataset.rdtype) in SIGNERS:
                zone.nodes[name].rdatasets.remove(rdataset)


def text_ds(wire):
    tag, algorithm, kind = int.from_bytes(wire[:2]), wire[2], wire[3]
    return f"{tag} {algorithm} {kind} {wire[4:].hex()}"


def gate(*servers):
    views = probe_looks(ZONE, [getattr(s, "server", s) for s in servers], SURE)
    return check_ds_gate(ZONE, views, int(time.time()))


def run_verb(*words, stdin=None):
    return CliRunner().invoke(app, ["dns", *map(str, words)], input=stdin)
