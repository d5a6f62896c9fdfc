"""`loopback lab up --cluster`: the fleet with a real Kubernetes cluster behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from loopback_iac.cli.demo import PROJECT
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from loopback_iac.lab import Lab
    from loopback_iac.lab.cluster.ground import Cluster
    from loopback_iac.lab.instance import Report

NEEDED = ("labkube", "kubectl", "kubelet", "labapp", "traefik", "cilium-crds")
_talk = Console(stderr=True, highlight=False, soft_wrap=True)


def foretell() -> None:
    """Say what a cluster changes on this machine, before anything is done."""
    from loopback_iac.lab.cluster.sysctls import ROOM, read_setting  # noqa: PLC0415 - as in lab.py

    for name, least in ROOM.items():
        now = read_setting(name) or "0"
        if int(now) < least:
            _talk.print(
                f"this machine, while the cluster stands: {name} {now} becomes {least};"
                " `loopback lab down` puts it back"
            )
    _talk.print("this machine otherwise: nothing but the lab's own namespaces, cgroups and files")


def build(report: Report) -> None:
    """Build the programs that are not built yet: for all of them 45 minutes of a processor."""
    from loopback_iac.lab.cluster.binaries import build as build_all  # noqa: PLC0415 - as above

    build_all(NEEDED, report)


def populate(lab: Lab, report: Report) -> Cluster:
    """
    Start the cluster of a lab that is up, deploy the edge, then both ends and an application.

    Raises: LabError naming what did not come up.
    """
    from loopback_iac.lab.cluster import stack, workload  # noqa: PLC0415 - as above
    from loopback_iac.lab.cluster.ground import open_cluster  # noqa: PLC0415 - as above
    from loopback_iac.lab.cluster.images import app_image  # noqa: PLC0415 - as above

    report("control plane and nodes", 0, 1)
    cluster = open_cluster(lab)
    cluster.up([app_image(), workload.traefik_image()])
    report("the edge: loopback up -C stacks/edge", 0, 1)
    deploy_edge(lab)
    report("both ends: loopback up of stacks/cluster", 0, 1)
    workload.define_egress(cluster)
    stack.deploy_stack(cluster)
    report("an application", 0, 1)
    workload.deploy_app(cluster)
    return cluster


def deploy_edge(lab: Lab) -> None:
    """
    Deploy the demonstration program from the lab's workstation.

    Raises: LabError with what `up` says.
    """
    done = lab.exec("ops", ["loopback", "up", "-C", str(PROJECT), "--yes"], timeout_s=600)
    if done.returncode:
        raise LabError(f"stacks/edge is not deployed:\n{done.stderr.strip()}")


def tell(cluster: Cluster, name: str) -> None:
    """Say how to look at it."""
    from loopback_iac.lab.cluster.workload import ASK  # noqa: PLC0415 - as above

    which = "" if name == "lab" else f" --name {name}"
    _talk.print("the cluster is ready:")
    _talk.print(f"  kubeconfig           {cluster.plane.kubeconfig}")
    _talk.print(f"  its nodes            loopback lab exec{which} -- kubectl get nodes -o wide")
    _talk.print(f"  a client asks        loopback lab exec{which} --host c-fra -- {ASK}")
    _talk.print(f"  all of it goes       loopback lab down{which}")
    typer.echo(cluster.plane.kubeconfig)
