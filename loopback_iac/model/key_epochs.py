"""Rotation of the tunnels' keys: which epochs of keys stand, and which one carries the traffic."""

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, Field

from loopback_iac.model.fields import Int, Several, Value, refuse

LAST_KEY_EPOCH = 9999
AT_ONCE = 2
KEY_BYTES = 32  # Curve25519
Epoch = Annotated[Int, Field(ge=1, le=LAST_KEY_EPOCH)]


def _key_epochs(epochs: tuple[int, ...]) -> tuple[int, ...]:
    """At most two that follow each other: they differ in parity, and so in name and address."""
    said = f"[{', '.join(map(str, epochs))}]"
    if not epochs:
        refuse("key-epochs", "no tunnel would be left", "one epoch, or two", "write [1]")
    if len(epochs) > AT_ONCE:
        refuse(
            "key-epochs",
            f"{said} are {len(epochs)} sets of tunnels",
            "at most two: the one that traffic uses, and the next or the last one",
            "end the rotation under way before the next one",
        )
    if len(epochs) == AT_ONCE and abs(epochs[0] - epochs[1]) != 1:
        refuse(
            "key-epochs",
            f"{said} do not follow each other",
            "two epochs that differ by one: they take turns in addresses, ports and names",
            f"write [{epochs[0]}, {epochs[0] + 1}]",
        )
    return epochs


def _join_keys(keys: dict[str, str]) -> dict[str, str]:
    """By key epoch, as `loopback join` prints them."""
    for epoch, key in keys.items():
        try:
            fits = epoch.isdecimal() and len(base64.b64decode(key, validate=True)) == KEY_BYTES
        except binascii.Error:
            fits = False
        if not fits:
            refuse(
                "join-key-syntax",
                f"{epoch}: {key[:60]} is no key of an epoch",
                "key epoch: base64 of 32 bytes, a WireGuard public key",
                "copy join_keys as `loopback join` printed them on the machine",
            )
    return keys


JoinKeys = Annotated[dict[str, str], AfterValidator(_join_keys)]


class Tunnels(Value):
    """WireGuard keys, by epoch: each has tunnels of its own; the first carries the traffic."""

    key_epochs: Annotated[Several[Epoch], AfterValidator(_key_epochs)] = (1,)

    @property
    def traffic_epoch(self) -> int:
        """The epoch whose tunnels carry traffic."""
        return self.key_epochs[0]
