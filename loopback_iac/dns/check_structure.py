"""What may stand where in a zone: its own name, aliases, delegations, keys."""

from collections.abc import Iterator

from loopback_iac.dns import names
from loopback_iac.dns.findings import finding
from loopback_iac.dns.rdata import MAX_OCTETS
from loopback_iac.dns.zone import RRset, Zone
from loopback_iac.model.problem import Problem

SIGNERS = frozenset({"CDNSKEY", "CDS", "DNSKEY", "NSEC", "NSEC3", "NSEC3PARAM", "RRSIG", "ZONEMD"})
BESIDE_CNAME = frozenset({"CNAME", "NSEC", "RRSIG"})  # RFC 4034 3 and 4
GLUE = frozenset({"A", "AAAA"})
AT_CUT = frozenset({"A", "AAAA", "DS", "NS"}) | SIGNERS
MIN_SERVERS = 2  # RFC 2182 5
WEEK_S = 7 * 86_400
HOUR_S = 3600


def check_apex(zone: Zone) -> Iterator[Problem]:
    """The zone's own name: name servers, SOA, no alias, no DS."""
    servers = zone.rrset(zone.name, "NS")
    if servers is None or len(servers.rdata) < MIN_SERVERS:
        shown = servers or RRset(zone.name, "NS", 0, ())
        got = f"{len(shown.rdata)} name servers"
        need, fix = "two at least", "name the servers of every operator under @"
        yield finding("apex-ns-few", shown, got, need, fix)
    for rrset in zone.by_type.get("CNAME", []):
        if rrset.owner == zone.name:
            need, fix = "A and AAAA", "write the addresses, or HTTPS for browsers"
            yield finding("cname-apex", rrset, "an alias of the whole zone", need, fix)
    for rrset in zone.by_type.get("DS", []):
        if rrset.owner == zone.name:
            fix = "hand it to the registrar, or declare it in the parent zone"
            yield finding("ds-apex", rrset, "the zone's own DS", "DS of delegations only", fix)
    yield from _check_soa(zone)


def _check_soa(zone: Zone) -> Iterator[Problem]:
    for rrset in zone.by_type.get("SOA", []):
        if rrset.owner != zone.name or len(rrset.rdata) > 1:
            got = f"{len(rrset.rdata)} SOA records at {rrset.owner}"
            need = f"one, at {zone.name}"
            yield finding("soa-several", rrset, got, need, "remove the others")
            continue
        refresh, retry, expire, negative = soa_times(rrset)
        if not (0 < retry < refresh <= HOUR_S and expire >= WEEK_S):
            got = f"refresh {refresh}, retry {retry}, expire {expire} s"
            need = f"retry below refresh, refresh up to {HOUR_S}, expire {WEEK_S} s or more"
            fix = "write refresh 3600, retry 900, expire 604800"
            yield finding("soa-timing", rrset, got, need, fix)
        if negative > 3 * HOUR_S:
            got, need = f"negative TTL {negative} s", f"{3 * HOUR_S} s at most"
            yield finding("negative-ttl", rrset, got, need, "write 3600")


def soa_times(rrset: RRset) -> tuple[int, int, int, int]:
    """Refresh, retry, expire and negative TTL of a SOA, in seconds."""
    tail = rrset.rdata[0][-16:]
    refresh, retry, expire, negative = (int.from_bytes(tail[at : at + 4]) for at in (0, 4, 8, 12))
    return refresh, retry, expire, negative


def check_aliases(zone: Zone) -> Iterator[Problem]:
    """CNAME and DNAME: alone, single, and leading somewhere."""
    for rrset in zone.by_type.get("CNAME", []):
        beside = sorted(zone.by_owner[rrset.owner].keys() - BESIDE_CNAME)
        if beside:
            fix = "keep the alias or the others; for addresses, write A and AAAA"
            got = f"{', '.join(beside)} beside a CNAME"
            yield finding("cname-coexistence", rrset, got, "nothing beside it", fix)
        if len(rrset.rdata) > 1:
            got = f"an alias of {len(rrset.rdata)} names"
            yield finding("cname-several", rrset, got, "one", "keep one, or write addresses")
    for rrset in zone.by_type.get("DNAME", []):
        if len(rrset.rdata) > 1:
            got = f"{len(rrset.rdata)} DNAMEs"
            yield finding("dname-several", rrset, got, "one", "keep one")
    yield from _check_loops(zone)
    yield from _check_below_dname(zone)


