"""HetznerHost: a server of Hetzner Cloud with addresses of its own, closed but for its role."""

import os
from ipaddress import IPv6Network
from typing import Any

import pulumi

from loopback_iac.components import ordered
from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.cloud_args import HetznerHostArgs
from loopback_iac.components.host_args import HostRef
from loopback_iac.model import InputRejected, parse_hetzner_host
from loopback_iac.model.cloud_checks import check_hetzner_token
from loopback_iac.model.places import HETZNER_LOCATIONS

PROVIDER = "hetzner"


class HetznerHost(pulumi.ComponentResource):
    """A server of Hetzner Cloud: ordered, booted with a pinned host key, drained when replaced."""

    host: pulumi.Output[HostRef]
    """How to reach it; `pops.*.host` and `workers.*.host` take it."""

    def __init__(
        self, name: str, args: HetznerHostArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare key, addresses, firewall, server, and the Command that waits for it."""
        declared = refuse_as_pulumi(lambda: parse_hetzner_host(name, args))
        if opts is None or (opts.provider is None and not opts.providers):
            refuse_as_pulumi(_check_token)
        place = HETZNER_LOCATIONS[declared.location]
        facts = ordered.machine_facts(declared, place, PROVIDER)
        facts |= {"server_type": declared.server_type}
        super().__init__("loopback-iac:index:HetznerHost", name, {"machine": facts}, opts)
        # the SDK of a cloud loads only where one of its machines is declared
        from loopback_iac.components.hetzner_machine import (  # noqa: PLC0415  # as said above
            Order,
            declare_machine,
        )

        key = ordered.derived_key(name, args, declared.host_key_epoch)
        server, addresses = declare_machine(Order(self, name, args, declared), key)
        late: dict[str, pulumi.Input[Any]] = {
            "host_key": ordered.public_half(key),
            "instance_id": server.id.apply(lambda found: f"hcloud-{found}"),
        }
        if "ipv4" in addresses:
            late["ipv4"] = addresses["ipv4"].ip_address
        if "ipv6" in addresses:
            late["ipv6"] = addresses["ipv6"].ip_network.apply(_first_address)
        ref = ordered.host_ref(args, declared, place, PROVIDER, late)
        self.host = ordered.after(ordered.declare_ready(name, ref, server, self), ref)
        self.register_outputs({"host": {k: v for k, v in ref.items() if k != "ssh_private_key"}})


def _check_token() -> None:
    """The token of the default provider; one that is given to an explicit provider is not seen."""
    token = pulumi.Config("hcloud").get("token") or os.environ.get("HCLOUD_TOKEN")
    problems = check_hetzner_token("hcloud:token", token) if token else []
    if problems:
        raise InputRejected("hcloud", tuple(problems))


def _first_address(network: str) -> str:
    """A server's own address in its /64, as Hetzner's images configure it."""
    return str(IPv6Network(network, strict=False)[1])
