"""The whole fleet on one machine: real Debian hosts in networks of their own."""

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
