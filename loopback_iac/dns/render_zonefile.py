"""Zone -> zone file: one block per name, the same bytes for the same zone."""

from loopback_iac.dns import names
from loopback_iac.dns.zone import RRset, Zone


def render_zone_file(zone: Zone) -> str:
    """The zone as every name server reads it.

    Out: LF, final newline; $ORIGIN and $TTL first, then the RRsets in order, each record on a line
         of its own with its TTL where it is not the default; names in data are absolute.
    """
    lines = [f"$ORIGIN {zone.name}", f"$TTL {zone.default_ttl_s}"]
    for rrset in zone.rrsets:
        lines += _lines(rrset, zone)
    return "\n".join(lines) + "\n"


def _lines(rrset: RRset, zone: Zone) -> list[str]:
    owner = names.relative(rrset.owner, zone.name)
    ttl = "" if rrset.ttl_s == zone.default_ttl_s else f"{rrset.ttl_s} "
    return [f"{owner} {ttl}IN {rrset.type} {value}" for value in rrset.values()]