def _check_loops(zone: Zone) -> Iterator[Problem]:
    alias = {r.owner: names.name_text(r.rdata[0]) for r in zone.by_type.get("CNAME", [])}
    done: set[str] = set()
    for start in alias:
        way: list[str] = []
        here = start
        while here in alias and here not in done:
            done.add(here)
            way.append(here)
            here = alias[here]
        if here in way:
            loop = way[way.index(here) :]
            got = " -> ".join([*loop, here])
            rrset = zone.by_owner[loop[0]]["CNAME"]
            yield finding("cname-loop", rrset, got, "an end", "let one of them have addresses")


def _check_below_dname(zone: Zone) -> Iterator[Problem]:
    tops = {r.owner for r in zone.by_type.get("DNAME", [])}
    if not tops:
        return
    for rrset in zone.rrsets:
        here = rrset.owner
        while here != zone.name:
            here = names.parent(here)
            if here in tops:
                got, need = f"stands below the DNAME of {here}", "nothing there"
                fix = "remove it, or declare it below the DNAME's target"
                yield finding("below-dname", rrset, got, need, fix)
                break


def check_cuts(zone: Zone) -> Iterator[Problem]:
    """Delegations: what stands at and below them, their DS."""
    servers = {name for rrset in zone.by_type.get("NS", []) for name in _servers(rrset)}
    for owner in sorted(zone.cuts, key=names.order):
        for kind, rrset in zone.by_owner[owner].items():
            if kind not in AT_CUT or (kind in GLUE and owner not in servers):
                got, need = f"{kind} at a delegation", "NS, DS and addresses of its servers"
                fix = "declare it in the zone that is delegated"
                yield finding("below-cut", rrset, got, need, fix)
        if owner.startswith("*."):
            need, fix = "a name", "delegate each name by itself"
            yield finding("wildcard-ns", zone.by_owner[owner]["NS"], "a wildcard", need, fix)
    if zone.cuts:
        for rrset in zone.rrsets:
            cut = zone.cut_above(rrset.owner)
            if cut is not None and (rrset.type not in GLUE or rrset.owner not in servers):
                got, need = f"stands below the delegation of {cut}", "addresses of name servers"
                fix = "declare it in the zone that is delegated, or remove the delegation"
                yield finding("below-cut", rrset, got, need, fix)
    for rrset in zone.by_type.get("DS", []):
        if rrset.owner != zone.name and rrset.owner not in zone.cuts:
            got, need = "DS without NS", "the NS of the delegation beside it"
            yield finding("ds-no-delegation", rrset, got, need, "add its NS, or remove it")


def _servers(rrset: RRset) -> Iterator[str]:
    """A delegation may be served by a name below another one (RFC 9471 2.2: sibling glue)."""
    return map(names.name_text, rrset.rdata)


def check_owners(zone: Zone) -> Iterator[Problem]:
    """Names and sizes; what only a signer makes."""
    for kind in sorted(SIGNERS & zone.by_type.keys()):
        for rrset in zone.by_type[kind]:
            need, fix = "records without keys or signatures", "remove it; the signer makes it"
            yield finding("signer-owned", rrset, f"{kind} in a declared zone", need, fix)
    for rrset in zone.rrsets:
        size = sum(map(len, rrset.rdata)) + 12 * len(rrset.rdata)
        if size > MAX_OCTETS - 512:  # header, question and a signature need room
            got, need = f"{size} octets", f"{MAX_OCTETS - 512} at most"
            yield finding("rrset-too-large", rrset, got, need, "divide it over several names")
        if "xn--" in rrset.owner:
            for label in names.labels(rrset.owner):
                if names.is_bad_a_label(label):
                    fix = "write the name in its own letters; its A-label is made here"
                    got, need = f"{label!r} is no A-label", "an A-label of IDNA 2008"
                    yield finding("a-label-invalid", rrset, got, need, fix)
