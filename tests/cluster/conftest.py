"""DEV"""

from pathlib import Path

import pytest

from loopback_iac.lab.kubernetes.cluster import open_cluster
from loopback_iac.lab.kubernetes.settings import Settings
from tests.cluster.objects import Objects
from tests.engine.conftest import stack  # noqa: F401

KUBECONFIG = Path("/tmp/ks/kas/kubeconfig")
COUNT = iter(range(1000))
import os

@pytest.fixture(scope="session")
def api():
    return KUBECONFIG.read_text()


@pytest.fixture
def objects(stack, api):
    cluster = open_cluster(Settings(kubeconfig=api))
    made = Objects(stack, cluster, api, f"t{os.getpid()}x{next(COUNT)}")
    yield made
    cluster.request("DELETE", f"/api/v1/namespaces/{made.namespace}")
