"""One zone at operators, from the stack's configuration."""

import pulumi

from loopback_iac.components import DnsZone

config = pulumi.Config()
args = config.require_object("zone")
if "ionos" in args["operators"] and args.get("mode") != "api":
    args["operators"]["ionos"]["token"] = config.require_secret("ionosToken")
if config.get_object("transfers"):
    args["transfers"] = config.require_secret_object("transfers")
zone = DnsZone("net", args)
pulumi.export("nameServers", zone.name_servers)
