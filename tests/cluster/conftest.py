"""An API server of the tests' own, a namespace on it for each test, and the plugin before it."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from loopback_iac.lab import cgroups
from loopback_iac.lab.cluster.control import ControlPlane
from loopback_iac.lab.kubernetes.cluster import open_cluster
from loopback_iac.lab.kubernetes.settings import Settings
from loopback_iac.lab.paths import InstancePaths
from tests.cluster.api import Api
from tests.cluster.plugin import Plugin
from tests.engine.conftest import stack

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["stack"]
_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """Store, API server, controllers; no node, so no pod ever runs."""
    paths = InstancePaths(f"k{os.getpid()}")
    made = ControlPlane(paths, "127.0.0.1", port=_find_port())
    try:
        made.up()
        yield made
    finally:
        cgroups.kill(paths)
        cgroups.remove(paths)
        shutil.rmtree(paths.root, ignore_errors=True)


def _find_port() -> int:
    """Out: the first of four that are free, below those that connections are given."""
    for first in range(20000 + os.getpid() % 1000 * 8, 32000, 8):
        try:
            for port in range(first, first + 4):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


@pytest.fixture
def api(plane: ControlPlane) -> Iterator[Api]:
    cluster = open_cluster(Settings(kubeconfig=str(plane.kubeconfig)))
    made = Api(cluster, f"t{next(_NUMBERS)}")
    cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": made.namespace}})
    yield made
    cluster.request("DELETE", f"/api/v1/namespaces/{made.namespace}")


@pytest.fixture
def settings(plane: ControlPlane, api: Api) -> dict[str, str]:
    """The provider's settings as the engine hands them over."""
    return {"kubeconfig": plane.kubeconfig.read_text(), "namespace": api.namespace}


@pytest.fixture
def plugin(settings: dict[str, str]) -> Iterator[Plugin]:
    made = Plugin(**settings)
    yield made
    made.close()
