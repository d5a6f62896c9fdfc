"""What Cloudflare's zones hold: rules of their records, and the zone files that a server reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.dns import Refusal
from loopback_iac.dns.rdata import parse_rdata
from loopback_iac.lab.cloud.cloudflare.words import refuse
from loopback_iac.lab.cloud.zones import Held, NameServer, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Failures

# Cloudflare DNS documentation: two names for a zone of its own, ns0NNN for one it is secondary of
NAME_SERVERS = ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")
SECONDARY_SERVERS = ("ns0001.secondary.cloudflare.com", "ns0002.secondary.cloudflare.com")
# terraform-provider-cloudflare internal/services/dns_record/schema.go
TYPES = (
    "A", "AAAA", "CNAME", "MX", "NS", "OPENPGPKEY", "PTR", "TXT", "CAA", "CERT", "DNSKEY", "DS",
    "HTTPS", "LOC", "NAPTR", "SMIMEA", "SRV", "SSHFP", "SVCB", "TLSA", "URI",
)  # fmt: skip
_ADDRESSED = ("A", "AAAA", "CNAME")
_BARE = ("CNAME", "MX", "NS", "PTR")
_HIGHEST = 65_535
_AUTO, _AUTO_TTL_S, _NS_TTL_S, _MIN_TTL_S, _MAX_TTL_S = 1, 300, 86_400, 60, 86_400


def check_record(news: Values) -> Failures:
    """
    What the provider refuses of a record before any call.

    Sources: terraform-provider-cloudflare internal/services/dns_record/schema.go, custom.go.
    """
    found = []
    kind, priority = news.get("type", "A"), news.get("priority")
    if str(kind).upper() not in TYPES:
        need = " ".join(f'"{one}"' for one in TYPES)
        found.append(("type", f'Attribute type value must be one of: [{need}], got: "{kind}"'))
    if news.get("content") is not None and news.get("data") is not None:
        text = 'Attribute "data" cannot be specified when "content" is specified'
        found.append(("content", text))
    if priority is not None and not 0 <= priority <= _HIGHEST:
        text = (
            f"Attribute priority value must be between 0.000000 and 65535.000000, got: {priority}"
        )
        found.append(("priority", text))
    if news.get("proxied") and news.get("ttl", _AUTO) != _AUTO:
        found.append(("ttl", "ttl must be set to 1 when `proxied` is true"))
    return found


def check_new(book: Book, ident: str, news: Values, zone: Thing) -> None:
    """
    What the API refuses.

    Raises: ApiError: no data of its type, a TTL out of range, a record that is there, an alias
        beside addresses, a zone that is transferred.
    """
    if zone["type"] == "secondary":
        raise refuse(1004, "records of a secondary zone come with its transfer")
    ttl = news["ttl"]
    if ttl != _AUTO and not _MIN_TTL_S <= ttl <= _MAX_TTL_S:
        raise refuse(9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
    try:
        wire = parse_rdata(news["type"], value_of(news), f"{zone['name']}.")
    except (Refusal, KeyError) as wrong:
        raise refuse(1004, f"DNS Validation Error: {wrong}") from None
    for key, other in book.of("dns_record").items():
        if key == ident or (other["zoneId"], other["name"]) != (news["zoneId"], news["name"]):
            continue
        kinds = {other["type"], news["type"]}
        same = other["type"] == news["type"]
        if same and parse_rdata(other["type"], value_of(other), f"{zone['name']}.") == wire:
            raise refuse(81058, "An identical record already exists.")
        if "CNAME" in kinds and kinds <= set(_ADDRESSED):
            text = "An A, AAAA, or CNAME record with that host already exists."
            raise refuse(81053, text)


def serve_zones(account: Account, book: Book) -> None:
    """Have the name server serve what is in the book."""
    held = [one for ident, zone in book.of("zone").items() if (one := _held(book, ident, zone))]
    NameServer(account.shelf.paths, account.cloud, account.ground.image).serve(held)


def _held(book: Book, ident: str, zone: Thing) -> Held | None:
    if zone["type"] == "secondary":
        incoming = book.of("incoming").get(ident)
        if incoming is None:
            return None
        sources = tuple(_source(book, one) for one in incoming["peers"])
        return Held(zone["name"], sources=sources)
    origin = f"{zone['name']}."
    soa = f"{NAME_SERVERS[0]}. dns.cloudflare.com. {zone['serial']} 10000 2400 604800 1800"
    lines = [f"$ORIGIN {origin}", f"@ 1800 IN SOA {soa}"]
    lines += [f"@ {_NS_TTL_S} IN NS {server}." for server in NAME_SERVERS]
    for record in book.of("dns_record").values():
        at_top = (record["name"], record["type"]) == (zone["name"], "NS")
        # terraform-provider-cloudflare internal/services/zone_dns_settings: multi_provider
        if record["zoneId"] == ident and (zone.get("multiProvider") or not at_top):
            ttl = _AUTO_TTL_S if record["ttl"] == _AUTO else int(record["ttl"])
            # one RRset with its own
            ttl = _NS_TTL_S if at_top else ttl
            kind, value = record["type"], value_of(record)
            lines.append(f"{whole_name(record['name'], zone)} {ttl} IN {kind} {value}")
    return Held(zone["name"], "\n".join(lines) + "\n")


def whole_name(name: str, zone: Thing) -> str:
    """A record's name: whole, within the zone, or `@`; any of them without a final dot."""
    top = zone["name"]
    inside = name == top or name.endswith(f".{top}")
    return f"{top}." if name == "@" else f"{name}." if inside else f"{name}.{top}."


