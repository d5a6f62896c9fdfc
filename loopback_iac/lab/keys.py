"""Everything secret or unique of one lab instance: made once, kept while the instance lives."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from loopback_iac.lab.mirror import ensure_signing_key
from loopback_iac.lab.paths import write_private
from loopback_iac.lab.topology import MACHINES, Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopback_iac.lab.paths import InstancePaths
    from loopback_iac.lab.topology import Topology

SITE_NAME = "www.example.net"
_VALID_DAYS = 825
_MARK = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class KeyPair:
    """An SSH key: private half in OpenSSH format, public half as an authorized_keys line."""

    private: str
    public: str


@dataclass(frozen=True)
class Keys:
    """What one instance's hosts, neighbors and operator share."""

    operator: KeyPair
    host_keys: dict[str, KeyPair]
    machine_ids: dict[str, str]
    md5: dict[str, str]
    ca_certificate: str
    site_certificate: str
    passphrase: str
    fleet_secret: str
    mirror_public: str = ""
    # cloud -> the token of its account
    tokens: dict[str, str] = field(default_factory=dict)


def ensure_keys(paths: InstancePaths, topology: Topology) -> Keys:
    """
    Read the instance's keys; make those that are missing.

    Out: all keys; private files have mode 0600.
    """
    paths.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    machines = topology.having(*MACHINES)
    host_keys = {h.name: _ssh_key(paths.keys / f"host-{h.name}", h.name) for h in machines}
    ca, site = ensure_certificates(paths)
    keys = Keys(
        operator=_ssh_key(paths.operator_key, f"operator@{paths.name}"),
        host_keys=host_keys,
        machine_ids={
            h.name: keep(paths.keys / f"machine-id-{h.name}", lambda: secrets.token_hex(16))
            for h in topology.hosts
            if h.booted
        },
        md5={
            h.name: keep(paths.keys / f"md5-{h.name}", lambda: secrets.token_urlsafe(24))
            for h in topology.having(Role.POP)
        },
        ca_certificate=ca[ca.index(_MARK) :],
        site_certificate=site,
        passphrase=keep(paths.passphrase, lambda: secrets.token_urlsafe(32)),
        fleet_secret=keep(paths.keys / "fleet-secret", lambda: secrets.token_urlsafe(32)),
        mirror_public=ensure_signing_key(paths) if any(h.bare for h in topology.hosts) else "",
        tokens={
            h.name: keep(paths.keys / f"token-{h.name}", lambda: secrets.token_hex(32))
            for h in topology.having(Role.PROVIDER)
        },
    )
    write_private(paths.ca_certificate, keys.ca_certificate, 0o644)
    write_private(paths.known_hosts, _render_known_hosts(topology, host_keys), 0o644)
    return keys


def ensure_certificates(paths: InstancePaths) -> tuple[str, str]:
    """The lab's CA, and the site's key with its certificate; made when they are missing."""
    ca, site = keep(paths.keys / "tls.pem", _make_tls).split("-----BEGIN SITE-----\n")
    return ca, site


def keep(path: Path, make: Callable[[], str]) -> str:
    """
    The text of a private file, made when it is missing.

    In: make is called only then.
    """
    if not path.exists():
        write_private(path, make())
    return path.read_text()


def _ssh_key(path: Path, comment: str) -> KeyPair:
    def make() -> str:
        return (
            Ed25519PrivateKey.generate()
            .private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            )
            .decode()
        )

    private = keep(path, make)
    key = serialization.load_ssh_private_key(private.encode(), password=None)
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return KeyPair(private, f"{public.decode()} {comment}")


def _render_known_hosts(topology: Topology, host_keys: dict[str, KeyPair]) -> str:
    lines = []
    for host, key in host_keys.items():
        end = topology.uplink(host)
        names = ",".join(str(a.ip) for a in (end.v4, end.v6) if a)
        lines.append(f"{host},{names} {' '.join(key.public.split()[:2])}\n")
    return "".join(lines)


def _make_tls() -> str:
    """CA key and certificate, then the site's: one file, so that one never lacks the other."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    site_key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Loopback lab CA")])
    ca = (
        _certificate(issuer, issuer, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SITE_NAME)])
    site = (
        _certificate(subject, issuer, site_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SITE_NAME)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return (
        _key_pem(ca_key)
        + ca.public_bytes(pem).decode()
        + "-----BEGIN SITE-----\n"
        + site.public_bytes(pem).decode()
        + _key_pem(site_key)
    )


def issue_certificate(paths: InstancePaths, address: str) -> str:
    """
    A server's certificate by the lab's CA, for an address.

    Out: PEM, the certificate and then its private key.
    """
    ca = (paths.keys / "tls.pem").read_text().partition("-----BEGIN SITE-----")[0]
    signer = serialization.load_pem_private_key(ca[: ca.index(_MARK)].encode(), password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError("the lab's CA has an elliptic-curve key")
    issuer = x509.load_pem_x509_certificate(ca[ca.index(_MARK) :].encode()).subject
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    certificate = (
        _certificate(subject, issuer, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode() + _key_pem(key)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_VALID_DAYS))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
