"""The lab as the configuration of stacks/cluster: its project, its stack file, its egress."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from loopback_iac.engine.passphrase import Crypter
from loopback_iac.lab.cluster.control import PODS, SERVICES
from loopback_iac.lab.cluster.node import node_address
from loopback_iac.lab.cluster.workload import CLASS, traefik_image
from loopback_iac.lab.paths import LabError, write_private
from loopback_iac.lab.stackconfig import PROJECT as EDGE
from loopback_iac.lab.templating import render
from loopback_iac.lab.topology import OPS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from subprocess import CompletedProcess

    from loopback_iac.lab.cluster.ground import Cluster

PROJECT = "loopback-cluster"
FOLDER, EGRESS_FILE = "stack", "egress.yaml"
_CHECKOUT = Path(__file__).parents[3]
_PLUGINS = _CHECKOUT / "loopback_iac/lab/plugins"
# the workstation is told of the edge's stack
_OWN = ("env", "--unset=LOOPBACK_CONFIG_FILE", "--unset=LOOPBACK_STATE_DIR")
_UP_S = 600


def prepare_stack(cluster: Cluster) -> Path:
    """
    Write what is not there: an operator may have changed it.

    Out: the project's folder, with its stack file and its state.
    """
    paths = cluster.lab.paths
    folder = paths.cluster / FOLDER
    folder.mkdir(exist_ok=True)
    # where a StackReference looks for the stack of the edge
    edge = folder / ".loopback" / EDGE / paths.name
    edge.parent.mkdir(parents=True, exist_ok=True)
    if not edge.is_symlink():
        edge.symlink_to(paths.stack_state)
    config = folder / f"Pulumi.{paths.name}.yaml"
    texts = {folder / "Pulumi.yaml": _render(_project())}
    if not config.exists():
        texts[config] = _render(_config(cluster, folder / EGRESS_FILE))
        declare_egress(cluster, [node.name for node in cluster.nodes])
    for path, text in texts.items():
        write_private(path, text, 0o644)
    return folder


def declare_egress(cluster: Cluster, nodes: Sequence[str]) -> None:
    """Write the egress of these nodes; the last of them is the gateway."""
    text = render(
        "cluster-egress.yaml.j2",
        nodes={name: node_address(cluster.lab.topology, name) for name in nodes},
        pods=PODS,
        services=SERVICES,
        api=cluster.plane.address,
    )
    write_private(cluster.lab.paths.cluster / FOLDER / EGRESS_FILE, text, 0o644)


def run_stack(cluster: Cluster, *words: str) -> CompletedProcess[str]:
    """Run a verb of `loopback` on the stack from the lab's workstation."""
    argv = [*_OWN, "loopback", *words, "-C", str(prepare_stack(cluster))]
    return cluster.lab.exec(OPS, argv, timeout_s=_UP_S)


def deploy_stack(cluster: Cluster) -> None:
    """
    Deploy stacks/cluster: Traefik behind the edge that is deployed, egress as declared.

    Raises: LabError with what `up` says.
    """
    done = run_stack(cluster, "up", "--yes")
    if done.returncode:
        raise LabError(f"stacks/cluster is not deployed:\n{done.stdout}{done.stderr.strip()}")


def _project() -> dict[str, Any]:
    plugins = ("command", "kubernetes")
    return {
        "name": PROJECT,
        "runtime": "python",
        "description": "stacks/cluster with the lab's stand-in plugins",
        "main": str(_CHECKOUT / "stacks/cluster"),
        "plugins": {"providers": [{"name": p, "path": str(_PLUGINS / p)} for p in plugins]},
    }


def _config(cluster: Cluster, egress: Path) -> dict[str, Any]:
    paths = cluster.lab.paths
    crypter = Crypter.create(paths.passphrase.read_text().strip())
    plain = {
        "edgeStack": f"organization/{EDGE}/{paths.name}",
        "ingress": {
            "controller": {"kind": "traefik", "image": traefik_image().reference},
            "class_name": CLASS,
        },
        "egress": str(egress),
    }
    config: dict[str, Any] = {f"{PROJECT}:{key}": value for key, value in plain.items()}
    secret = {"secure": crypter.encrypt(cluster.plane.kubeconfig.read_text())}
    return {
        "encryptionsalt": crypter.salt,
        "config": config | {f"{PROJECT}:kubeconfig": secret},
    }


def _render(tree: dict[str, Any]) -> str:
    return yaml.safe_dump(tree, sort_keys=False)
