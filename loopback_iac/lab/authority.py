"""A CA of the lab: makes itself, is kept as one PEM text, signs for names."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

_VALID_DAYS = 825
_MARK = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class Signed:
    """PEM of a certificate and of its key."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Authority:
    """A CA with its key."""

    key: ec.EllipticCurvePrivateKey
    own: x509.Certificate

    @classmethod
    def create(cls, name: str) -> Authority:
        """A CA of that common name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = (
            _certificate(subject, subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        return cls(key, own)

    @classmethod
    def parse(cls, pem: str) -> Authority:
        """
        A CA from its `pem`.

        Raises: TypeError when the key is none of ours.
        """
        key = serialization.load_pem_private_key(pem[: pem.index(_MARK)].encode(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("a CA of the lab has an elliptic-curve key")
        return cls(key, x509.load_pem_x509_certificate(pem[pem.index(_MARK) :].encode()))

    @property
    def certificate(self) -> str:
        """What clients trust, PEM."""
        return self.own.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The key alone, PEM."""
        return _key_pem(self.key)

    @property
    def pem(self) -> str:
        """Key and certificate, to be kept."""
        return self.key_pem + self.certificate

    def sign(
        self, subject: str, names: Sequence[str] = (), organizations: Sequence[str] = ()
    ) -> Signed:
        """
        A certificate with a key of its own.

        In: subject, the common name; names, host names and addresses that a server answers to;
        organizations, the groups of a client of Kubernetes.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
        subject_name = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        builder = (
            _certificate(subject_name, self.own.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        if names:
            listed = x509.SubjectAlternativeName([_general(name) for name in names])
            builder = builder.add_extension(listed, critical=False)
        made = builder.sign(self.key, hashes.SHA256())
        return Signed(made.public_bytes(serialization.Encoding.PEM).decode(), _key_pem(key))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


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
