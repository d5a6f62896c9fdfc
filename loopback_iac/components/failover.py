"""ProviderFailoverVip: an address of the provider for those who have no prefix of their own.

One host holds it, others stand in. It is not anycast: a move takes seconds and ends connections.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import pulumi

from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.cloud_args import ProviderFailoverVipArgs
from loopback_iac.components.converge import ConvergedHost, Delivery, describe_host, seal
from loopback_iac.components.host_args import HostRef
from loopback_iac.components.hosts import public_facts
from loopback_iac.model import (
    FailoverMachines,
    FailoverVip,
    InputRejected,
    parse_failover_machines,
    parse_failover_vip,
)
from loopback_iac.model.cloud_checks import check_hetzner_token
from loopback_iac.render import (
    TOKEN_MARK,
    FloatingAddress,
    HostFiles,
    render_arbiter,
    render_member,
)

ARBITER = "arbiter"


class FailoverMember(ConvergedHost):
    """A host that answers at the failover address whenever the provider sends it there."""

    kind = "member"


class FailoverArbiter(ConvergedHost):
    """The host that holds the provider's token, looks at the members and moves the address."""

    kind = ARBITER


class ProviderFailoverVip(pulumi.ComponentResource):
    """A floating address: one host of several holds it, and an arbiter outside moves it."""

    address: pulumi.Output[str]
    """The failover address, IPv4."""
    hosts: pulumi.Output[Mapping[str, Any]]
    """By host: role, address, SSH port, user and host key, and the digest it was converged to."""

    def __init__(
        self, name: str, args: ProviderFailoverVipArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the address, members, who holds it at first, and then the arbiter."""
        vip = refuse_as_pulumi(lambda: parse_failover_vip(name, args))
        super().__init__("loopback-iac:index:ProviderFailoverVip", name, {"vip": _facts(vip)}, opts)
        # the SDK of a cloud loads only where one of its addresses is declared
        from loopback_iac.components.failover_address import (  # noqa: PLC0415  # as said above
            declare_address,
            declare_assignment,
        )

        late: dict[str, pulumi.Input[HostRef]] = {m["name"]: m["host"] for m in args["hosts"]}
        late[ARBITER] = args["arbiter"]
        child = pulumi.ResourceOptions(parent=self)
        self.member = {
            m.name: FailoverMember(f"{name}-{m.name}", m.name, late[m.name], [], child)
            for m in vip.hosts
        }
        self.arbiter = FailoverArbiter(f"{name}-{ARBITER}", ARBITER, late[ARBITER], [], child)
        machines = _machines(name, vip, args, late)
        ordered = declare_address(self, name, vip)
        floating = pulumi.Output.all(address=ordered.ip_address, ident=ordered.id)
        served = [
            member.converge(_delivery(vip, floating.apply(_member_files), {}), [])
            for member in self.member.values()
        ]
        first = machines.apply(lambda found: found.members[vip.hosts[0].name][1])
        held = declare_assignment(self, name, ordered, first, served)
        self._converge_arbiter(vip, args, pulumi.Output.all(machines, floating), held)
        self.address = ordered.ip_address
        self.hosts = self._describe()
        self.register_outputs({"address": self.address, "hosts": self.hosts})

    def _converge_arbiter(
        self,
        vip: FailoverVip,
        args: ProviderFailoverVipArgs,
        known: pulumi.Output[Sequence[Any]],
        held: pulumi.Resource,
    ) -> None:
        """Last, and first to go: an address that is taken down is moved by nobody."""

        def files(got: Sequence[Any]) -> HostFiles:
            machines, floating = got
            return render_arbiter(vip, machines, _floating(floating))

        given = pulumi.Output.from_input(args["token"])
        token: pulumi.Output[str] = pulumi.Output.secret(given.apply(checked_token))
        self.arbiter.converge(_delivery(vip, known.apply(files), {TOKEN_MARK: token}), [held])

    def _describe(self) -> pulumi.Output[Mapping[str, Any]]:
        every: dict[str, ConvergedHost] = {**self.member, ARBITER: self.arbiter}
        return pulumi.Output.all(**{n: describe_host(h) for n, h in every.items()})


def _facts(vip: FailoverVip) -> dict[str, Any]:
    """What policies and the state see; all of it is known in a plan."""
    return {
        "provider": vip.provider,
        "location": vip.location,
        "members": [member.name for member in vip.hosts],
        "port": vip.check.port,
        "detection_s": vip.check.longest_s,
        "labels": vip.labels.by_name(),
        "protection": vip.protection,
    }


def _machines(
    name: str,
    vip: FailoverVip,
    args: ProviderFailoverVipArgs,
    late: Mapping[str, pulumi.Input[HostRef]],
) -> pulumi.Output[FailoverMachines]:
    """Members with their servers, and the arbiter, once all of them are known."""
    given = {m["name"]: m["server_id"] for m in args["hosts"] if m.get("server_id") is not None}

    def parse(got: Mapping[str, Any]) -> FailoverMachines:
        servers = {member: str(number) for member, number in got["servers"].items()}
        return refuse_as_pulumi(lambda: parse_failover_machines(name, vip, got["late"], servers))

    hosts = pulumi.Output.all(**{n: public_facts(ref) for n, ref in late.items()})
    servers = pulumi.Output.all(**given) if given else pulumi.Output.from_input({})
    return pulumi.Output.all(late=hosts, servers=servers).apply(parse)


def _floating(found: Mapping[str, str]) -> FloatingAddress:
    return FloatingAddress(ip_address(found["address"]), int(found["ident"]))


def _member_files(found: Mapping[str, str]) -> HostFiles:
    return render_member(_floating(found))


def _delivery(
    vip: FailoverVip,
    files: pulumi.Output[HostFiles],
    values: Mapping[str, pulumi.Input[str]],
) -> Delivery:
    return {
        "files": files,
        "values": [seal(values)],
        "admin_sources": [str(network) for network in vip.admin_sources],
        "drain_s": 0,
    }


def checked_token(given: str) -> str:
    """A token as it is given.

    Raises: RejectedInputs, without showing it, for what Hetzner's provider would refuse.
    """

    def checked() -> str:
        if problems := check_hetzner_token("token", given):
            raise InputRejected("token", tuple(problems))
        return given

    return refuse_as_pulumi(checked)
