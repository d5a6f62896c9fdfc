"""A machine as it is known once it exists: addresses, keys, who owns it."""

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from loopback_iac.model.fields import (
    Address,
    AddressList,
    AddressV4,
    AddressV6,
    AnyAddress,
    Country,
    Given,
    Line,
    LineList,
    Port,
    Value,
    matching,
    reaches_nobody,
    refuse,
)
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import collect, plain

KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ssh-rsa")


def _host_key(value: object) -> object:
    if not isinstance(value, str):
        return value
    kind, _, rest = value.strip().partition(" ")
    blob = rest.split(" ", maxsplit=1)[0]
    try:
        raw = base64.b64decode(blob, validate=True)
        (size,) = struct.unpack(">I", raw[:4])  # RFC 4253 6.6: the blob begins with its own type
        fits = kind in KEY_TYPES and raw[4 : 4 + size] == kind.encode()
    except (binascii.Error, struct.error):
        fits = False
    if not fits:
        refuse(
            "host-key-syntax",
            "is not a public host key",
            f"type and base64 of one key ({', '.join(KEY_TYPES)})",
            "copy the line of /etc/ssh/ssh_host_ed25519_key.pub from the host's console",
        )
    return f"{kind} {blob}"


InstanceId = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}",
        "instance-id-syntax",
        "cannot stand in a command",
        "letters, digits and ._:/- (at most 128)",
        "take the provider's id of the machine, or its serial number",
    ),
]
Login = Annotated[
    str,
    matching(
        r"[a-z_][a-z0-9_-]{0,31}",  # useradd(8)
        "ssh-user-syntax",
        "is no login name",
        "a login name",
        "for example root",
    ),
]


def _unicast(address: Address | None) -> Address | None:
    if address is not None and reaches_nobody(address):
        refuse(
            "host-address",
            f"{address} reaches no host from elsewhere",
            "a unicast address that workers and operators reach",
            "write the address of the host's uplink",
        )
    return address


HostKeyLine = Annotated[str, BeforeValidator(_host_key)]


class Bastion(Value):
    """A host to jump through."""

    address: AnyAddress
    host_key: HostKeyLine
    ssh_port: Port = 22
    ssh_user: Login = "root"
    sources: AddressList = ()

    @property
    def seen_as(self) -> tuple[Address, ...]:
        """Addresses that its connections come from, as the host behind it sees them."""
        return self.sources or (self.address,)


class Host(Value):
    """Late facts of one machine."""

    ipv4: Annotated[AddressV4 | None, AfterValidator(_unicast)] = None
    ipv6: Annotated[AddressV6 | None, AfterValidator(_unicast)] = None
    host_key: HostKeyLine
    instance_id: InstanceId | None = None
    ssh_port: Port = 22
    ssh_user: Login = "root"
    ssh_private_key: Given = False
    ssh_agent_socket: Line | None = None
    bastion: Bastion | None = None
    provider: Line | None = None
    legal_owner: Line | None = None
    country: Country | None = None
    site: Line | None = None
    failure_domains: LineList = Field(default=())

    @property
    def address(self) -> Address:
        """The address its own services listen on: IPv4 where there is one."""
        found = self.ipv4 or self.ipv6
        assert found is not None  # noqa: S101  # parse_host lets no other host through
        return found

    def address_of(self, family: int) -> Address | None:
        """Its address of one family."""
        return self.ipv4 if family == 4 else self.ipv6


def parse_host(path: str, tree: Mapping[str, object]) -> Host:
    """Late facts of one host, checked.

    In: `path` of the host in the fleet, for messages; `tree` with every value known.
    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    host = collect(Host, path, plain(tree), problems)
    if host is not None and host.ipv4 is None and host.ipv6 is None:
        problems.append(
            Problem(
                path,
                "has no address",
                "ipv4, ipv6 or both",
                "write the address of the host's uplink",
                "host-address",
            )
        )
    if problems or host is None:
        raise InputRejected(path, tuple(problems))
    return host
