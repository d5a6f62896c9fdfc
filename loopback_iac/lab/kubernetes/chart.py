"""A chart as helm renders it: `helm template`, with the kinds and the version of the cluster."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.kubernetes.manifests import ManifestError
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopback_iac.engine.values import Values

_TIMEOUT_S = 120
# what fetches, verifies or runs something else is the real plugin's
_REFUSED = (
    "repositoryOpts", "devel", "dependencyUpdate", "verify", "keyring", "postRenderer",
    "plainHttp", "valueYamlFiles",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Where the objects go: what helm asks a cluster."""

    namespace: str
    version: str
    kinds: Sequence[str]


def check_chart(inputs: Values) -> None:
    """
    Refuse what the stand-in does not do.

    Raises: ManifestError.
    """
    given = [key for key in _REFUSED if inputs.get(key)]
    if given:
        raise ManifestError(f"this stand-in does not have {', '.join(given)} of a chart")
    chart = str(inputs.get("chart") or "")
    if not Path(chart).exists():
        raise ManifestError(
            f"chart: got {chart!r}; this stand-in fetches nothing: give a folder or a .tgz"
        )


def render_chart(name: str, inputs: Values, target: Target) -> str:
    """
    The manifest of a chart, hooks left out; its `lookup` finds nothing.

    In: name, of the release; values go by standard input, for they may be secret.
    Raises: ManifestError with helm's words.
    Sources: pulumi-kubernetes provider/pkg/provider/helm/v4/chart.go.
    """
    check_chart(inputs)
    arguments = [str(_find_helm()), "template", name, str(inputs["chart"]), "--no-hooks"]
    arguments += ["--namespace", target.namespace, "--kube-version", target.version]
    arguments += [word for kind in target.kinds for word in ("--api-versions", kind)]
    arguments += [] if inputs.get("skipCrds") else ["--include-crds"]
    if inputs.get("version"):
        arguments += ["--version", str(inputs["version"])]
    with tempfile.TemporaryDirectory() as home:
        places = {f"HELM_{word}_HOME": f"{home}/{word}" for word in ("CACHE", "CONFIG", "DATA")}
        try:
            done = subprocess.run(
                [*arguments, "--values", "-"],
                input=json.dumps(inputs.get("values") or {}),
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
                env={"PATH": os.environ.get("PATH", ""), "HOME": home, **places},
            )
        except subprocess.TimeoutExpired as error:
            raise ManifestError(f"helm template: no end after {_TIMEOUT_S} s") from error
    if done.returncode:
        raise ManifestError(f"helm template: {done.stderr.strip()}")
    return done.stdout


def _find_helm() -> Path:
    try:
        return binary("helm")
    except LabError as error:
        raise ManifestError(str(error)) from error
