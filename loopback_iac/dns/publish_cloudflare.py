"""A zone as records of Cloudflare: one per value, most types as fields of their own.

Sources: terraform-provider-cloudflare 5.22, internal/services/dns_record: types, `content` or
`data`, and how its tests write each of them.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from loopback_iac.dns import names
from loopback_iac.dns.rdata import opened, render_rdata
from loopback_iac.dns.zone import RRset, Zone
from loopback_iac.model.problem import Problem

STANDARD = ".ns.cloudflare.com."
"""Names of the servers that a zone gets; which two of them is said when the zone is made."""
_BARE = frozenset({"CNAME", "MX", "NS", "PTR"})
"""Types whose content is a name, which it writes without a final dot."""


class CloudflareRecord(NamedTuple):
    """One record: `content`, or `data` for types that have fields."""

    part: str
    name: str
    type: str
    ttl_s: int
    content: str | None
    priority: int | None
    data: dict[str, Any] | None


def cloudflare_records(zone: Zone, own: tuple[str, ...]) -> tuple[CloudflareRecord, ...]:
    """
    Records for cloudflare.DnsRecord: all but SOA and Cloudflare's own NS.

    In: own, names of its servers as far as they were told; those it calls standard are known.
    """
    found = []
    for rrset in zone.rrsets:
        apex = rrset.type == "NS" and rrset.owner == zone.name
        for wire in rrset.rdata:
            value = render_rdata(rrset.type, wire)
            if rrset.type == "SOA" or (apex and (value in own or value.endswith(STANDARD))):
                continue
            # an alias changes in place: two of them may never stand beside each other
            tail = "" if rrset.type == "CNAME" else f"-{_digest(value)}"
            part = f"{names.relative(rrset.owner, zone.name)}-{rrset.type}{tail}"
            name, sent = rrset.owner.removesuffix("."), _fields(rrset, wire, value)
            found.append(CloudflareRecord(part, name, rrset.type, rrset.ttl_s, *sent))
    return tuple(found)


def check_fields(zone: Zone) -> list[Problem]:
    """Values that its API, which is JSON, has no way to say."""
    found = []
    for rrset in zone.rrsets:
        for wire in rrset.rdata:
            try:
                _fields(rrset, wire, "0 .")
            except UnicodeDecodeError as wrong:
                path = f"{rrset.owner} {rrset.type}"
                octet = wrong.object[wrong.start]
                got = f"cloudflare takes text in its fields, and this has the octet {octet}"
                fix = "write it in ASCII, or serve the zone without this operator"
                found.append(Problem(path, got, "ASCII", fix, "operator-value"))
    return found


def _fields(
    rrset: RRset, wire: bytes, value: str
) -> tuple[str | None, int | None, dict[str, Any] | None]:
    """Out: content, priority, data."""
    if rrset.type in _DATA:
        data = _DATA[rrset.type](opened(rrset.type, wire))
        # SRV has its priority in both places, URI beside its data alone
        priority = data.get("priority") if rrset.type == "SRV" else data.pop("beside", None)
        return None, priority, data
    priority = None
    if rrset.type == "MX":
        first, value = value.split(" ", 1)
        priority = int(first)
    if rrset.type in _BARE and value != ".":
        value = value.removesuffix(".")
    return value, priority, None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


# What dnspython calls a field of each type, and what Cloudflare calls it.


def _caa(d: Any) -> dict[str, Any]:  # noqa: ANN401  # an rdata of dnspython, here and below
    return {"flags": d.flags, "tag": d.tag.decode("ascii"), "value": d.value.decode("ascii")}


def _cert(d: Any) -> dict[str, Any]:  # noqa: ANN401
    text = d.to_text().split(" ", 3)[3].replace(" ", "")
    numbers = {"type": d.certificate_type, "key_tag": d.key_tag, "algorithm": int(d.algorithm)}
    return {**numbers, "certificate": text}


def _ds(d: Any) -> dict[str, Any]:  # noqa: ANN401
    numbers = {"key_tag": d.key_tag, "algorithm": int(d.algorithm), "digest_type": d.digest_type}
    return {**numbers, "digest": d.digest.hex()}


def _loc(d: Any) -> dict[str, Any]:  # noqa: ANN401
    found: dict[str, Any] = {}
    for stem, (degrees, minutes, seconds, thousandths, sign), ways in (
        ("lat", d.latitude, "NS"),
        ("long", d.longitude, "EW"),
    ):
        found |= {f"{stem}_degrees": degrees, f"{stem}_minutes": minutes}
        found |= {f"{stem}_seconds": seconds + thousandths / 1000}
        found |= {f"{stem}_direction": ways[0] if sign > 0 else ways[1]}
    # dnspython has centimetres, Cloudflare metres
    metres = {"altitude": d.altitude, "size": d.size}
    metres |= {"precision_horz": d.horizontal_precision, "precision_vert": d.vertical_precision}
    return found | {key: value / 100 for key, value in metres.items()}


def _naptr(d: Any) -> dict[str, Any]:  # noqa: ANN401
    texts = {"flags": d.flags, "service": d.service, "regex": d.regexp}
    found = {"order": d.order, "preference": d.preference, "replacement": d.replacement.to_text()}
    return found | {key: value.decode("ascii") for key, value in texts.items()}


def _srv(d: Any) -> dict[str, Any]:  # noqa: ANN401
    target = d.target.to_text()
    bare = target if target == "." else target.removesuffix(".")
    return {"priority": d.priority, "weight": d.weight, "port": d.port, "target": bare}


def _sshfp(d: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"algorithm": d.algorithm, "type": d.fp_type, "fingerprint": d.fingerprint.hex()}


def _svcb(d: Any) -> dict[str, Any]:  # noqa: ANN401
    value = d.to_text().split(" ", 2)[2:]
    return {"priority": d.priority, "target": d.target.to_text(), "value": " ".join(value)}


def _tlsa(d: Any) -> dict[str, Any]:  # noqa: ANN401
    numbers = {"usage": d.usage, "selector": d.selector, "matching_type": d.mtype}
    return {**numbers, "certificate": d.cert.hex()}


def _uri(d: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"beside": d.priority, "weight": d.weight, "target": d.target.decode("ascii")}


_DATA: dict[str, Callable[[Any], dict[str, Any]]] = {
    "CAA": _caa,
    "CERT": _cert,
    "DS": _ds,
    "HTTPS": _svcb,
    "LOC": _loc,
    "NAPTR": _naptr,
    "SMIMEA": _tlsa,
    "SRV": _srv,
    "SSHFP": _sshfp,
    "SVCB": _svcb,
    "TLSA": _tlsa,
    "URI": _uri,
}
