"""The args a user writes and the model that reads them name the same fields."""

from __future__ import annotations

import typing

import pytest

from loopback_iac.components import (
    args,
    baseline_args,
    cloud_args,
    dns_args,
    dns_zone_args,
    egress_args,
    gateway_args,
    host_args,
    ingress_args,
    issuer_args,
)
from loopback_iac.kube import ingress, issuer, policy, pool_order
from loopback_iac.model import (
    baseline,
    bgp,
    bgp_tunnel,
    cloud_host,
    dns_zone,
    egress,
    egress_gateway,
    failover,
    fleet,
    host,
    key_epochs,
    name_server,
    origin,
    primary,
    traffic,
)

PAIRS = [
    (host_args.HostRef, host.Host),
    (host_args.BastionRef, host.Bastion),
    (args.RoaArgs, origin.Roa),
    (args.RouteObjectArgs, origin.RouteObject),
    (args.LetterArgs, origin.Letter),
    (args.OriginArgs, origin.Origin),
    (args.PrefixArgs, traffic.Prefix),
    (args.VipArgs, traffic.Vip),
    (args.BgpTunnelArgs, bgp_tunnel.BgpTunnel),
    (args.UpstreamArgs, bgp.Upstream),
    (args.LimitsArgs, bgp.Limits),
    (args.CommunityArgs, bgp.Community),
    (args.PopArgs, fleet.Pop),
    (args.WorkerArgs, traffic.Worker),
    (args.PoolArgs, traffic.Pool),
    (args.HealthArgs, traffic.Health),
    (args.RateArgs, traffic.Rate),
    (args.ServiceLimitsArgs, traffic.ServiceLimits),
    (args.ServiceArgs, traffic.Service),
    (args.RollArgs, fleet.Roll),
    (args.TunnelsArgs, key_epochs.Tunnels),
    (args.BlackholeArgs, fleet.Blackhole),
    (args.EgressArgs, egress.Egress),
    (args.NameServiceArgs, name_server.NameService),
    (cloud_args.LabelsArgs, cloud_host.Labels),
    (cloud_args.InboundArgs, cloud_host.Inbound),
    (cloud_args.PrivateNetworkArgs, cloud_host.PrivateNetwork),
    (cloud_args.PrivateLanArgs, cloud_host.PrivateLan),
    (cloud_args.HetznerHostArgs, cloud_host.HetznerHost),
    (cloud_args.IonosHostArgs, cloud_host.IonosHost),
    (cloud_args.CardRef, failover.Card),
    (cloud_args.FailoverMemberArgs, failover.FailoverMember),
    (cloud_args.FailoverCheckArgs, failover.FailoverCheck),
    (cloud_args.ProviderFailoverVipArgs, failover.FailoverVip),
    (dns_args.ZoneArgs, primary.ZoneSource),
    (dns_args.NameServerArgs, name_server.NameServer),
    (dns_args.ParentArgs, primary.Parent),
    (dns_args.TransferOperatorArgs, name_server.TransferOperator),
    (dns_args.UpdaterArgs, name_server.Updater),
    (dns_args.SigningArgs, primary.SigningTimes),
    (baseline_args.LogSinkArgs, baseline.LogSink),
    (baseline_args.LogsArgs, baseline.Logs),
    (baseline_args.TimeServerArgs, baseline.TimeServer),
    (baseline_args.TimeArgs, baseline.Time),
    (baseline_args.BackupTargetArgs, baseline.BackupTarget),
    (baseline_args.BackupsArgs, baseline.Backups),
    (baseline_args.HostBaselineArgs, baseline.Baseline),
    (egress_args.EgressNodeArgs, policy.Node),
    (egress_args.EgressGatewayNodesArgs, policy.Gateway),
    (egress_args.EgressExpressionArgs, policy.Expression),
    (egress_args.EgressPoolArgs, policy.Pool),
    (egress_args.EgressRuleArgs, policy.EgressPolicy),
    (egress_args.EgressAcceptedArgs, policy.Accepted),
    (egress_args.CiliumArgs, policy.Cilium),
    (egress_args.KubeVipArgs, policy.KubeVip),
    (egress_args.AddressOrderArgs, pool_order.AddressOrder),
    (egress_args.EgressIpPoolArgs, pool_order.KeptPool),
    (ingress_args.EdgeServiceRef, ingress.EdgeService),
    (ingress_args.EdgePoolRef, ingress.Edge),
    (ingress_args.ArtifactArgs, ingress.Artifact),
    (ingress_args.IngressSoftwareArgs, ingress.Controller),
    (ingress_args.HostPortsArgs, ingress.HostPorts),
    (ingress_args.LoadBalancerArgs, ingress.LoadBalancer),
    (ingress_args.ExposureArgs, ingress.Exposure),
    (ingress_args.IngressControllerArgs, ingress.Ingress),
    (issuer_args.Http01Args, issuer.Http01),
    (issuer_args.Dns01Args, issuer.Dns01),
    (dns_args.UpdateRef, issuer.Update),
    (dns_zone_args.DnsZoneArgs, dns_zone.DnsZone),
    (dns_zone_args.ZoneOperatorArgs, dns_zone.ZoneOperator),
    (dns_zone_args.ZoneParentArgs, dns_zone.ZoneParent),
    (gateway_args.GatewayNodeArgs, egress_gateway.GatewayNode),
    (gateway_args.EgressGroupArgs, egress_gateway.EgressGroup),
    (gateway_args.ClusterApiArgs, egress_gateway.ClusterApi),
]


