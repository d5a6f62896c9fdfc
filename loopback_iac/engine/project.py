"""Pulumi.yaml: which program, which Python, which plugins."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from loopback_iac.engine.errors import RefusedError, UsageError

_PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml")
# What of Pulumi.yaml is read here, and what may stand there without meaning to one run.
_READ = {"name", "runtime", "main", "plugins", "config"}
_INERT = {"description", "author", "website", "license", "stackConfigDir", "template", "backend"}
_REFUSED = {"packages": "packages: in Pulumi.yaml", "options": "options: in Pulumi.yaml"}


@dataclass(frozen=True, slots=True)
class Project:
    """One Pulumi.yaml, with every path made absolute."""

    name: str
    root: Path
    program: Path
    python: Path
    plugins: dict[str, Path] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)

    @property
    def work_dir(self) -> Path:
        """Where the program runs: its folder when `main` is one, else the project's."""
        return self.program if self.program.is_dir() else self.root


def find_project(start: Path) -> Path:
    """
    Find the project file like pulumi does: in this folder or the nearest one above.

    Raises: UsageError when there is none up to the root.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        for name in _PROJECT_FILES:
            if (folder / name).is_file():
                return folder / name
    raise UsageError(f"no Pulumi.yaml in {start} or above; change there, or name it with -C DIR")


def parse_project(start: Path) -> Project:
    """
    Read the project a folder belongs to.

    Raises: UsageError for what is wrong in the file, RefusedError for what is not supported.
    """
    path = find_project(start)
    raw = load_yaml(path)
    for key, feature in _REFUSED.items():
        if raw.get(key):
            raise RefusedError(feature)
    unknown = sorted(set(raw) - _READ - _INERT - set(_REFUSED))
    if unknown:
        raise UsageError(f"{path}: unknown keys {', '.join(unknown)}")
    name = raw.get("name")
    if not isinstance(name, str) or not name:
        raise UsageError(f"{path}: name: got {name!r}, need a text")
    root = path.parent
    return Project(
        name=name,
        root=root,
        program=_parse_main(raw.get("main"), root),
        python=_parse_runtime(raw.get("runtime"), path),
        plugins=_parse_plugins(raw.get("plugins"), root),
        defaults=_parse_defaults(raw.get("config"), name),
    )


def load_yaml(path: Path) -> dict[str, Any]:
    """
    Read a YAML mapping.

    Raises: UsageError when the file cannot be read or is no mapping.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise UsageError(f"{path}: got a {type(loaded).__name__}, need a mapping")
    return loaded


def _parse_main(main: object, root: Path) -> Path:
    program = root / str(main) if main else root
    if program.is_dir() and not (program / "__main__.py").is_file():
        raise UsageError(f"{program}: no __main__.py; set `main:` in Pulumi.yaml")
    if not program.exists():
        raise UsageError(f"main: {program} does not exist")
    return program.resolve()


def _parse_runtime(runtime: object, path: Path) -> Path:
    """The interpreter of the program: the named virtualenv, else the one that runs us."""
    name = runtime
    options: dict[str, object] = {}
    if isinstance(runtime, dict):
        name, options = runtime.get("name"), runtime.get("options") or {}
    if name != "python":
        raise RefusedError(f"runtime {name!r}", f"{path} needs `runtime: python`")
    if options.get("typechecker"):
        raise RefusedError("runtime option `typechecker`", "run it in CI")
    virtualenv = options.get("virtualenv")
    if not virtualenv:
        return Path(sys.executable)
    python = path.parent / str(virtualenv) / "bin" / "python"
    if not python.exists():
        raise UsageError(
            f"{path}: runtime.options.virtualenv: no {python}; create it, or leave the option out"
            f" to use {sys.executable}"
        )
    # Not resolved: a virtualenv's python is a link, and its path is what selects the virtualenv.
    return python.absolute()


def _parse_plugins(plugins: object, root: Path) -> dict[str, Path]:
    if not plugins:
        return {}
    if not isinstance(plugins, dict):
        raise UsageError("Pulumi.yaml: plugins: need a mapping with `providers`")
    other = sorted(set(plugins) - {"providers"})
    if other:
        raise RefusedError(f"plugins.{other[0]} in Pulumi.yaml")
    found: dict[str, Path] = {}
    for entry in plugins.get("providers") or []:
        if not isinstance(entry, dict) or not {"name", "path"} <= set(entry):
            raise UsageError(f"Pulumi.yaml: plugins.providers: {entry!r} needs `name` and `path`")
        folder = (root / str(entry["path"])).resolve()
        if not folder.is_dir():
            raise UsageError(
                f"parsing plugin options for {entry['name']!r}: no folder at path {entry['path']!r}"
            )
        found[str(entry["name"])] = folder
    return found


def _parse_defaults(config: object, project: str) -> dict[str, Any]:
    """`config:` of Pulumi.yaml: values every stack has unless it says otherwise."""
    if not isinstance(config, dict):
        return {}
    found: dict[str, Any] = {}
    for key, entry in config.items():
        full = key if ":" in key else f"{project}:{key}"
        if not isinstance(entry, dict):
            found[full] = entry
        elif "value" in entry or "default" in entry:
            found[full] = entry.get("value", entry.get("default"))
    return found
