"""Finding provider plugins: `plugins:` of Pulumi.yaml, then $PULUMI_HOME/plugins."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from loopback_iac.engine.errors import EngineError, RefusedError, UsageError
from loopback_iac.engine.processes import Command
from loopback_iac.engine.project import load_yaml

if TYPE_CHECKING:
    from loopback_iac.engine.project import Project


class PluginAbsentError(EngineError):
    """No plugin for a package is installed."""


def find_plugin(project: Project, package: str, version: str) -> Command:
    """
    Find the plugin that serves a package.

    In: version: as the SDK asks for it; a plugin named in Pulumi.yaml serves every version.
    Raises: PluginAbsentError when there is none (nothing is ever downloaded).
    """
    folder = project.plugins.get(package)
    if folder is None:
        folder = _find_installed(package, version)
    if folder is None:
        wanted = f"{package}-v{version}" if version else package
        raise PluginAbsentError(
            f"no resource plugin {wanted!r} found in plugins.providers of"
            f" {project.root / 'Pulumi.yaml'} or in {_plugin_home()}; install it there"
        )
    return _read_folder(folder, package, project)


def _plugin_home() -> Path:
    home = os.environ.get("PULUMI_HOME")
    return (Path(home) if home else Path.home() / ".pulumi") / "plugins"


def _find_installed(package: str, version: str) -> Path | None:
    home = _plugin_home()
    if version:
        exact = home / f"resource-{package}-v{version}"
        return exact if _is_complete(exact) else None
    found = [path for path in home.glob(f"resource-{package}-v*") if _is_complete(path)]
    return max(found, key=_version_key, default=None)


def _is_complete(folder: Path) -> bool:
    # pulumi leaves NAME.partial beside a folder whose unpacking was cut short
    return folder.is_dir() and not folder.with_name(folder.name + ".partial").exists()


def _version_key(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.name.rpartition("-v")[2]))


def _read_folder(folder: Path, package: str, project: Project) -> Command:
    binary = folder / f"pulumi-resource-{package}"
    if binary.is_file():
        return Command(project.python, "exec", str(binary))
    manifest = folder / "PulumiPlugin.yaml"
    if not manifest.is_file():
        raise UsageError(f"{folder}: neither {binary.name} nor PulumiPlugin.yaml in it")
    return Command(read_python(manifest, project.python), "path", str(folder))


def read_python(manifest: Path, default: Path) -> Path:
    """
    The interpreter a PulumiPlugin.yaml or PulumiPolicy.yaml asks for.

    In: default: taken when it names no virtualenv.
    Raises: RefusedError for another runtime, UsageError when the virtualenv does not exist.
    """
    runtime = load_yaml(manifest).get("runtime")
    name = runtime.get("name") if isinstance(runtime, dict) else runtime
    if name != "python":
        raise RefusedError(f"runtime {name!r} of {manifest}", "a plugin needs `runtime: python`")
    options = (runtime.get("options") or {}) if isinstance(runtime, dict) else {}
    if not options.get("virtualenv"):
        return default
    python = (manifest.parent / str(options["virtualenv"]) / "bin" / "python").absolute()
    if not python.exists():
        raise UsageError(f"{manifest}: runtime.options.virtualenv: no {python}")
    return python
