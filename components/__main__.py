"""Hosts the components for every Pulumi language; the classes stand in the library."""

from importlib.metadata import version

from pulumi.provider.experimental import component_provider_host

from loopback_iac.components import (
    AnycastEdge,
    BareMetalHost,
    DnsZone,
    EgressGateway,
    HetznerHost,
    HiddenPrimary,
    HostBaseline,
    IonosHost,
    ProviderFailoverVip,
)

if __name__ == "__main__":
    component_provider_host(
        components=[
            AnycastEdge,
            BareMetalHost,
            DnsZone,
            EgressGateway,
            HostBaseline,
            HetznerHost,
            HiddenPrimary,
            IonosHost,
            ProviderFailoverVip,
        ],
        name="loopback-iac",
        version=version("loopback-iac"),
    )
