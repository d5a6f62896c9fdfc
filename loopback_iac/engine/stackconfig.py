"""A stack's configuration: Pulumi.<stack>.yaml as a program receives it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopback_iac.engine.errors import UsageError
from loopback_iac.engine.passphrase import Crypter, PassphraseError
from loopback_iac.engine.project import Project, load_yaml

_INERT = {"config", "encryptionsalt"}


@dataclass(frozen=True, slots=True)
class StackConfig:
    """Values as text, as Pulumi hands them to programs; `missing` have no readable value."""

    values: dict[str, str] = field(default_factory=dict)
    secret_keys: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    salt: str = ""

    def namespace(self, package: str) -> dict[str, str]:
        """The values of one package (`hcloud:token` -> `token`): a default provider's inputs."""
        return {
            key.split(":", 1)[1]: value
            for key, value in self.values.items()
            if key.startswith(f"{package}:")
        }


def read_passphrase() -> str | None:
    """
    The passphrase from the environment, as pulumi reads it.

    Out: None when neither PULUMI_CONFIG_PASSPHRASE nor PULUMI_CONFIG_PASSPHRASE_FILE is set.
    Raises: UsageError when the file cannot be read.
    """
    passphrase = os.environ.get("PULUMI_CONFIG_PASSPHRASE")
    if passphrase is not None:
        return passphrase
    path = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise UsageError(f"PULUMI_CONFIG_PASSPHRASE_FILE: {error}") from error


def load_stack_file(project: Project, stack: str, config_file: Path | None) -> dict[str, Any]:
    """
    Read the stack file, checked for what this engine knows.

    In: config_file: instead of Pulumi.<stack>.yaml beside Pulumi.yaml.
    Raises: UsageError when a named file is absent or holds something unknown.
    """
    path = config_file or project.root / f"Pulumi.{stack}.yaml"
    if not path.exists():
        if config_file is not None:
            raise UsageError(f"--config-file: {config_file} does not exist")
        return {}
    raw = load_yaml(path)
    if raw.get("secretsprovider") not in (None, "passphrase"):
        raise UsageError(f"{path}: secretsprovider {raw['secretsprovider']!r}; need passphrase")
    unknown = sorted(set(raw) - _INERT - {"secretsprovider"})
    if unknown:
        raise UsageError(f"{path}: {', '.join(unknown)}: the embedded engine does not read this")
    return raw


def parse_stack_config(
    raw: dict[str, Any], project: Project, crypter: Crypter | None
) -> StackConfig:
    """
    Turn a stack file into what the program gets.

    In: crypter: None when no passphrase is at hand; secure values are then `missing`.
    Raises: UsageError with every key that cannot be decrypted.
    """
    values: dict[str, str] = {}
    secret: set[str] = set()
    missing: set[str] = set()
    problems: list[str] = []
    entries = {**project.defaults, **(raw.get("config") or {})}
    for key, entry in entries.items():
        full = key if ":" in key else f"{project.name}:{key}"
        if _has_secure(entry):
            secret.add(full)
            if crypter is None:
                missing.add(full)
                continue
        try:
            values[full] = _render_value(_open_secure(entry, crypter))
        except PassphraseError as error:
            problems.append(f"  {full}: {error}")
    if problems:
        raise UsageError("config values cannot be decrypted:\n" + "\n".join(problems))
    return StackConfig(
        values=values,
        secret_keys=frozenset(secret),
        missing=frozenset(missing),
        salt=str(raw.get("encryptionsalt") or ""),
    )


def _is_secure(entry: object) -> bool:
    return isinstance(entry, dict) and set(entry) == {"secure"} and isinstance(entry["secure"], str)


def _has_secure(entry: object) -> bool:
    if _is_secure(entry):
        return True
    if isinstance(entry, dict):
        return any(_has_secure(item) for item in entry.values())
    return isinstance(entry, list) and any(_has_secure(item) for item in entry)


def _open_secure(entry: Any, crypter: Crypter | None) -> Any:  # noqa: ANN401  # a YAML node
    if _is_secure(entry):
        if crypter is None:
            raise PassphraseError("secure value without a passphrase")
        return crypter.decrypt(entry["secure"])
    if isinstance(entry, dict):
        return {str(key): _open_secure(item, crypter) for key, item in entry.items()}
    if isinstance(entry, list):
        return [_open_secure(item, crypter) for item in entry]
    return entry


def _render_value(value: object) -> str:
    """A scalar as text, an object as JSON: a program gets nothing but texts."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), default=str)
