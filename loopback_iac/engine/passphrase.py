"""Pulumi's passphrase secrets: the cipher of `secure:` values and of secrets in a checkpoint."""

from __future__ import annotations

import base64
import binascii
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from loopback_iac.engine.errors import UsageError

# sdk/go/common/resource/config/crypt.go: NewSymmetricCrypterFromPassphrase
ROUNDS = 1_000_000
KEY_BYTES = 32
SALT_BYTES = 8
NONCE_BYTES = 12
CHECK_TEXT = "pulumi"


class PassphraseError(UsageError):
    """A salt, a ciphertext or a passphrase does not fit the others."""


class Crypter:
    """One key: encrypts, decrypts `v1:<nonce>:<ciphertext>`; `salt` is what a stack file keeps."""

    def __init__(self, salt: str, key: bytes) -> None:
        self.salt = salt
        self._cipher = AESGCM(key)

    @classmethod
    def create(cls, passphrase: str) -> Crypter:
        """
        Make a new key under a fresh random salt.

        In: passphrase, not empty.
        Out: a Crypter whose `salt` goes to `encryptionsalt` of the stack file.
        Raises: PassphraseError when it is empty.
        """
        if not passphrase:  # open() takes one, because a stack made elsewhere may have it
            raise PassphraseError("passphrase: got an empty one")
        raw = os.urandom(SALT_BYTES)
        crypter = cls("", _derive_key(passphrase, raw))
        crypter.salt = f"v1:{_b64(raw)}:{crypter.encrypt(CHECK_TEXT)}"
        return crypter

    @classmethod
    def open(cls, salt: str, passphrase: str) -> Crypter:
        """
        Derive the key a salt belongs to.

        In: salt as it stands in `encryptionsalt`; passphrase.
        Raises: PassphraseError when the salt is malformed or made with another passphrase.
        """
        parts = salt.split(":", 2)
        if len(parts) != 3 or parts[0] != "v1":
            raise PassphraseError(
                f"encryptionsalt: got {salt[:12]!r}, need 'v1:<salt>:v1:<nonce>:<check>'"
            )
        crypter = cls(salt, _derive_key(passphrase, _unb64(parts[1], "encryptionsalt")))
        try:
            checked = crypter.decrypt(parts[2])
        except PassphraseError as error:
            raise PassphraseError(
                "incorrect passphrase: it does not open this stack's encryptionsalt"
                " (set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE)"
            ) from error
        if checked != CHECK_TEXT:
            raise PassphraseError("encryptionsalt: the check value is not Pulumi's")
        return crypter

    def encrypt(self, plaintext: str) -> str:
        """
        Encrypt under a fresh nonce.

        Out: 'v1:<nonce base64>:<ciphertext with tag base64>'.
        """
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, plaintext.encode(), None)
        return f"v1:{_b64(nonce)}:{_b64(sealed)}"

    def decrypt(self, text: str) -> str:
        """
        Open what `encrypt` (or the Pulumi CLI) made with this key.

        Raises: PassphraseError when the text is malformed, altered or of another key.
        """
        parts = text.split(":")
        if len(parts) != 3 or parts[0] != "v1":
            raise PassphraseError("secret: got no 'v1:<nonce>:<ciphertext>' text")
        nonce, sealed = _unb64(parts[1], "secret"), _unb64(parts[2], "secret")
        try:
            return self._cipher.decrypt(nonce, sealed, None).decode()
        except (InvalidTag, ValueError) as error:
            raise PassphraseError(
                "secret: it was altered or encrypted with another passphrase"
            ) from error


def open_crypter(salt: str, passphrase: str | None) -> Crypter | None:
    """
    The key of a salt, as far as there is one.

    Out: None without a salt (nothing is encrypted), or while nobody gave a passphrase.
    Raises: PassphraseError as `Crypter.open`.
    """
    return Crypter.open(salt, passphrase) if salt and passphrase is not None else None


@lru_cache(maxsize=16)
def _derive_key(passphrase: str, salt: bytes) -> bytes:
    """Slow on purpose: a process that opens a stack for several verbs does it once."""
    return PBKDF2HMAC(algorithm=SHA256(), length=KEY_BYTES, salt=salt, iterations=ROUNDS).derive(
        passphrase.encode()
    )


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unb64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise PassphraseError(f"{what}: {text[:12]!r} is not base64") from error
