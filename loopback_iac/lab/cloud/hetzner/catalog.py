"""What Hetzner Cloud sells: locations, server types, images."""

from __future__ import annotations

from dataclasses import dataclass

# hcloud-go: network zones of locations, as its tests have them
ZONES = {
    "fsn1": "eu-central",
    "nbg1": "eu-central",
    "hel1": "eu-central",
    "ash": "us-east",
    "hil": "us-west",
    "sin": "ap-southeast",
}
EUROPE = ("fsn1", "nbg1", "hel1")
# terraform-provider-hcloud docs/resources/server.md names it; the lab boots Debian 13 alone
IMAGES = ("debian-13",)


@dataclass(frozen=True)
class ServerType:
    """One orderable size; Units: disk in GB."""

    architecture: str
    disk: int
    locations: tuple[str, ...] = EUROPE


_ALL = tuple(ZONES)
# Names: terraform-provider-hcloud docs and tests of 2026-08; disks: the vendor's price list.
SERVER_TYPES = {
    "cx23": ServerType("x86", 40),
    "cx33": ServerType("x86", 80),
    "cx43": ServerType("x86", 160),
    "cx53": ServerType("x86", 320),
    "cpx22": ServerType("x86", 80),
    "cpx32": ServerType("x86", 160),
    "cpx42": ServerType("x86", 320),
    "cpx52": ServerType("x86", 480),
    "cpx62": ServerType("x86", 640),
    "cax11": ServerType("arm", 40),
    "cax21": ServerType("arm", 80),
    "cax31": ServerType("arm", 160),
    "cax41": ServerType("arm", 320),
    "ccx13": ServerType("x86", 80, _ALL),
    "ccx23": ServerType("x86", 160, _ALL),
    "ccx33": ServerType("x86", 240, _ALL),
    "ccx43": ServerType("x86", 360, _ALL),
    "ccx53": ServerType("x86", 600, _ALL),
    "ccx63": ServerType("x86", 960, _ALL),
}
# kube-hetzner 2026-01: no longer orderable; the API still knows the names.
RETIRED = frozenset({"cx11", "cx22", "cx32", "cx42", "cx52", "cpx11", "cpx21", "cpx31", "cpx41"})
