"""What an operator declares, as frozen values; parse_* collects every problem before it refuses."""

from loopback_iac.model.baseline import Baseline, baseline_facts, parse_baseline
from loopback_iac.model.bgp import Upstream
from loopback_iac.model.cloud_host import (
    CloudHost,
    HetznerHost,
    IonosHost,
    parse_hetzner_host,
    parse_ionos_host,
)
from loopback_iac.model.dns_zone import DnsZone, parse_dns_zone
from loopback_iac.model.facts import fleet_facts
from loopback_iac.model.failover import (
    FailoverMachines,
    FailoverVip,
    parse_failover_machines,
    parse_failover_vip,
)
from loopback_iac.model.fleet import Announcement, Fleet, Pop, Roll
from loopback_iac.model.host import Host, parse_host
from loopback_iac.model.host_key import HostKey, host_key
from loopback_iac.model.machines import parse_hosts
from loopback_iac.model.name_server import NameServer
from loopback_iac.model.openings import Opening, openings
from loopback_iac.model.parse import parse_fleet
from loopback_iac.model.pool_facts import pool_facts
from loopback_iac.model.primary import Primary, parse_primary
from loopback_iac.model.problem import InputRejected, Problem, problems_text
from loopback_iac.model.traffic import Pool, Prefix, Service, Vip, Worker
from loopback_iac.model.tunnel import Tunnel, tunnel, tunnels

__all__ = [
    "Announcement",
    "Baseline",
    "CloudHost",
    "DnsZone",
    "FailoverMachines",
    "FailoverVip",
    "Fleet",
    "HetznerHost",
    "Host",
    "HostKey",
    "InputRejected",
    "IonosHost",
    "NameServer",
    "Opening",
    "Pool",
    "Pop",
    "Prefix",
    "Primary",
    "Problem",
    "Roll",
    "Service",
    "Tunnel",
    "Upstream",
    "Vip",
    "Worker",
    "baseline_facts",
    "fleet_facts",
    "host_key",
    "openings",
    "parse_baseline",
    "parse_dns_zone",
    "parse_failover_machines",
    "parse_failover_vip",
    "parse_fleet",
    "parse_hetzner_host",
    "parse_host",
    "parse_hosts",
    "parse_ionos_host",
    "parse_primary",
    "pool_facts",
    "problems_text",
    "tunnel",
    "tunnels",
]
