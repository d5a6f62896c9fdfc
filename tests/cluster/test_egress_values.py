"""Values for Cilium's chart as the real helm renders them: what agents are told, here and there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from loopback_iac.kube import parse_egress, render_values
from loopback_iac.kube.helm_values import DEFAULTS, DEMANDS, DUAL, ENFORCED, REFUSED
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.cilium_agent import Agent
from loopback_iac.lab.kubernetes.chart import Target, render_chart
from loopback_iac.lab.kubernetes.manifests import parse_manifest
from loopback_iac.lab.paths import InstancePaths

DECLARED = Path(__file__).parent / "egress_agents.yaml"
CLUSTER = Target("kube-system", "v1.36.3", ("v1", "apps/v1", "batch/v1"))
OF_THE_LAB = {
    "k8s-kubeconfig-path": "no service account is mounted",
    "lib-dir": "no image",
    "state-dir": "no image",
    "ipam": "no operator hands out networks",
    "devices": "a namespace has one; elsewhere the agent finds them",
    "enable-l7-proxy": "no Envoy",
    "enable-health-checking": "no second way to two agents",
    "enable-endpoint-health-checking": "the same",
    "hubble-disable-tls": "nobody makes certificates",
    "hubble-export-file-path": "tests read it from outside",
    "hubble-export-file-max-backups": "less is enough",
}
"""Flags that the lab's agents have otherwise than the chart says, and why."""
NEEDED = {
    "kube-proxy-replacement": "true",
    "enable-bpf-masquerade": "true",
    "enable-ipv4-masquerade": "true",
    "enable-egress-gateway": "true",
    "egress-gateway-reconciliation-trigger-interval": "100ms",
    "identity-allocation-mode": "crd",
    "enable-hubble": "true",
    "hubble-export-file-path": "/var/run/cilium/hubble/events.log",
    "hubble-export-file-max-size-mb": "100",
    "hubble-export-file-max-backups": "10",
    "hubble-export-file-compress": "true",
    "hubble-network-policy-correlation-enabled": "true",
    "hubble-redact-enabled": "true",
    "hubble-redact-http-urlquery": "true",
}


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """The chart's configuration of an agent."""
    values = render_values(parse_egress(str(DECLARED), DECLARED.read_text()))
    inputs: dict[str, Any] = {"chart": str(binary("cilium-chart")), "values": values}
    things = parse_manifest(render_chart("cilium", inputs, CLUSTER))
    (found,) = (
        each["data"]
        for each in things
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "cilium-config"
    )
    return dict(found)


def test_agents_of_the_lab_are_told_what_the_chart_tells_them(
    told: dict[str, str], tmp_path: Path
) -> None:
    agent = Agent(InstancePaths("values"), "c1", 1, tmp_path)
    here = agent.options(tmp_path)
    other = {flag for flag, value in here.items() if told.get(flag) != value}
    assert other == set(OF_THE_LAB)


def test_what_egress_needs_arrives_at_the_agent(told: dict[str, str]) -> None:
    assert {flag: told.get(flag) for flag in NEEDED} == NEEDED
    assert "enable-cilium-endpoint-slice" not in told


def test_every_value_is_one_of_the_charts() -> None:
    folder = binary("cilium-chart")
    chart = yaml.safe_load((folder / "values.yaml").read_text())
    demands = (*DEMANDS, *DUAL, *ENFORCED, *REFUSED)
    absent: list[str] = []
    for path in (*(demand.path for demand in demands), *DEFAULTS):
        here: Any = chart
        for step in path.split("."):
            here = here.get(step, absent) if isinstance(here, dict) else absent
        if here is absent:
            absent.append(path)
    # one that the chart has no default of
    assert absent == ["policyAuditMode"]
    assert ".Values.policyAuditMode" in (folder / "templates/cilium-configmap.yaml").read_text()
