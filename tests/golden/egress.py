"""Golden egress: a folder each, with what is declared or written by hand, and what becomes of it.

fleet.yaml holds one of
  egress              a whole file
  base, set, remove   another case's file with changes, each under its path, steps divided by /
  text                the file's own text, where its form matters
  manifests           CiliumEgressGatewayPolicy as somebody wrote them
and
  flows               records of Hubble, in a short form, that an audit is made of
  means               rejected: every "rule at path", in order
"""

from __future__ import annotations

import copy
import io
import json
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from loopback_iac.kube import (
    Egress,
    check_manifests,
    parse_egress,
    render_cilium,
    render_kube_vip,
    render_values,
    render_yaml,
)
from loopback_iac.kube.audit import Audit
from loopback_iac.kube.flows import Reading, read_flows
from loopback_iac.kube.verdicts import audit_tree
from loopback_iac.model import InputRejected

CASES = Path(__file__).parent / "egress"
TODAY = date(2026, 11, 21)


@dataclass(frozen=True)
class Case:
    """One folder."""

    name: str
    egress: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    manifests: list[Any] = field(default_factory=list)
    flows: list[dict[str, Any]] = field(default_factory=list)
    means: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return CASES / self.name

    def read(self) -> Egress:
        """What is declared, or everything that is wrong."""
        if self.manifests:
            raise InputRejected("policies.yaml", check_manifests(self.manifests))
        text = self.text or yaml.safe_dump(self.egress, sort_keys=False)
        return parse_egress("egress.yaml", text)


@cache
def _tree(name: str) -> dict[str, Any]:
    return yaml.safe_load((CASES / name / "fleet.yaml").read_text())


def load(name: str) -> Case:
    tree = copy.deepcopy(_tree(name))
    if "base" in tree:
        whole = copy.deepcopy(load(tree["base"]).egress)
        for path, value in tree.get("set", {}).items():
            owner, last = _owner(whole, path)
            owner[last] = value
        for path in tree.get("remove", []):
            owner, last = _owner(whole, path)
            del owner[last]
        tree["egress"] = whole
    kept = ("egress", "text", "manifests", "flows", "means")
    return Case(name, **{key: tree[key] for key in kept if key in tree})


def _owner(whole: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *steps, last = path.split("/")
    here = whole
    for step in steps:
        here = here.setdefault(step, {})
    return here, last


def names(*, rejected: bool) -> list[str]:
    found = sorted(p.parent.name for p in CASES.glob("*/fleet.yaml"))
    return [name for name in found if bool(load(name).means) is rejected]


def export(flows: list[dict[str, Any]]) -> bytes:
    """Records as Hubble's exporter writes them, of the short form: one second after the other."""
    return b"".join(
        json.dumps(record(at, short)).encode() + b"\n" for at, short in enumerate(flows)
    )


def record(at: int, short: dict[str, Any]) -> dict[str, Any]:
    """One record of Hubble; the short form: from, to, via, pod, labels, and what else differs."""
    if "raw" in short:
        return short["raw"]
    namespace = short.get("namespace", "")
    labels = [f"k8s:{key}={value}" for key, value in short.get("labels", {}).items()]
    if namespace:
        labels.append(f"k8s:io.kubernetes.pod.namespace={namespace}")
    source = {"identity": 4711, "namespace": namespace, "labels": labels}
    if "pod" in short:
        source |= {"pod_name": short["pod"], "workloads": [{"name": "web", "kind": "Deployment"}]}
    protocol, _, port = short.get("service", "tcp:443").partition(":")
    l4 = {protocol.upper(): {"source_port": 40000, "destination_port": int(port)}} if port else {}
    ip = {"source": short["from"], "destination": short["to"], "ipVersion": "IPv4"}
    if "via" in short:
        ip["source_xlated"] = short["via"]
    # protobuf writes as many digits of a second as it needs
    time = f"2026-11-20T10:{at // 60:02}:{at % 60:02}{'' if at % 2 else '.5'}Z"
    flow = {
        "time": time,
        "verdict": short.get("verdict", "FORWARDED"),
        "IP": ip,
        "l4": l4,
        "source": source,
        "destination": {"identity": 2, "labels": short.get("at", ["reserved:world"])},
        "Type": "L3_L4",
        "node_name": short.get("node", "w1"),
        "trace_observation_point": short.get(
            "point", "TO_NETWORK" if "via" in short else "TO_STACK"
        ),
        "destination_names": short.get("names", []),
    }
    if "because" in short:
        flow["drop_reason_desc"] = short["because"]
    if "reply" in short:
        flow["is_reply"] = short["reply"]
    return {"flow": flow, "node_name": flow["node_name"], "time": time}


def audited(case: Case, rows: int = 1000) -> dict[str, Any]:
    """What an audit of the case's flows comes to."""
    audit, reading = Audit(case.read(), TODAY, rows), Reading("events.log")
    for flow in read_flows(io.BytesIO(export(case.flows)), reading):
        audit.add(flow)
    declared = {"file": "egress.yaml", "sha256": "", "commit": None}
    return audit_tree(audit, [reading], declared)


def texts(case: Case) -> dict[str, str]:
    """Manifests, values, and the audit where there are flows."""
    egress = case.read()
    if case.flows:
        return {"audit.json": json.dumps(audited(case), indent=2) + "\n"}
    if egress.backend == "kube-vip":
        return {"manifests.yaml": render_yaml(render_kube_vip(egress))}
    return {
        "manifests.yaml": render_yaml(render_cilium(egress)),
        "values.yaml": render_yaml([render_values(egress)]),
    }
