"""IonosHost: a server of IONOS Cloud with addresses of its own, closed but for its role."""

from typing import Any

import pulumi

from loopback_iac.components import ordered
from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.cloud_args import CardRef, IonosHostArgs
from loopback_iac.components.host_args import HostRef
from loopback_iac.model import parse_ionos_host
from loopback_iac.model.places import IONOS_LOCATIONS

PROVIDER = "ionos"


class IonosHost(pulumi.ComponentResource):
    """A server of IONOS Cloud: ordered, booted with a pinned host key, drained when replaced."""

    host: pulumi.Output[HostRef]
    """How to reach it; `pops.*.host` and `workers.*.host` take it."""
    card: pulumi.Output[CardRef]
    """Its network card at the provider; `hosts.*.card` of a ProviderFailoverVip takes it."""

    def __init__(
        self, name: str, args: IonosHostArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare data centre, LAN, addresses, server, and the Command that waits for it."""
        declared = refuse_as_pulumi(lambda: parse_ionos_host(name, args))
        place = IONOS_LOCATIONS[declared.location]
        facts = ordered.machine_facts(declared, place, PROVIDER)
        facts |= {"server_type": declared.server_type, "cores": declared.cores}
        super().__init__("loopback-iac:index:IonosHost", name, {"machine": facts}, opts)
        # the SDK of a cloud loads only where one of its machines is declared
        from loopback_iac.components.ionos_machine import (  # noqa: PLC0415  # as said above
            Order,
            declare_machine,
        )

        key = ordered.derived_key(name, args, declared.host_key_epoch)
        made = declare_machine(Order(self, name, args, declared), key)
        late: dict[str, pulumi.Input[Any]] = {
            "ipv4": made.block.ips[0],
            "host_key": ordered.public_half(key),
            "instance_id": made.server.id.apply(lambda found: f"ionos-{found}"),
        }
        if made.ipv6 is not None:
            late["ipv6"] = made.ipv6
        ref = ordered.host_ref(args, declared, place, PROVIDER, late)
        ready = ordered.declare_ready(name, ref, made.server, self, made.cards)
        self.host = ordered.after(ready, ref)
        self.card = made.card
        shown = {k: v for k, v in ref.items() if k != "ssh_private_key"}
        self.register_outputs({"host": shown, "card": made.card})
