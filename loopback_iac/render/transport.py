"""Transfers over TLS (RFC 9103): the key and certificate of the primary, and where they stand.

No authority signs the certificate: whoever asks the primary knows this one, Knot by its key's
digest, NSD by itself. Who asks proves himself by TSIG, as without TLS, so he needs no certificate.
"""

import base64
import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from loopback_iac.model.name_server import Software
from loopback_iac.render.files import File, secret_mark

PORT = 853  # RFC 9103 7.1
NAME = "primary.invalid"
"""In the certificate; NSD wants one, and RFC 2606 keeps it nobody's."""
KEY, CERTIFICATE, PIN = "transport-key", "transport-certificate", "transport-pin"
"""Marks: base64 of the key (PKCS #8), of the certificate (DER), of its key's SHA-256."""
KEY_PATH = "/etc/knot/transport.key"
CERTIFICATE_PATH = {"knot": "/etc/knot/transport.pem", "nsd": "/etc/nsd/transport.pem"}
NEEDED = {"primary": (KEY, CERTIFICATE), "knot": (PIN,), "nsd": (CERTIFICATE,)}
"""Marks by who gets them: the key is the primary's alone."""
# A pinned key does not expire, it is replaced with the secret it is made from. RFC 5280 4.1.2.5.
_FROM, _UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def transport_values(secret: str, who: str) -> dict[str, str]:
    """What stands for the marks of the primary (`primary`) or of one program of name servers.

    Out: by mark; the same secret gives the same bytes each time.
    Sources: RFC 5869, RFC 8410, RFC 7469 2.4 (the pin).
    """
    seed = HKDF(SHA256(), 32, None, b"loopback transport").derive(secret.encode())
    key = Ed25519PrivateKey.from_private_bytes(seed)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    made = {
        KEY: private,
        CERTIFICATE: _certificate(key).public_bytes(Encoding.DER),
        PIN: hashlib.sha256(public).digest(),
    }
    return {mark: base64.b64encode(made[mark]).decode() for mark in NEEDED[who]}


def _certificate(key: Ed25519PrivateKey) -> x509.Certificate:
    """Signed by its own key; Ed25519 draws no random number, so it is always the same."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, _FROM, _UNTIL)
    called = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    return made.add_extension(called, critical=False).sign(key, None)


def render_transport_key() -> dict[str, File]:
    """The primary's private key and certificate."""
    key = File(_pem("PRIVATE KEY", KEY), "0640", group="knot")
    return {KEY_PATH: key} | render_trust("knot")


def render_trust(software: Software) -> dict[str, File]:
    """The primary's certificate, where a program reads it."""
    text = _pem("CERTIFICATE", CERTIFICATE)
    return {CERTIFICATE_PATH[software]: File(text, "0640", group=software)}


def _pem(label: str, mark: str) -> str:
    """One line, as marks are: GnuTLS and OpenSSL read that too."""
    return f"-----BEGIN {label}-----\n{secret_mark(mark)}\n-----END {label}-----\n"
