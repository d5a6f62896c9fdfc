"""What WireGuard itself lays down: how a key is written, and what an encrypted packet costs."""

import base64
import binascii
from typing import Annotated

from pydantic import BeforeValidator

from loopback_iac.model.fields import refuse

OVERHEAD_BYTES = 80  # 40 IPv6 + 8 UDP + 32 WireGuard: fits both families
KEY_BYTES = 32  # a point of Curve25519


def _public_key(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        fits = len(base64.b64decode(value, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        fits = False
    if not fits:
        refuse(
            "wireguard-key",
            "is no public key of WireGuard",
            f"base64 of {KEY_BYTES} bytes, 44 characters",
            "copy what `wg show INTERFACE public-key` prints at the other end",
        )
    return value


PublicKey = Annotated[str, BeforeValidator(_public_key)]
