"""Zones: text <-> RRsets, their rules, what operators can hold, differences. Pure: no socket."""

from loopback_iac.dns.check import check_hygiene, check_zone
from loopback_iac.dns.check_signing import Signing, check_signing
from loopback_iac.dns.declare import parse_zone
from loopback_iac.dns.difference import (
    Change,
    Difference,
    Kind,
    difference,
    render_difference,
)
from loopback_iac.dns.guard import Danger, Risk, check_change, find_risks
from loopback_iac.dns.octodns import check_octodns, parse_octodns, read_octodns, render_octodns
from loopback_iac.dns.operators import check_operator, facts_of, operators, unknown_of
from loopback_iac.dns.primary import (
    parse_declared_zones,
    parse_primary_zones,
    render_primary_zones,
    with_soa,
)
from loopback_iac.dns.publish import (
    hetzner_records,
    hetzner_sets,
    ionos_records,
    own_servers,
    parse_published_zone,
    unknown_facts,
)
from loopback_iac.dns.publish_cloudflare import cloudflare_records
from loopback_iac.dns.refusal import Refusal
from loopback_iac.dns.render_zonefile import render_zone_file
from loopback_iac.dns.zone import RRset, Zone, make_zone
from loopback_iac.dns.zonefile import ReadZone, parse_zone_file, read_zone_file

__all__ = [
    "Change",
    "Danger",
    "Difference",
    "Kind",
    "RRset",
    "ReadZone",
    "Refusal",
    "Risk",
    "Signing",
    "Zone",
    "check_change",
    "check_hygiene",
    "check_octodns",
    "check_operator",
    "check_signing",
    "check_zone",
    "cloudflare_records",
    "difference",
    "facts_of",
    "find_risks",
    "hetzner_records",
    "hetzner_sets",
    "ionos_records",
    "make_zone",
    "operators",
    "own_servers",
    "parse_declared_zones",
    "parse_octodns",
    "parse_primary_zones",
    "parse_published_zone",
    "parse_zone",
    "parse_zone_file",
    "read_octodns",
    "read_zone_file",
    "render_difference",
    "render_octodns",
    "render_primary_zones",
    "render_zone_file",
    "unknown_facts",
    "unknown_of",
    "with_soa",
]
