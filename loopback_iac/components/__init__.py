"""Pulumi components: the public API."""

from loopback_iac.components.args import AnycastEdgeArgs, BareMetalHostArgs
from loopback_iac.components.baseline import HostBaseline
from loopback_iac.components.baseline_args import HostBaselineArgs
from loopback_iac.components.cloud_args import (
    HetznerHostArgs,
    IonosHostArgs,
    ProviderFailoverVipArgs,
)
from loopback_iac.components.converge import EdgePop, Worker
from loopback_iac.components.dns_args import HiddenPrimaryArgs
from loopback_iac.components.dns_zone_args import DnsZoneArgs
from loopback_iac.components.edge import AnycastEdge
from loopback_iac.components.egress import EgressPolicy, egress_groups
from loopback_iac.components.egress_args import EgressIpPoolArgs, EgressPolicyArgs
from loopback_iac.components.egress_pool import EgressIpPool
from loopback_iac.components.failover import FailoverArbiter, FailoverMember, ProviderFailoverVip
from loopback_iac.components.gateway import EgressGateway, GatewayHost
from loopback_iac.components.gateway_args import EgressGatewayArgs
from loopback_iac.components.hetzner import HetznerHost
from loopback_iac.components.host_args import HostRef
from loopback_iac.components.hosts import BareMetalHost
from loopback_iac.components.ingress import IngressController
from loopback_iac.components.ingress_args import EdgePoolRef, IngressControllerArgs
from loopback_iac.components.ionos import IonosHost
from loopback_iac.components.issuer import CertificateIssuer
from loopback_iac.components.issuer_args import CertificateIssuerArgs
from loopback_iac.components.primary import HiddenPrimary, NameServerHost, NsdHost, PrimaryHost
from loopback_iac.components.zone import DnsZone

__all__ = [
    "AnycastEdge",
    "AnycastEdgeArgs",
    "BareMetalHost",
    "BareMetalHostArgs",
    "CertificateIssuer",
    "CertificateIssuerArgs",
    "DnsZone",
    "DnsZoneArgs",
    "EdgePoolRef",
    "EdgePop",
    "EgressGateway",
    "EgressGatewayArgs",
    "EgressIpPool",
    "EgressIpPoolArgs",
    "EgressPolicy",
    "EgressPolicyArgs",
    "FailoverArbiter",
    "FailoverMember",
    "GatewayHost",
    "HetznerHost",
    "HetznerHostArgs",
    "HiddenPrimary",
    "HiddenPrimaryArgs",
    "HostBaseline",
    "HostBaselineArgs",
    "HostRef",
    "IngressController",
    "IngressControllerArgs",
    "IonosHost",
    "IonosHostArgs",
    "NameServerHost",
    "NsdHost",
    "PrimaryHost",
    "ProviderFailoverVip",
    "ProviderFailoverVipArgs",
    "Worker",
    "egress_groups",
]
