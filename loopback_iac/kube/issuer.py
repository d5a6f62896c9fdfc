"""What an operator declares of certificates: which authority, and how it is shown whose names are.

HTTP-01 comes in by the edge like any request. DNS-01 is answered from a zone of its own: each name
has a CNAME into it, so the key in the cluster can write there and nowhere else.
"""

import base64
import binascii
import re
from ipaddress import IPv4Address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from loopback_iac.kube.ingress import Artifact, KubeName
from loopback_iac.model.fields import (
    AddressList,
    Given,
    Int,
    Line,
    LineList,
    Several,
    Value,
    refuse,
)

CHALLENGE = "_acme-challenge"
ALGORITHM = "hmac-sha256"
CHART_VALUES = {"crds": {"enabled": True, "keep": True}, "prometheus": {"enabled": True}}
"""Of cert-manager's chart: its kinds come with it and stay, and renewals are watched."""
LONGEST = 253
"""Of a name without its final dot (RFC 1035 2.3.4)."""
AUTHORITIES = {
    "api.letsencrypt.org": "letsencrypt.org",
    "api.buypass.com": "buypass.com",
    "dv.acme-v02.api.pki.goog": "pki.goog",
    "acme.zerossl.com": "sectigo.com",
    "acme.sectigo.com": "sectigo.com",
}
"""What an authority answers to in CAA (RFC 8659 4.2), by the end of its directory's host."""
_DIRECTORY = re.compile(r"https://([A-Za-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?(/[^\s]*)?")
_NAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_ZONE = re.compile(r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def _directory(value: object) -> object:
    if isinstance(value, str) and not _DIRECTORY.fullmatch(value):
        need = "an https URL"
        fix = "write it as in https://acme-v02.api.letsencrypt.org/directory"
        refuse("acme-directory", f"{value!r} is no ACME directory", need, fix)
    return value


def _dns_name(value: object) -> object:
    if not isinstance(value, str):
        return value
    name = value.lower().removesuffix(".")
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        need, fix = "a name of the DNS", "write it as in www.example.net or *.example.net"
        refuse("certificate-name", f"{value!r} is no name a certificate can have", need, fix)
    return name


def _zone(value: object) -> object:
    if not isinstance(value, str):
        return value
    name = value.lower().removesuffix(".")
    if not _ZONE.fullmatch(name):
        need, fix = "a name of a zone", "write it as in acme.example.net"
        refuse("zone-name", f"{value!r} is no name of a zone", need, fix)
    return name


def _algorithm(value: object) -> object:
    if value != ALGORITHM:
        need = ALGORITHM
        fix = "make the key anew: MD5 and SHA-1 are forgone, and the primary's keys are SHA-256"
        refuse("tsig-algorithm", f"{value!r} is not taken", need, fix)
    return value


def _secret(value: object) -> object:
    """In words that do not show it, whatever it is."""
    try:
        held = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        held = b""
    if len(held) < 16:
        need, fix = "16 bytes or more in base64", "take it from output `updates` of the primary"
        refuse("tsig-secret", "is no key", need, fix)
    return value


def _certificate(value: object) -> object:
    if isinstance(value, str) and "-----BEGIN CERTIFICATE-----" not in value:
        need, fix = "PEM", "write the certificate itself, not the name of its file"
        refuse("certificate-pem", "is no certificate in PEM", need, fix)
    return value


Name = Annotated[str, BeforeValidator(_dns_name)]
ZoneName = Annotated[str, BeforeValidator(_zone)]
Pem = Annotated[str, BeforeValidator(_certificate)]


class Http01(Value):
    """The authority asks the name itself, over port 80 of the edge (RFC 8555 8.3)."""

    edge: Given
    class_name: KubeName = "edge"
    self_check: bool = False
    wait_s: Int = Field(5, ge=0, le=600)


class Dns01(Value):
    """The authority asks for a TXT record (RFC 8555 8.4); a CNAME leads it into a zone of ours."""

    zone: ZoneName
    names: Several[Name]
    update: Given
    self_check: bool = True
    wait_s: Int = Field(60, ge=0, le=3600)

    def target(self, name: str) -> str:
        """Where the challenge of a name is written; a wildcard shares that of its base."""
        return f"{name.removeprefix('*.')}.{self.zone}"

    @property
    def delegations(self) -> dict[str, str]:
        """Owner of each CNAME, and what it has to say."""
        return {f"{CHALLENGE}.{n.removeprefix('*.')}": self.target(n) for n in self.names}


class Issuer(Value):
    """A certificate authority for a cluster."""

    name: KubeName
    directory: Annotated[str, BeforeValidator(_directory)]
    email: Line | None = None
    ca_certificate: Pem | None = None
    caa: ZoneName | None = None
    http01: Http01 | None = None
    dns01: Dns01 | None = None
    cert_manager: Artifact | None = None
    namespace: KubeName = "cert-manager"
    zones: Given = False

    @property
    def host(self) -> str:
        """Of the directory, in small letters."""
        return urlsplit(self.directory).hostname or ""

    @property
    def authority(self) -> str | None:
        """What its CAA record names."""
        known = (c for end, c in AUTHORITIES.items() if f".{self.host}".endswith(f".{end}"))
        return self.caa or next(known, None)

    @property
    def key_secret(self) -> str:
        """Secret that holds the key of updates."""
        return f"{self.name}-updates"


class Update(Value):
    """How the zone of challenges is written: an entry of output `updates` of HiddenPrimary."""

    addresses: AddressList
    key_name: Line
    secret: Annotated[str, BeforeValidator(_secret)]
    algorithm: Annotated[str, BeforeValidator(_algorithm)] = ALGORITHM
    zones: LineList = ()

    @classmethod
    def of_nobody(cls) -> "Update":
        """One that opens nothing: what is rendered with it has the names of any other."""
        return cls(addresses=(IPv4Address("192.0.2.1"),), key_name="none", secret="A" * 32)

    @property
    def server(self) -> str:
        """Address and port, as cert-manager wants them; IPv4 before IPv6."""
        first = min(self.addresses, key=lambda a: (a.version, a.packed))
        return f"[{first}]:53" if first.version == 6 else f"{first}:53"
