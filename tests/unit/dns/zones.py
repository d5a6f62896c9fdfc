"""Zones for these tests: small ones by hand, and any zone at all for properties."""

from __future__ import annotations

from hypothesis import strategies as st

from loopback_iac.dns import Zone, make_zone, parse_zone, rdata
from loopback_iac.dns.names import parse_name

ORIGIN = "example.net."
GOOD = {
    "@": {
        "SOA": "ns1 hostmaster 1 3600 900 604800 3600",
        "NS": ["ns1", "ns2.example.org."],
        "MX": "10 mail",
        "TXT": "v=spf1 mx -all",
    },
    "ns1": {"A": "192.0.2.1"},
    "mail": {"A": "192.0.2.2", "AAAA": "2001:db8::2"},
    "www": {"A": ["192.0.2.3", "192.0.2.4"]},
}


def zone(records: dict | None = None, **rest) -> Zone:
    """GOOD with other records over it."""
    return parse_zone("zone", {"name": ORIGIN, "records": GOOD | (records or {}), **rest})


def bare(records: dict) -> Zone:
    return parse_zone("zone", {"name": ORIGIN, "records": records})


LABELS = st.one_of(
    st.from_regex(r"[a-z0-9_]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True),
    st.sampled_from(["*", "in", "a", "mx", "ttl", "3600", "_tcp", "www", "xn--bcher-kva"]),
    st.binary(min_size=1, max_size=4).map(lambda b: "".join(f"\\{octet:03d}" for octet in b)),
)
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(
    lambda parts: parse_name(".".join(parts), ORIGIN)
)
OWNERS = st.one_of(st.just(ORIGIN), NAMES)
INT16 = st.integers(0, 65535)
HEX32 = st.binary(min_size=32, max_size=32).map(bytes.hex)
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.:/", min_size=1, max_size=20)
STRING = st.binary(max_size=255).map(rdata.quoted)
ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=600)


def _joined(*parts):
    return st.tuples(*parts).map(lambda values: " ".join(map(str, values)))


OCTODNS_VALUES = {
    "A": st.ip_addresses(v=4).map(str),
    "AAAA": st.ip_addresses(v=6).map(str),
    "CNAME": NAMES,
    "NS": NAMES,
    "PTR": NAMES,
    "MX": _joined(INT16, NAMES),
    "SRV": _joined(INT16, INT16, INT16, NAMES),
    "CAA": _joined(st.sampled_from([0, 128]), st.just("issue"), WORD.map(lambda w: f'"{w}"')),
    "DS": _joined(INT16, st.just("13 2"), HEX32),
    "TLSA": _joined(st.just("3 1 1"), HEX32),
    "SSHFP": _joined(st.just("4 2"), HEX32),
    "NAPTR": _joined(INT16, INT16, st.just('"U" "E2U+sip" "!^.*$!sip:x!"'), NAMES),
    "URI": _joined(INT16, INT16, WORD.map(lambda w: f'"{w}"')),
    "HTTPS": st.just('1 . alpn="h2,h3" port=443'),
    "LOC": st.just("52 22 23.000 N 4 53 32.000 E -2.00m 1.00m 10000.00m 10.00m"),
}
VALUES = OCTODNS_VALUES | {
    "TXT": st.lists(STRING, min_size=1, max_size=3).map(" ".join),
    "HINFO": _joined(STRING, STRING),
    "CERT": st.just("PKIX 1 8 AwEAAbOWSDo="),
    "SVCB": st.just('16 svc.example.net. key65000="a\\000b" ipv4hint=192.0.2.1'),
    "TYPE65280": st.binary(max_size=40).map(lambda b: f"\\# {len(b)} {b.hex()}"),
    "SOA": _joined(NAMES, NAMES, st.just("1 2 3 4"), st.integers(0, 2**31)),
}


@st.composite
def any_zone(draw, values=VALUES, text=None) -> Zone:
    """Some zone, right or wrong: what it says is never looked at by what reads and writes it."""
    found = {}
    for owner in draw(st.lists(OWNERS, max_size=6, unique=True)):
        for kind in draw(st.lists(st.sampled_from(sorted(values)), max_size=3, unique=True)):
            texts = draw(st.lists(values[kind], min_size=1, max_size=3))
            data = [rdata.parse_rdata(kind, text, ORIGIN) for text in texts]
            found[owner, kind] = (draw(st.sampled_from([0, 60, 300, 3600, 2**31 - 1])), data)
        if text is not None:
            found[owner, "TXT"] = (3600, [rdata.text_rdata(draw(text))])
    return make_zone(ORIGIN, 3600, found)