@pytest.mark.parametrize(("typed", "value"), PAIRS, ids=lambda c: c.__name__)
def test_same_fields(typed, value):
    assert set(typed.__annotations__) == set(value.model_fields)


@pytest.mark.parametrize(("typed", "value"), PAIRS, ids=lambda c: c.__name__)
def test_same_fields_are_required(typed, value):
    required = {name for name, field in value.model_fields.items() if field.is_required()}
    if typed is args.UpstreamArgs:
        required.discard("md5")  # or md5_waived_because: a check across fields says so
    assert typed.__required_keys__ == required


def test_the_fleet_has_the_args_of_the_edge():
    assert set(args.AnycastEdgeArgs.__annotations__) == set(fleet.Fleet.model_fields) - {"name"}


def test_the_primary_has_the_args_of_its_component():
    fields = primary.Primary.model_fields
    assert set(dns_args.HiddenPrimaryArgs.__annotations__) == set(fields) - {"name"}
    required = {name for name, field in fields.items() if field.is_required()} - {"name"}
    assert dns_args.HiddenPrimaryArgs.__required_keys__ == required


def test_egress_has_the_keys_of_its_file():
    fields = policy.Egress.model_fields
    typed = egress_args.EgressPolicyArgs
    assert set(typed.__annotations__) == set(fields) | {"standing"}
    assert typed.__required_keys__ == {n for n, field in fields.items() if field.is_required()}


def test_gateways_have_the_args_of_their_component():
    fields = egress_gateway.EgressGateways.model_fields
    assert set(gateway_args.EgressGatewayArgs.__annotations__) == set(fields) - {"name"}
    required = {name for name, field in fields.items() if field.is_required()} - {"name"}
    assert gateway_args.EgressGatewayArgs.__required_keys__ == required


def test_the_issuer_has_the_args_of_its_component():
    fields = issuer.Issuer.model_fields
    assert set(issuer_args.CertificateIssuerArgs.__annotations__) == set(fields) - {"name"}
    required = {name for name, field in fields.items() if field.is_required()} - {"name"}
    assert issuer_args.CertificateIssuerArgs.__required_keys__ == required


def test_every_args_class_is_paired():
    rooms = (
        args,
        baseline_args,
        cloud_args,
        dns_args,
        dns_zone_args,
        egress_args,
        gateway_args,
        host_args,
        ingress_args,
        issuer_args,
    )
    modules = {name: value for room in rooms for name, value in vars(room).items()}
    classes = {v for v in modules.values() if typing.is_typeddict(v)}
    assert classes == {typed for typed, _ in PAIRS} | {
        args.AnycastEdgeArgs,
        dns_args.HiddenPrimaryArgs,
        egress_args.EgressPolicyArgs,
        gateway_args.EgressGatewayArgs,
        dns_args.UpdateRef,  # made here, read by whoever updates
        issuer_args.CertificateIssuerArgs,
        dns_zone_args.TransferRef,  # made by one component, read by another
    }
