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
from loopback_iac.model.cloud_checks import check_hetzner_token, check_ionos_token
from loopback_iac.model.failover import HETZNER
from loopback_iac.render import (
    KEY_MARK,
    TOKEN_MARK,
    FloatingAddress,
    HostFiles,
    hold_key,
    render_arbiter,
    render_member,
    render_told_member,
)

ARBITER = "arbiter"


class FailoverMember(ConvergedHost):
    """A host that answers at the failover address whenever the provider sends it there."""

    kind = "member"


class FailoverArbiter(ConvergedHost):
    """The host that holds the provider's token, looks at the members and moves the address."""

    kind = ARBITER


_Held = tuple[pulumi.Output[Mapping[str, str]], Sequence[pulumi.Resource]]
"""The address and its name at the provider; what stands once members can hold it."""


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
        late: dict[str, pulumi.Input[HostRef]] = {m["name"]: m["host"] for m in args["hosts"]}
        late[ARBITER] = args["arbiter"]
        child = pulumi.ResourceOptions(parent=self)
        kept = args.get("baseline")
        self.member = {
            m.name: FailoverMember(
                *(f"{name}-{m.name}", m.name, late[m.name], [], child), baseline=kept
            )
            for m in vip.hosts
        }
        named = (f"{name}-{ARBITER}", ARBITER, late[ARBITER])
        self.arbiter = FailoverArbiter(*named, [], child, baseline=kept)
        machines = _machines(name, vip, args, late)
        given = pulumi.Output.from_input(args["token"])
        token: pulumi.Output[str] = pulumi.Output.secret(
            given.apply(lambda text: checked_token(text, vip.provider))
        )
        if vip.provider == HETZNER:
            floating, held = self._declare_floating(name, vip, machines)
        else:
            floating, held = self._declare_told(machines, vip, token)
        self._converge_arbiter(vip, token, pulumi.Output.all(machines, floating), held)
        self.address = floating["address"]
        self.hosts = self._describe()
        self.register_outputs({"address": self.address, "hosts": self.hosts})

    def _declare_floating(
        self, name: str, vip: FailoverVip, machines: pulumi.Output[FailoverMachines]
    ) -> _Held:
        """Hetzner: a floating IP that stands on every member, and who has it at first."""
        # the SDK of a cloud loads only where one of its addresses is declared
        from loopback_iac.components.failover_address import (  # noqa: PLC0415  # as said above
            declare_address,
            declare_assignment,
        )

        ordered = declare_address(self, name, vip)
        floating = pulumi.Output.all(address=ordered.ip_address, ident=ordered.id)
        served = [
            member.converge(_delivery(vip, floating.apply(_member_files), {}), [])
            for member in self.member.values()
        ]
        first = machines.apply(lambda found: int(found.members[vip.hosts[0].name][1]))
        return floating, [declare_assignment(self, name, ordered, first, served)]

    def _declare_told(
        self,
        machines: pulumi.Output[FailoverMachines],
        vip: FailoverVip,
        token: pulumi.Output[str],
    ) -> _Held:
        """IONOS: the address came with the first host; members take it when the arbiter says so."""
        floating = machines.apply(_group)

        def converge(name: str, member: FailoverMember) -> pulumi.Resource:
            files = pulumi.Output.all(machines, floating).apply(
                lambda both: render_told_member(
                    _floating(both[1]), name, both[0].members[name][0].address
                )
            )
            key: pulumi.Output[str] = token.apply(lambda text: hold_key(text, name))
            return member.converge(_delivery(vip, files, {KEY_MARK: key}), [])

        return floating, [converge(name, member) for name, member in self.member.items()]

    def _converge_arbiter(
        self,
        vip: FailoverVip,
        token: pulumi.Output[str],
        known: pulumi.Output[Sequence[Any]],
        held: Sequence[pulumi.Resource],
    ) -> None:
        """Last, and first to go: an address that is taken down is moved by nobody."""

        def files(got: Sequence[Any]) -> HostFiles:
            machines, floating = got
            return render_arbiter(vip, machines, _floating(floating))

        self.arbiter.converge(_delivery(vip, known.apply(files), {TOKEN_MARK: token}), held)

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
    beside = "server_id" if vip.provider == HETZNER else "card"
    given: dict[str, Any] = {
        m["name"]: dict(m)[beside] for m in args["hosts"] if m.get(beside) is not None
    }

    def parse(got: Mapping[str, Any]) -> FailoverMachines:
        found = got["late"], got["given"]
        return refuse_as_pulumi(lambda: parse_failover_machines(name, vip, *found))

    hosts = pulumi.Output.all(**{n: public_facts(ref) for n, ref in late.items()})
    known = pulumi.Output.all(**given) if given else pulumi.Output.from_input({})
    return pulumi.Output.all(late=hosts, given=known).apply(parse)


def _group(found: FailoverMachines) -> dict[str, str]:
    card = found.group
    return {"address": str(card.failover_ipv4), "ident": card.group} if card else {}


def _floating(found: Mapping[str, str]) -> FloatingAddress:
    return FloatingAddress(ip_address(found["address"]), found["ident"])


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


def checked_token(given: str, provider: str) -> str:
    """A token as it is given.

    Raises: RejectedInputs, without showing it, for what the provider would refuse.
    """

    def checked() -> str:
        check = check_hetzner_token if provider == HETZNER else check_ionos_token
        if problems := check("token", given):
            raise InputRejected("token", tuple(problems))
        return given

    return refuse_as_pulumi(checked)
