"""Changing one value of a stack file; every other byte stays, comments and secrets too."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import yaml

from loopback_iac.engine.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from loopback_iac.engine.project import Project

_REMARK = re.compile(r"\A[ \t]+#[^\n]*")  # on the value's last line


def find_stack_file(project: Project, stack: str, config_file: Path | None) -> Path:
    """The file that a stack's configuration is read from."""
    return config_file or project.root / f"Pulumi.{stack}.yaml"


def replace_config(text: str, key: str, value: object) -> str:
    """
    The text of a stack file with one configuration value changed.

    In: key with its namespace; value, plain.
    Out: that value written anew in block style: comments inside it are lost, no others.
    Raises: UsageError when the file has no such key, or is written so that only a hand can edit it.
    """
    wanted = _load(text)
    keys = [key, key.partition(":")[2]]
    written = next((k for k in keys if k in (wanted.get("config") or {})), None)
    if written is None:
        raise UsageError(f"the stack file has no {key} to change")
    wanted["config"][written] = value
    name, node = _find(_find(yaml.compose(text, yaml.SafeLoader), "config")[1], written)
    block = yaml.safe_dump(value, sort_keys=False, default_flow_style=False, allow_unicode=True)
    if not isinstance(value, dict | list) or not value:
        new = f": {yaml.safe_dump(value, default_flow_style=True).splitlines()[0]}"
    else:
        margin = " " * (name.start_mark.column + 2)
        new = ":\n" + "\n".join(margin + line for line in block.rstrip("\n").split("\n"))
    rest = _REMARK.sub("", text[_end(node) :], count=1)
    changed = text[: name.end_mark.index] + new + rest
    try:
        fits = _load(changed) == wanted
    except UsageError:
        fits = False
    if not fits:
        raise UsageError(f"{key} is written in a form that is not edited here; change it by hand")
    return changed


def write_stack_file(path: Path, text: str) -> None:
    """Replace a stack file in one step; its mode and owner stay."""
    target = path.resolve()
    kept = target.stat()
    draft = target.with_name(f".{target.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.chown(draft, kept.st_uid, kept.st_gid)
    draft.chmod(kept.st_mode & 0o7777)
    draft.rename(target)


def _load(text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"the stack file is no YAML: {error}") from error
    return found if isinstance(found, dict) else {}


def _find(mapping: yaml.Node | None, key: str) -> tuple[yaml.Node, yaml.Node]:
    pairs = mapping.value if isinstance(mapping, yaml.MappingNode) else []
    found = [(name, node) for name, node in pairs if name.value == key]
    if len(found) != 1:
        raise UsageError(f"{key} stands {len(found)} times in the stack file")
    return found[0]


def _end(node: yaml.Node) -> int:
    """Where the last word of a value ends; a block's own mark stands at whatever follows it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    return end
