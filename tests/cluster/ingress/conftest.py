"""One booted fleet with a cluster on its workers, Traefik and an application in it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loopback_iac.cli.lab_cluster import populate
from loopback_iac.lab import bring_up
from loopback_iac.lab.drill.ground import Ground, LoadProcess, Pace
from loopback_iac.lab.drill.patience import be_patient
from tests.lab.conftest import fresh_lab, only_run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from loopback_iac.lab import Lab
    from loopback_iac.lab.cluster.ground import Cluster
    from loopback_iac.lab.drill.measure import Records

NAME, HERE = "ingress", Path(__file__).parent
VIPS = {4: "203.0.113.10", 6: "[2001:db8:100::10]"}
CA = "/etc/ssl/certs/loopback-lab-ca.pem"
PATIENCE_S = 120


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Freshly booted; LOOPBACK_TEST_LAB names one that stands, for whoever writes a test."""
    if standing := os.environ.get("LOOPBACK_TEST_LAB"):
        yield bring_up(standing, "cluster")[0]
        return
    with only_run(NAME, HERE):
        yield from fresh_lab(NAME, "cluster")


@pytest.fixture(scope="session")
def cluster(lab: Lab) -> Cluster:
    """As `loopback lab up --cluster` leaves it, with patient timers."""
    be_patient(lab.paths)
    return populate(lab, lambda _step, _done, _total: None)


class Site:
    """The application as clients of the edge meet it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.lab = cluster, cluster.lab

    def curl(
        self, client: str, *words: str, family: int = 4, scheme: str = "https"
    ) -> subprocess.CompletedProcess[str]:
        port = {"https": 443, "http": 80}[scheme]
        argv = ["curl", "--silent", "--show-error", "--max-time", "5", "--cacert", CA]
        argv += ["--resolve", f"www.example.net:{port}:{VIPS[family]}"]
        return self.lab.exec(client, [*argv, *words, f"{scheme}://www.example.net/"])

    def ask(self, client: str, *words: str, family: int = 4, scheme: str = "https") -> dict:
        """What the application says it saw."""
        done = self.curl(client, *words, family=family, scheme=scheme)
        assert done.returncode == 0, done.stderr
        answer: dict = json.loads(done.stdout)
        return answer

    def address(self, client: str, family: int = 4) -> str:
        end = self.lab.topology.uplink(client)
        return str((end.v4 if family == 4 else end.v6).ip)

    def under_load(
        self, act: Callable[[], object], rate: int = 60, full: int = 2, most_s: int = 240
    ) -> Records:
        """Records of clients that ask from before `act` until after it."""
        pace = Pace(rate=rate, sample_every=full, streams=0, timeout_ms=5000)
        with LoadProcess(Ground(self.lab, "c-fra"), pace, most_s) as load:
            time.sleep(1)
            act()
            time.sleep(1)
            return load.finish()

    def settle(self) -> None:
        """Wait until every worker has a part of new connections again."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            shown = self.lab.exec("fra1", ["sh", "-c", _SERVERS]).stdout.split()
            if len(shown) > 1 and set(shown) == {"UP"}:
                return
            assert time.monotonic() < deadline, shown
            time.sleep(0.5)


_SERVERS = (
    "echo show stat | nc -U /run/haproxy/admin.sock"
    " | awk -F, '$1 == \"web.https\" && $2 ~ /^w/ {print $18}'"
)


@pytest.fixture
def site(cluster: Cluster) -> Iterator[Site]:
    made = Site(cluster)
    made.settle()
    yield made
    made.settle()
