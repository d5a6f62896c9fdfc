"""The stand-ins' fields are those of the real SDKs: every one, and no other."""

from __future__ import annotations

import importlib
import inspect
import threading
from typing import TYPE_CHECKING

import pulumi._types as sdk_types
import pytest

from loopback_iac.lab.cloud.hetzner.vendor import Hetzner
from loopback_iac.lab.cloud.ionos.vendor import Ionos

if TYPE_CHECKING:
    from loopback_iac.lab.cloud.kinds import Kind

EVERY_RESOURCES = ("id", "urn", "pulumi_resource_name", "pulumi_resource_type")


def kinds() -> list[Kind]:
    vendors = (Hetzner(), Ionos())
    return [one.kind for vendor in vendors for one in vendor.connect(threading.Event()).values()]


def sdk_classes(kind: Kind) -> tuple[type, type]:
    """The class a program declares, and the one of its arguments."""
    package, module, name = kind.token.split(":")
    at = module.split("/")[0]
    path = f"pulumi_{package}" if at == "index" else f"pulumi_{package}.{at}"
    room = importlib.import_module(path)
    # the module keeps its arguments' class beside it, exported or not
    declared = getattr(room, name)
    return declared, getattr(importlib.import_module(declared.__module__), f"{name}Args")


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.token)
def test_fields_are_the_sdks(kind):
    declared, args = sdk_classes(kind)
    assert declared.pulumi_type == kind.token
    taken = set(sdk_types.input_type_py_to_pulumi_names(args).values())
    assert {key for key, field in kind.fields.items() if not field.computed} == taken
    shown = {
        getattr(member.fget, "_pulumi_name", name)
        for name, member in inspect.getmembers(declared)
        if isinstance(member, property) and name not in EVERY_RESOURCES
    }
    assert {key for key, field in kind.fields.items() if field.computed} == shown - taken
    names = sdk_types.input_type_py_to_pulumi_names(args)
    needed = {
        names[name]
        for name, parameter in inspect.signature(args).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    assert {key for key, field in kind.fields.items() if field.required} == needed
