"""A real certificate authority issues over ACME: asked back through the edge, and over the DNS."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from loopback_iac.lab.drill.ground import Ground, LoadProcess, Pace
from tests.cluster.ingress.authority import BY_DNS, SITE, running_authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.ingress.authority import Authority

BY_HTTP, FROM_DNS = "site-acme", "dns-acme"
PATIENCE_S = 120


@pytest.fixture(scope="module")
def authority(cluster, tmp_path_factory) -> Iterator[Authority]:
    with running_authority(cluster, tmp_path_factory.mktemp("acme")) as running:
        # cert-manager waits a minute for a name to travel: meanwhile the rest is done
        running.request(FROM_DNS, BY_DNS)
        yield running


@pytest.fixture(scope="module")
def served(cluster, authority) -> Iterator[str]:
    """The site with a certificate of the authority; afterwards it has its own again."""
    authority.request(BY_HTTP, SITE)
    authority.await_issued(BY_HTTP)
    before = tls_of(cluster, BY_HTTP)
    yield authority.root()
    tls_of(cluster, before)


def tls_of(cluster, secret: str) -> str:
    """Have the Ingress serve a certificate; out: which it served before."""
    told = json.loads(cluster.kubectl("get", "ingress", "app", "-o", "json"))
    patch = [{"op": "replace", "path": "/spec/tls/0/secretName", "value": secret}]
    cluster.kubectl("patch", "ingress", "app", "--type=json", "-p", json.dumps(patch))
    return str(told["spec"]["tls"][0]["secretName"])


class Trusting(Ground):
    """A client that trusts the lab's CA and one more."""

    root = ""

    def plan(self, pace, seconds):
        plan = super().plan(pace, seconds)
        return {**plan, "ca_pem": plan["ca_pem"] + self.root}


def verified(site, root: str) -> bool:
    """Whether a client that trusts this root alone gets its answer."""
    site.lab.exec("c-fra", ["sh", "-c", "cat >/run/acme-root.pem"], root)
    return site.curl("c-fra", "--cacert", "/run/acme-root.pem").returncode == 0


def test_e11_a_certificate_is_issued_through_the_edge_and_served(site, authority, served):
    deadline = time.monotonic() + PATIENCE_S
    while not verified(site, served):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    # the authority came by the edge like anybody: to port 80 of the VIP, from its own address
    log = site.cluster.kubectl(
        "logs", "--namespace=ingress-edge", "--selector=app.kubernetes.io/name=traefik", "--tail=-1"
    )
    asked = [
        json.loads(line) for line in log.splitlines() if "/.well-known/acme-challenge/" in line
    ]
    own = {site.address("cp", family) for family in (4, 6)}
    assert asked
    assert {line["ClientHost"] for line in asked} <= own


def test_e11_a_certificate_is_renewed_under_load_and_no_request_fails(site, authority, served):
    before = authority.serial(BY_HTTP)
    ground = Trusting(site.lab, "c-fra")
    ground.__class__.root = served
    pace = Pace(rate=60, sample_every=1, streams=0, timeout_ms=5000)
    with LoadProcess(ground, pace, 300) as load:
        time.sleep(1)
        authority.renew(BY_HTTP)
        authority.await_issued(BY_HTTP, 2)
        time.sleep(5)
        records = load.finish()
    assert authority.serial(BY_HTTP) != before
    assert [a.outcome for a in records.attempts if a.failed] == []


def test_e11_a_certificate_is_issued_over_the_dns(authority, served):
    """By a key that can write TXT in the zone of challenges and nowhere else."""
    authority.await_issued(FROM_DNS)
    challenge = f"dns.example.net.{'acme.example.net'}"
    asked = authority.cluster.lab.exec(
        "svc2", ["kdig", "@198.18.250.12", "+short", "TXT", challenge]
    )
    # cert-manager took it away again
    assert asked.stdout.strip() == ""
