"""Rotation of the tunnels' keys: which epochs of keys stand, and which one carries the traffic."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from loopback_iac.model.fields import Int, Value, refuse

LAST_KEY_EPOCH = 9999
AT_ONCE = 2


def _key_epochs(value: object) -> object:
    """At most two that follow each other: they differ in parity, and so in name and address."""
    if not isinstance(value, list):
        return value
    epochs = [int(e) if isinstance(e, float) and e.is_integer() else e for e in value]
    if not all(isinstance(e, int) and not isinstance(e, bool) for e in epochs):
        return tuple(epochs)
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
    return tuple(epochs)


class Tunnels(Value):
    """WireGuard keys, by epoch: each has tunnels of its own; the first carries the traffic."""

    key_epochs: Annotated[
        tuple[Annotated[Int, Field(ge=1, le=LAST_KEY_EPOCH)], ...], BeforeValidator(_key_epochs)
    ] = (1,)

    @property
    def traffic_epoch(self) -> int:
        """The epoch whose tunnels carry traffic."""
        return self.key_epochs[0]
