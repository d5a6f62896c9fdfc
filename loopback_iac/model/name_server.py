"""Who answers for zones: name servers, which hold what the hidden primary signed."""

import re
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from loopback_iac.model.fields import (
    AddressList,
    Given,
    Int,
    Line,
    UpdateSources,
    Value,
    refuse,
)

_ZONE = re.compile(r"(?:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+")
LONGEST_NAME = 251  # its final dot included: with `zone` behind it, it becomes a name of a file


def _zone_name(value: object) -> object:
    """Lower case, with a final dot; it becomes the name of a file, so nothing else is let in."""
    if not isinstance(value, str):
        return value
    name = value.lower().removesuffix(".") + "."
    if not _ZONE.fullmatch(name) or len(name) > LONGEST_NAME:
        refuse(
            "zone-name",
            f"{value!r} is no name of a zone that a name server here holds",
            "labels of letters, digits, hyphens and underscores",
            "write the zone's name as in example.net, international names as A-labels (xn--...)",
        )
    return name


ZoneName = Annotated[str, BeforeValidator(_zone_name)]
CATALOG = "catalog.invalid."
"""RFC 9432 names no place for a catalog; RFC 2606 keeps .invalid out of the public tree."""


ResponseRate = Annotated[Int, Field(ge=0, le=1_000_000)]
"""Answers in a second, as the program counts: NSD per /24 or /64 and kind of answer, Knot per
address, and multiples of it per network; 0: no limit."""
Software = Literal["knot", "nsd"]
TLS: Final = "tls"
Transport = Literal["tls", "tcp"]
"""How name servers get zones: RFC 9103, or as RFC 5936 has it, readable to who is in between."""


class NameServer(Value):
    """A host that answers for every zone; two programs do not share their faults."""

    host: Given
    software: Software = "knot"
    addresses: AddressList = ()
    """Others that lead to the host; it answers there as soon as they do."""
    on_pop: bool = False
    """It is a PoP of a fleet, which renders and converges it; the primary only knows it."""


class NameService(Value):
    """Name servers on the PoPs of a fleet, at one anycast address, for a primary's zones."""

    vip: str
    primary: Given
    transfer_secret: Given
    catalog: ZoneName = CATALOG
    responses_per_s: ResponseRate = 200
    transport: Transport = TLS


def _key_name(value: object) -> object:
    """Lower case, without a final dot: names of keys are names of the DNS (RFC 8945 4.2)."""
    if not isinstance(value, str):
        return value
    name = value.lower().removesuffix(".")
    if not _ZONE.fullmatch(f"{name}.") or len(name) >= LONGEST_NAME:
        refuse(
            "key-name",
            f"{value!r} is no name of a TSIG key",
            "labels of letters, digits, hyphens and underscores",
            "write the name that the operator signs with",
        )
    return name


class TransferOperator(Value):
    """Somebody else's name servers that take every zone from the primary, and nothing else."""

    addresses: AddressList
    """Where its transfers come from."""
    notify: AddressList = ()
    """Where it is told of changes; empty: `addresses`."""
    key_name: Annotated[str, BeforeValidator(_key_name)] = ""
    """What it calls the TSIG key; empty: `loopback-NAME`."""
    tsig_waived_because: Line = ""
    """Why transfers to it are not signed; empty: they are."""
    answers: AddressList = ()
    """Where its name servers answer: the primary holds them to the zones as well."""

    @property
    def told(self) -> AddressList:
        """Where NOTIFY goes."""
        return self.notify or self.addresses


UpdateType = Literal["A", "AAAA", "PTR", "SRV", "SSHFP", "TLSA", "TXT"]
"""What updates may bring: nothing that hands a name on, or that the signer makes."""


class Updater(Value):
    """A client that changes zones by dynamic update (RFC 2136), such as an ACME client."""

    sources: UpdateSources
    """Where its updates come from; nobody else of them sees the primary."""


def update_key(updater: str) -> str:
    """Name of the TSIG key of one updater."""
    return f"loopback-update-{updater}"


def update_mark(updater: str) -> str:
    """The mark that stands for that key's secret."""
    return f"update-{updater}"


AUDIT = "audit"
"""Whoever holds what name servers have to what is declared; may transfer, and nothing else."""


def transfer_key(server: str) -> str:
    """Name of the TSIG key between the primary and one name server."""
    return f"loopback-{server}"


def transfer_mark(server: str) -> str:
    """The mark that stands for that key's secret."""
    return f"tsig-{server}"
