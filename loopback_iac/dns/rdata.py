"""Data of records: presentation text <-> canonical octets, for every type dnspython knows.

The seven types that most records have are read here, because a hundred thousand of them must not
take half a minute; all others, and whatever is unusual about these, are dnspython's to read. Types
it does not know are held as octets (RFC 3597).
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

import dns.exception
import dns.ipv4
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from loopback_iac.dns import names
from loopback_iac.dns.refusal import Refusal, shown

IN = dns.rdataclass.IN
MAX_OCTETS = 65_535  # RFC 1035 3.2.1: RDLENGTH has 16 bits
STRING_MAX = 255  # RFC 1035 3.3: one character-string
TARGETS = frozenset({"CNAME", "DNAME", "NS", "PTR"})

_QUOTED = re.compile(r'"((?:[^"\\]|\\[0-9]{3}|\\[^0-9])*)"')
_ESCAPE = re.compile(rb"\\([0-9]{3}|[^0-9])", re.DOTALL)
_UNSAFE = re.compile(rb"[^\x20-\x21\x23-\x5b\x5d-\x7e]")  # quote, backslash, all but ASCII


@lru_cache(maxsize=512)
def parse_type(text: str) -> str:
    """The name of a type, as "A", "HTTPS" or "TYPE65280".

    Raises: Refusal for what is no type, or none that a zone holds.
    """
    upper = text.upper()
    if upper in ("ALIAS", "ANAME"):
        raise Refusal(
            "type-alias",
            f"{upper} is answered differently by each operator, and has no RFC",
            "a type that every server answers alike",
            "write the A and AAAA records out, or a CNAME below the zone's own name",
        )
    try:
        kind = dns.rdatatype.from_text(upper)
    except (dns.exception.DNSException, ValueError):
        raise Refusal(
            "type-unknown",
            f"{shown(text)} is no type of records",
            "a type's name, or TYPE and its number (RFC 3597)",
            "correct the type",
        ) from None
    if kind == 0 or dns.rdatatype.is_metatype(kind):
        raise Refusal(
            "type-meta",
            f"{upper} is asked for or sent along, never stored",
            "a type of records (RFC 6895 3.1)",
            "remove it",
        )
    return dns.rdatatype.to_text(kind)


def parse_rdata(kind: str, text: str, origin: str) -> bytes:
    """One record's data from its presentation form.

    In: `kind` as `parse_type` returns it; `origin` completes relative names.
    Out: canonical octets (RFC 4034 6.2).
    Raises: Refusal.
    """
    read = _FAST.get(kind)
    wire = read(text, origin) if read is not None else None
    return _general(kind, text, origin) if wire is None else wire


def render_rdata(kind: str, wire: bytes) -> str:
    """Presentation form; names absolute, character-strings quoted, one line."""
    render = _RENDERED.get(kind)
    if render is not None:
        return render(wire)
    data = opened(kind, wire)
    if all(map(names.is_plainly_written, _names_in(data))):
        return data.to_text()
    return f"\\# {len(wire)} {wire.hex()}"  # RFC 3597 5: of known types as well


def opened(kind: str, wire: bytes) -> dns.rdata.Rdata:
    """The fields of one record, as dnspython's class of its type."""
    return dns.rdata.from_wire(IN, dns.rdatatype.from_text(kind), wire, 0, len(wire))


def text_rdata(text: str) -> bytes:
    """Data of a TXT record that says `text`: UTF-8, cut into strings of 255 octets."""
    return pack_strings(filled(text.encode()))


def filled(data: bytes) -> list[bytes]:
    """Octets as character-strings of 255 each, the last one shorter."""
    return [data[at : at + STRING_MAX] for at in range(0, len(data), STRING_MAX)] or [b""]


def pack_strings(parts: list[bytes]) -> bytes:
    """Character-strings as octets.

    Raises: Refusal for a string of more than 255 octets, or more of them than a record holds.
    """
    for part in parts:
        if len(part) > STRING_MAX:
            raise Refusal(
                "txt-string-long",
                f"a string of {len(part)} octets",
                "at most 255 octets between two quotes (RFC 1035 3.3)",
                'divide it: "first part" "second part"',
            )
    wire = b"".join(bytes((len(part),)) + part for part in parts)
    return _fitting(wire)


def strings(wire: bytes) -> list[bytes]:
    """The character-strings that octets hold."""
    found, at = [], 0
    while at < len(wire):
        end = at + 1 + wire[at]
        found.append(wire[at + 1 : end])
        at = end
    return found


def quoted(part: bytes) -> str:
    """One character-string between quotes; all but printable ASCII as \\DDD."""
    escaped = _UNSAFE.sub(_escaped, part)
    return f'"{escaped.decode("ascii")}"'


def _escaped(match: re.Match[bytes]) -> bytes:
    octet = match[0][0]
    return b"\\" + match[0] if octet in b'"\\' else b"\\%03d" % octet


def _fitting(wire: bytes) -> bytes:
    if len(wire) > MAX_OCTETS:
        raise Refusal(
            "rdata-too-long",
            f"{len(wire)} octets of data",
            f"at most {MAX_OCTETS} (RFC 1035 3.2.1)",
            "shorten it",
        )
    return wire