def _source(book: Book, peer: str) -> Source:
    found = book.of("peer")[peer]
    key = book.of("tsig").get(found.get("tsigId") or "", {})
    return Source(
        found["ip"],
        int(found.get("port") or 53),
        str(key.get("name", "")).removesuffix("."),
        str(key.get("algo", "")).removesuffix("."),
        key.get("secret", ""),
    )


def value_of(record: Values) -> str:
    """
    A record as a zone file has it.

    Sources: terraform-provider-cloudflare internal/services/dns_record/testdata.
    """
    kind = record["type"]
    if kind in _FORMS:
        return _FORMS[kind]({**record["data"], "beside": record.get("priority")})
    content = str(record["content"])
    if kind in _BARE:
        content = _dotted(content)
    if kind == "MX":
        content = f"{int(record['priority'])} {content}"
    if kind == "TXT" and not content.startswith('"'):
        content = f'"{content}"'
    return content


def _dotted(name: str) -> str:
    return f"{name.removesuffix('.')}."


def _numbers(data: Values, *keys: str) -> str:
    return " ".join(str(int(data[key])) for key in keys)


def _loc(data: Values) -> str:
    places = [
        f"{_numbers(data, f'{stem}Degrees', f'{stem}Minutes')} {data[f'{stem}Seconds']:.3f}"
        f" {data[f'{stem}Direction']}"
        for stem in ("lat", "long")
    ]
    keys = ("altitude", "size", "precisionHorz", "precisionVert")
    return " ".join([*places, *(f"{data[key]:.2f}m" for key in keys)])


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _service(data: Values) -> str:
    return f"{_numbers(data, 'priority')} {data['target']} {data.get('value', '')}".rstrip()


_TLSA = ("usage", "selector", "matchingType")
_FORMS: dict[str, Callable[[Values], str]] = {
    "CAA": lambda d: f"{_numbers(d, 'flags')} {d['tag']} {_text(d['value'])}",
    "CERT": lambda d: f"{_numbers(d, 'type', 'keyTag', 'algorithm')} {d['certificate']}",
    "DS": lambda d: f"{_numbers(d, 'keyTag', 'algorithm', 'digestType')} {d['digest']}",
    "HTTPS": _service,
    "LOC": _loc,
    "NAPTR": lambda d: (
        f"{_numbers(d, 'order', 'preference')} {_text(d['flags'])} {_text(d['service'])}"
        f" {_text(d['regex'])} {d['replacement']}"
    ),
    "SMIMEA": lambda d: f"{_numbers(d, *_TLSA)} {d['certificate']}",
    "SRV": lambda d: f"{_numbers(d, 'priority', 'weight', 'port')} {_dotted(d['target'])}",
    "SSHFP": lambda d: f"{_numbers(d, 'algorithm', 'type')} {d['fingerprint']}",
    "SVCB": _service,
    "TLSA": lambda d: f"{_numbers(d, *_TLSA)} {d['certificate']}",
    "URI": lambda d: f"{_numbers(d, 'beside', 'weight')} {_text(d['target'])}",
}
