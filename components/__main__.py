"""Hosts the components for every Pulumi language; the classes stand in the library."""

from importlib.metadata import version

from pulumi.provider.experimental import component_provider_host

from loopback_iac.components import (
    AnycastEdge,
    BareMetalHost,
    CertificateIssuer,
    DnsZone,
    EgressGateway,
    EgressIpPool,
    EgressPolicy,
    HetznerHost,
    HiddenPrimary,
    HostBaseline,
    IngressController,
    IonosHost,
    ProviderFailoverVip,
)

if __name__ == "__main__":
    component_provider_host(
        components=[
            AnycastEdge,
            BareMetalHost,
            CertificateIssuer,
            DnsZone,
            EgressIpPool,
            EgressPolicy,
            EgressGateway,
            HostBaseline,
            HetznerHost,
            HiddenPrimary,
            IngressController,
            IonosHost,
            ProviderFailoverVip,
        ],
        name="loopback-iac",
        version=version("loopback-iac"),
    )