def _read_a(text: str, _: str) -> bytes | None:
    try:
        return dns.ipv4.inet_aton(text)
    except dns.exception.SyntaxError:
        return None


def _read_aaaa(text: str, _: str) -> bytes | None:
    try:
        return IPv6Address(text).packed if "%" not in text else None
    except AddressValueError:
        return None


def _read_target(text: str, origin: str) -> bytes | None:
    words = text.split()
    return names.name_wire(names.parse_name(words[0], origin)) if len(words) == 1 else None


def _read_mx(text: str, origin: str) -> bytes | None:
    words = text.split()
    if len(words) != 2 or not words[0].isdecimal() or not int(words[0]) <= 65535:
        return None
    return int(words[0]).to_bytes(2) + names.name_wire(names.parse_name(words[1], origin))


def _read_txt(text: str, _: str) -> bytes | None:
    parts, at = [], 0
    for match in _QUOTED.finditer(text):
        if text[at : match.start()].strip(" \t"):
            return None
        parts.append(_octets(match[1]))
        at = match.end()
    return pack_strings(parts) if parts and not text[at:].strip(" \t") else None


def _octets(body: str) -> bytes:
    data = body.encode()
    return _ESCAPE.sub(_unescaped, data) if b"\\" in data else data


def _unescaped(match: re.Match[bytes]) -> bytes:
    if len(match[1]) != 3:
        return match[1]
    if int(match[1]) > 255:
        _bad_escape(match[0].decode())
    return bytes((int(match[1]),))


def _bad_escape(escape: str) -> None:
    raise Refusal(
        "rdata-escape",
        f"{escape} is no escape",
        r"\DDD with DDD from 000 to 255, or a backslash and one character",
        "correct the escape",
    )


def _general(kind: str, text: str, origin: str) -> bytes:
    try:
        data = dns.rdata.from_text(
            IN,
            dns.rdatatype.from_text(kind),
            text,
            origin=dns.name.from_text(origin),
            relativize=False,
            idna_codec=names.IDNA,
        )
        wire = data.to_digestable()
    except (dns.exception.DNSException, ValueError, OverflowError) as cause:
        need, fix = _FORMS.get(kind, (f"the data of {kind}", "write it as its RFC shows it"))
        why = " ".join(str(cause).split()).rstrip(".")
        told = why and why not in _TELLS_NOTHING
        got = f"{shown(text)} is no data of {kind}" + (f" ({why})" if told else "")
        raise Refusal("rdata-syntax", got, need, fix) from None
    return _fitting(wire)


def _names_in(data: dns.rdata.Rdata) -> Iterator[dns.name.Name]:
    for field in data.__slots__:
        value = getattr(data, field, None)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, dns.name.Name):
                yield each


def _rendered_mx(wire: bytes) -> str:
    return f"{int.from_bytes(wire[:2])} {names.name_text(wire[2:])}"


def _rendered_txt(wire: bytes) -> str:
    return " ".join(quoted(part) for part in strings(wire))


_FAST: dict[str, Callable[[str, str], bytes | None]] = {
    "A": _read_a,
    "AAAA": _read_aaaa,
    "MX": _read_mx,
    "TXT": _read_txt,
    **dict.fromkeys(TARGETS, _read_target),
}
_RENDERED: dict[str, Callable[[bytes], str]] = {
    "A": dns.ipv4.inet_ntoa,
    "AAAA": lambda wire: IPv6Address(wire).compressed,
    "MX": _rendered_mx,
    "TXT": _rendered_txt,
    **dict.fromkeys(TARGETS, names.name_text),
}
_TELLS_NOTHING = frozenset({"Text input is malformed", "Text input ended unexpectedly"})
_FORMS = {
    "A": ("one IPv4 address", "for example 192.0.2.1"),
    "AAAA": ("one IPv6 address", "for example 2001:db8::1"),
    "MX": ("preference and host", 'for example "10 mail" or "0 ." for no mail at all'),
    "TXT": ("strings in quotes, or one text without them", 'for example "v=spf1 -all"'),
    "SRV": ("priority, weight, port, target", 'for example "10 5 5060 sip"'),
    "CAA": ("flags, tag, value", 'for example "0 issue \\"ca.example\\""'),
    "SOA": (
        "mname, rname, serial, refresh, retry, expire, negative TTL",
        'for example "ns1 hostmaster 1 3600 900 604800 3600"',
    ),
    "DS": ("key tag, algorithm, digest type, digest", "copy it from the child zone's signer"),
    "TLSA": ("usage, selector, matching type, hex data", 'for example "3 1 1 <64 hex digits>"'),
    "SSHFP": ("algorithm, fingerprint type, hex data", "copy it from ssh-keyscan -D HOST"),
    "HTTPS": ("priority, target, parameters", 'for example "1 . alpn=h2"'),
    "SVCB": ("priority, target, parameters", 'for example "1 svc alpn=h2"'),
    **dict.fromkeys(TARGETS, ("one name", "write it relative to the zone, or with a final dot")),
}
