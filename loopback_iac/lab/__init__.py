"""The whole fleet on one machine: real Debian hosts in networks of their own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopback_iac.lab.image import ensure_image, image_path
    from loopback_iac.lab.instance import Changes, Lab, bring_up, leftovers, open_lab, take_down
    from loopback_iac.lab.paths import InstancePaths, LabError

__all__ = [
    "Changes",
    "InstancePaths",
    "Lab",
    "LabError",
    "bring_up",
    "ensure_image",
    "image_path",
    "leftovers",
    "open_lab",
    "take_down",
]
_HOMES = {
    "image": ("ensure_image", "image_path"),
    "instance": ("Changes", "Lab", "bring_up", "leftovers", "open_lab", "take_down"),
    "paths": ("InstancePaths", "LabError"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # functions and types alike
    """Import on first use: stand-in providers, started with every update, boot nothing."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
