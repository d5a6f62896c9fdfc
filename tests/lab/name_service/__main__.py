"""A hidden primary and two name servers on hosts of the lab; zones are in the configuration."""

import pulumi

from loopback_iac.components import BareMetalHost, HiddenPrimary

config = pulumi.Config()
machines = config.require_object("machines")


def metal(name: str) -> pulumi.Output:
    key = config.require_secret("sshPrivateKey")
    return BareMetalHost(name, {**machines[name], "ssh_private_key": key}).host


dns = HiddenPrimary(
    "dns",
    {
        "host": metal("svc1"),
        "admin_sources": config.require_object("adminSources"),
        "transfer_secret": config.require_secret("fleetSecret"),
        "servers": {
            "fra1": {"host": metal("c-fra")},
            "par1": {"host": metal("svc2"), "software": "nsd"},
        },
        "zones": {name: {"text": text} for name, text in config.require_object("zones").items()},
    },
)
pulumi.export("zones", dns.zones)
pulumi.export("hosts", dns.hosts)
