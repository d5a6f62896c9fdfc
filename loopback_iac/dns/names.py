"""Domain names as text: lower case, absolute, A-labels, escaped in one way only.

Two names are equal exactly when their texts are, so they can be keys. Nearly all names are letters,
digits, hyphens and underscores: those never meet the general parser, which is dnspython's.

Sources: RFC 1035 3.1 and 5.1 (limits, escapes), RFC 4034 6.1 (order), RFC 5890 to 5893 (IDNA 2008).
"""

import re
from functools import lru_cache

import dns.exception
import dns.name

from loopback_iac.dns.refusal import Refusal, shown

PLAIN = re.compile(r"[a-z0-9_*-]{1,63}(?:\.[a-z0-9_*-]{1,63})*\.?")
IDNA = dns.name.IDNA_2008_UTS_46  # upper case and width folded as browsers do; ß stays ß
_UNSAFE = re.compile(rb"[^a-z0-9_*/-]")  # Knot's scanner reads these bare, and no others
MAX_TEXT = 254  # of a name without escapes, its final dot included: 255 octets on the wire

_WRONG: tuple[tuple[type[Exception], str, str, str], ...] = (
    (dns.name.LabelTooLong, "name-label-long", "labels of at most 63 octets", "shorten the label"),
    (dns.name.NameTooLong, "name-too-long", "at most 255 octets", "shorten the name"),
    (dns.name.EmptyLabel, "name-empty-label", "no two dots in a row", "remove the extra dot"),
    (
        dns.name.BadEscape,
        "name-escape",
        r"\DDD with DDD from 000 to 255, or a backslash and one character",
        "correct the escape",
    ),
    (
        dns.name.IDNAException,
        "name-idna",
        "a name that IDNA 2008 allows",
        "write it with allowed letters, or its A-label (xn--...)",
    ),
)


def parse_name(text: str, origin: str) -> str:
    """A name as a user wrote it: relative to `origin`, or absolute with a final dot.

    In: `origin`: an absolute name as this function returns it; "@" stands for it.
    Raises: Refusal.
    """
    if text == "@":
        return origin
    lower = text.lower() if text.isascii() else text
    if PLAIN.fullmatch(lower):
        whole = lower if lower[-1] == "." else join(lower, origin)
        if len(whole) <= MAX_TEXT:
            return whole
    return _general(text, origin)


def parse_zone_name(text: str) -> str:
    """The name of a zone; its final dot may be left out.

    Raises: Refusal.
    """
    return parse_name(text, ".")


def join(name: str, origin: str) -> str:
    """A relative name made absolute."""
    return f"{name}." if origin == "." else f"{name}.{origin}"


def _general(text: str, origin: str) -> str:
    if not text:
        raise Refusal("name-empty", "an empty name", "a name", 'write "@" for the zone itself')
    try:
        name = dns.name.from_text(text, dns.name.from_text(origin), IDNA)
    except (dns.exception.DNSException, ValueError) as cause:
        for kind, rule, need, fix in _WRONG:
            if isinstance(cause, kind):
                raise Refusal(rule, f"{shown(text)} is no domain name", need, fix) from None
        need = "a domain name"
        got = f"{shown(text)} is no domain name"
        raise Refusal("name-syntax", got, need, "correct the name") from None
    return text_of(name)


def text_of(name: dns.name.Name) -> str:
    """The one text of a name: lower case, all escaped that some server does not read bare."""
    return ".".join(map(label_text, name.labels[:-1])) + "."


def label_text(label: bytes) -> str:
    """One label as `text_of` writes it."""
    return _UNSAFE.sub(_escaped, label.lower()).decode()


def is_plainly_written(name: dns.name.Name) -> bool:
    """Whether dnspython's text of a name is one that every server reads."""
    return not any(_UNSAFE.search(label.replace(b".", b"")) for label in name.canonicalize().labels)


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"\\." if match[0] == b"." else b"\\%03d" % match[0][0]


def labels(name: str) -> list[str]:
    """Labels from the left, without the root; octets as the characters of the same number."""
    if "\\" not in name:
        return name.split(".")[:-1]
    return [label.decode("latin-1") for label in dns.name.from_text(name).labels[:-1]]


def order(name: str) -> tuple[str, ...]:
    """Sort key of names: RFC 4034 6.1, so a zone's own name comes first."""
    return tuple(reversed(labels(name)))


def is_within(name: str, zone: str) -> bool:
    """Whether a name is `zone` or below it."""
    if zone in (".", name):
        return True
    # an escaped dot before the zone's name would be part of a label
    if not name.endswith(f".{zone}"):
        return False
    left = name[: -len(zone) - 1]
    return (len(left) - len(left.rstrip("\\"))) % 2 == 0


def parent(name: str) -> str:
    """The name without its first label; the root's is the root."""
    if "\\" not in name:
        return name.partition(".")[2] or "."
    return text_of(dns.name.from_text(name).parent())


def relative(name: str, zone: str) -> str:
    """A name within a zone as it is written there; any other stays absolute."""
    if name == zone:
        return "@"
    if zone == "." or not is_within(name, zone):
        return name
    return name[: -len(zone) - 1]


@lru_cache(maxsize=4096)
def name_wire(name: str) -> bytes:
    """Octets of an absolute name, uncompressed (RFC 1035 3.1)."""
    if "\\" in name:
        return dns.name.from_text(name).to_wire() or b""
    parts = [label.encode() for label in name.split(".")[:-1]]
    return b"".join(bytes((len(part),)) + part for part in parts if part) + b"\0"


@lru_cache(maxsize=4096)
def name_text(wire: bytes) -> str:
    """The name that stands in octets; `wire` holds nothing else."""
    parts, at = [], 0
    while size := wire[at]:
        parts.append(wire[at + 1 : at + 1 + size])
        at += 1 + size
    text = b".".join(parts).decode("latin-1") + "."
    if PLAIN.fullmatch(text) and text.count(".") == len(parts):
        return text
    return text_of(dns.name.from_wire(wire, 0)[0])


def is_bad_a_label(label: str) -> bool:
    """Whether a label begins as an A-label and is none (RFC 5890 2.3.2.1)."""
    if not label.startswith("xn--"):
        return False
    try:
        u_label = dns.name.IDNA_2008_Strict.decode(label.encode())
        return dns.name.IDNA_2008_Strict.encode(u_label) != label.encode()
    except (dns.exception.DNSException, UnicodeError):
        return True


def owner_name(text: str, origin: str) -> str:
    """The owner of records, which has to lie within the zone.

    Raises: Refusal.
    """
    name = parse_name(text, origin)
    if text[-1] == "." and not is_within(name, origin):
        raise Refusal(
            "name-out-of-zone",
            f"{shown(name)} is not in {origin}",
            f"{origin} or a name below it",
            "leave out the final dot if it was meant relative, or move it to its own zone",
        )
    return name
