"""Zones of a folder, signed by a hidden primary and answered by name servers of one's own."""

from pathlib import Path

import pulumi

from loopback_iac.components import BareMetalHost, HiddenPrimary, HostBaseline

config = pulumi.Config()
machines = config.require_object("machines")  # name -> address, host key, who owns it
servers = config.require_object("servers")  # name -> software, and the name of its machine if other
updated = config.get_object("updated") or {}  # zone -> its NS, and who changes it by update
folder = Path(__file__).parent / (config.get("zones") or "zones")


def host(name: str) -> pulumi.Output:
    """A machine that already runs Debian 13."""
    key = config.require_secret("sshPrivateKey")
    return BareMetalHost(name, {**machines[name], "ssh_private_key": key}).host


def server(name: str) -> dict:
    """A name server."""
    told = dict(servers[name])
    return {"host": host(told.pop("machine", name)), **told}


def kept() -> dict:
    """What every host keeps beside its work, where the configuration has it."""
    told = config.get_object("baseline")
    if told is None:
        return {}
    for sink in told["logs"]["sinks"].values():
        if "client_certificate" in sink:
            sink["client_key"] = config.require_secret("logKey")
    if "backups" in told:
        told["backups"]["ssh_private_key"] = config.require_secret("backupKey")
    made = HostBaseline("baseline", told)
    pulumi.export("backup_line", made.backup_line)
    return {"baseline": made.baseline}


def tokens(told: dict) -> dict:
    """A zone without a file: what is in it comes by dynamic update."""
    return {"updated_by": told["by"], "records": {"@": {"NS": told["ns"]}}}


# example.net.zone is the zone example.net
zones = {file.stem: {"text": file.read_text()} for file in folder.glob("*.zone")}
dns = HiddenPrimary(
    "dns",
    {
        "host": host(config.require("primary")),
        "admin_sources": config.require_object("adminSources"),
        "transfer_secret": config.require_secret("transferSecret"),
        "signing": config.get_object("signing") or {},
        "servers": {name: server(name) for name in servers},
        "zones": zones | {name: tokens(told) for name, told in updated.items()},
        "updaters": config.get_object("updaters") or {},
        "ended_zones": config.get_object("endedZones") or [],
        **kept(),
    },
)
pulumi.export("zones", dns.zones)
pulumi.export("hosts", dns.hosts)
pulumi.export("updates", dns.updates)  # secret: where an updater sends, and its key
