"""HiddenPrimary: zones declared once, signed by a host that nobody sees, answered by others."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import pulumi

from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.converge import ConvergedHost, Delivery, Values, describe_host, seal
from loopback_iac.components.dns_args import HiddenPrimaryArgs, UpdateRef
from loopback_iac.components.dns_zone_args import TransferRef
from loopback_iac.components.hosts import public_facts
from loopback_iac.components.zone_keys import (
    given_secret,
    transfer_keys,
    transport_keys,
    update_keys,
)
from loopback_iac.dns import parse_primary_zones, render_primary_zones
from loopback_iac.model import Host, Primary, parse_hosts, parse_primary
from loopback_iac.model.name_server import TLS, update_key
from loopback_iac.model.primary import PRIMARY
from loopback_iac.render import (
    HostFiles,
    offered,
    render_name_server,
    render_primary,
    transfer_secret,
)
from loopback_iac.render.primary import DS_KEY, addresses_of, update_secret


class PrimaryHost(ConvergedHost):
    """The host that signs: Knot, with the declared zones and the keys it made."""

    kind = PRIMARY


class NameServerHost(ConvergedHost):
    """A host that answers, with Knot."""

    kind = "nameserver"
    software: ClassVar[str] = "knot"


class NsdHost(NameServerHost):
    """A host that answers, with NSD."""

    software: ClassVar[str] = "nsd"


_HOSTS: dict[str, type[NameServerHost]] = {"knot": NameServerHost, "nsd": NsdHost}


class HiddenPrimary(pulumi.ComponentResource):
    """Signed zones on name servers of one's own: declared here, keys and signatures by Knot."""

    zones: pulumi.Output[Sequence[str]]
    """Names of the zones."""
    hosts: pulumi.Output[Mapping[str, Any]]
    """By host: role, address, SSH port, user and host key, and the digest it was converged to."""
    transfers: pulumi.Output[Mapping[str, TransferRef]]
    """By operator (secret): what its secondary zones need, for `transfers` of DnsZone."""
    updates: pulumi.Output[Mapping[str, UpdateRef]]
    """By updater (secret): where it sends updates, and its key."""

    def __init__(
        self, name: str, args: HiddenPrimaryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the hosts, converge the primary, then one name server after the other."""
        primary = refuse_as_pulumi(lambda: parse_primary(name, args))
        zones = refuse_as_pulumi(
            lambda: render_primary_zones(primary, parse_primary_zones(primary))
        )
        facts = {"name_service": _facts(primary)}
        super().__init__("loopback-iac:index:HiddenPrimary", name, facts, opts)
        late: dict[str, pulumi.Input[Any]] = {PRIMARY: args["host"]}
        late |= {server: args["servers"][server]["host"] for server in primary.servers}
        child = pulumi.ResourceOptions(parent=self)
        kept = args.get("baseline")
        named = (f"{name}-{PRIMARY}", PRIMARY, late[PRIMARY])
        self.primary = PrimaryHost(*named, [], child, baseline=kept)
        self.server = {
            server: _HOSTS[told.software](
                *(f"{name}-{server}", server, late[server], [], child), baseline=kept
            )
            for server, told in primary.own_servers.items()
        }
        known = pulumi.Output.all(**{n: public_facts(ref) for n, ref in late.items()}).apply(
            lambda trees: refuse_as_pulumi(lambda: parse_hosts(name, trees))
        )
        self.transfers, self.updates = self._converge(primary, zones, args, known)
        self.zones = pulumi.Output.from_input([zone.removesuffix(".") for zone in primary.zones])
        every: dict[str, ConvergedHost] = {PRIMARY: self.primary, **self.server}
        self.hosts = pulumi.Output.all(**{n: describe_host(h) for n, h in every.items()})
        outputs: dict[str, Any] = {
            "zones": self.zones,
            "hosts": self.hosts,
            "transfers": self.transfers,
            "updates": self.updates,
        }
        self.register_outputs(facts | outputs)

    def _converge(
        self,
        primary: Primary,
        zones: Mapping[str, str],
        args: HiddenPrimaryArgs,
        known: pulumi.Output[dict[str, Host]],
    ) -> tuple[pulumi.Output[Mapping[str, TransferRef]], pulumi.Output[Mapping[str, UpdateRef]]]:
        secret = given_secret(args["transfer_secret"])
        # a name that is not in the program's map would have been refused as it was parsed
        parents = dict(args.get("parents") or {})
        ds: dict[str, pulumi.Input[str]] = {
            f"{DS_KEY}-{n}": parents[n]["secret"] for n in primary.parents
        }
        files = known.apply(
            lambda hosts: refuse_as_pulumi(lambda: render_primary(primary, hosts, zones))
        )
        tls = primary.transport == TLS
        own = update_keys(secret, *primary.updaters)
        own |= transport_keys(secret, PRIMARY) if tls else {}
        signed = self.primary.converge(
            _delivery(primary, files, seal(transfer_keys(secret, *primary.keyed) | ds | own)), []
        )
        before: list[pulumi.Resource] = [signed]
        for name, server in self.server.items():
            files = known.apply(partial(render_name_server, primary, name))
            own = transport_keys(secret, server.software) if tls else {}
            values = seal(transfer_keys(secret, name) | own)
            before = [server.converge(_delivery(primary, files, values), before)]
        # nobody is sent to a primary that would not let him in yet
        ready = pulumi.Output.all(known, secret, signed.id)
        return (
            pulumi.Output.secret(ready.apply(lambda got: _transfers(primary, got[0], got[1]))),
            pulumi.Output.secret(ready.apply(lambda got: _updates(primary, got[0], got[1]))),
        )


def _delivery(primary: Primary, files: pulumi.Output[HostFiles], values: Values) -> Delivery:
    return {
        "files": files,
        "values": [values],
        "admin_sources": [str(network) for network in primary.admin_sources],
        "drain_s": 0,
    }


def _transfers(
    primary: Primary, hosts: Mapping[str, Host], secret: str
) -> Mapping[str, TransferRef]:
    found: dict[str, TransferRef] = {}
    for name, operator in primary.operators.items():
        own = [str(address) for address in offered(hosts[PRIMARY], operator)]
        found[name] = {"addresses": own}
        if not operator.tsig_waived_because:
            found[name]["key_name"] = primary.key_of(name)
            found[name]["secret"] = transfer_secret(secret, name)
    return found


def _updates(primary: Primary, hosts: Mapping[str, Host], secret: str) -> Mapping[str, UpdateRef]:
    own = [str(address) for address in addresses_of(hosts[PRIMARY])]
    return {
        name: {
            "addresses": own,
            "key_name": update_key(name),
            "secret": update_secret(secret, name),
            "algorithm": "hmac-sha256",
            "zones": [
                z.removesuffix(".") for z, s in primary.zones.items() if name in s.updated_by
            ],
        }
        for name in primary.updaters
    }


def _facts(primary: Primary) -> dict[str, Any]:
    """What policies and the state see; all of it is known in a plan, none of it is a secret."""
    return {
        "zones": {
            zone.removesuffix("."): {
                "parent": source.parent,
                "signed": True,
                "updated_by": [*source.updated_by],
            }
            for zone, source in primary.zones.items()
        },
        "servers": {name: server.software for name, server in primary.own_servers.items()},
        "pops": sorted(primary.servers.keys() - primary.own_servers.keys()),
        "signing": primary.signing.model_dump(),
        "transfers": {"tsig": "hmac-sha256", "tls": primary.transport == TLS},
        "operators": {
            name: {"tsig": not operator.tsig_waived_because}
            for name, operator in primary.operators.items()
        },
    }
