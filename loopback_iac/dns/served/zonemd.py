"""The digest of a whole zone, over what was transferred (RFC 8976)."""

import hashlib
from collections.abc import Iterable

from loopback_iac.dns import names
from loopback_iac.dns.served.message import Record, type_number
from loopback_iac.dns.served.signatures import Served

SIMPLE = 1
HASHES = {1: hashlib.sha384, 2: hashlib.sha512}
HOLDS, UNKNOWN = "holds", "unknown"


def check_zonemd(zone: str, serial: int, records: Iterable[Record], given: Served | None) -> str:
    """Whether a zone is the one that its ZONEMD is the digest of.

    In: `records`: all of the zone, the SOA once.
    Out: `HOLDS`, `UNKNOWN` when there is none or none of a kind known here, or what is wrong.
    """
    for wire in given.rdata if given else ():
        made, digest = HASHES.get(wire[5]) if len(wire) > 6 else None, wire[6:]
        if made is None or wire[4] != SIMPLE:
            continue
        if int.from_bytes(wire[:4]) != serial:
            return f"it is the digest of serial {int.from_bytes(wire[:4])}"
        if made(_octets(zone, records)).digest() == digest:
            return HOLDS
        return "the zone is not what its digest was made of"
    return UNKNOWN


def _octets(zone: str, records: Iterable[Record]) -> bytes:
    own = type_number("ZONEMD").to_bytes(2)
    rows = set()
    for record in records:
        at_apex = record.owner == zone
        if at_apex and (
            record.type == "ZONEMD" or (record.type == "RRSIG" and record.wire[:2] == own)
        ):
            continue
        rows.add((record.owner, type_number(record.type), record.wire, record.ttl_s))
    place = {owner: names.order(owner) for owner in {row[0] for row in rows}}
    ordered = sorted(rows, key=lambda row: (place[row[0]], row[1], row[2]))
    return b"".join(
        names.name_wire(owner)
        + kind.to_bytes(2)
        + b"\0\1"
        + ttl_s.to_bytes(4)
        + len(wire).to_bytes(2)
        + wire
        for owner, kind, wire, ttl_s in ordered
    )
