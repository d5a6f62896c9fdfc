"""Golden cases: a folder per property, its input, and the files as deployed or the problems.

fleet.yaml holds one of
  fleet, hosts, keys   a whole input (a key's name: host, or host/epoch), or
  base, set, remove    another case's input with changes, each under its dotted path
and, for what is compared,
  means                rejected: every "rule at path", in order
  compare              rendered: host -> patterns of paths (default: every file of every host)
  host                 a late host tree that parse_host is to refuse
"""

from __future__ import annotations

import copy
import difflib
import fnmatch
import os
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from loopback_iac.model import Host, InputRejected, parse_fleet, parse_host
from loopback_iac.render import HostFiles, render_pop, render_worker

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = Path(__file__).parent / "cases"
PROBLEMS = "problems.txt"
NAME = "edge"
TODAY = date(2026, 11, 21)
"""Declared facts hold or have expired on this day, whenever the tests run."""


@dataclass(frozen=True)
class Case:
    """One folder."""

    name: str
    fleet: dict[str, Any]
    hosts: dict[str, Any]
    keys: dict[str, str]
    means: list[str] = field(default_factory=list)
    compare: dict[str, list[str]] | None = None
    host: dict[str, Any] | None = None

    @property
    def folder(self) -> Path:
        return CASES / self.name

    @property
    def rejected(self) -> bool:
        return bool(self.means)


@cache
def _read(name: str) -> dict[str, Any]:
    """A folder's own words. libyaml: whoever collects tests reads every case six times."""
    text = (CASES / name / "fleet.yaml").read_text()
    tree: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return tree


def load(name: str) -> Case:
    tree = copy.deepcopy(_read(name))
    if "base" in tree:
        base = load(tree["base"])
        whole = {"fleet": base.fleet, "hosts": base.hosts, "keys": base.keys}
        whole = copy.deepcopy(whole)
        for path, value in tree.get("set", {}).items():
            owner, last = _owner(whole, path)
            owner[last] = value
        for path in tree.get("remove", []):
            owner, last = _owner(whole, path)
            del owner[last]
        tree = {**whole, **tree}
    rest = {key: tree[key] for key in ("means", "compare", "host") if key in tree}
    return Case(name, tree["fleet"], tree["hosts"], tree["keys"], **rest)


def _owner(whole: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *steps, last = path.split(".")
    here = whole if steps and steps[0] in {"hosts", "keys"} else whole["fleet"]
    for step in steps:
        here = here.setdefault(step, {})
    return here, last


def names(*, rejected: bool) -> list[str]:
    found = sorted(p.parent.name for p in CASES.glob("*/fleet.yaml"))
    return [name for name in found if bool(_read(name).get("means")) is rejected]


def render(case: Case) -> dict[str, HostFiles]:
    """Every host's files, as the real program makes them."""
    if case.host is not None:
        parse_host("pops.fra1.host", case.host)
    fleet = parse_fleet(NAME, case.fleet, TODAY)
    hosts: dict[str, Host] = {name: parse_host(name, tree) for name, tree in case.hosts.items()}
    keys = {}
    for name, key in case.keys.items():
        host, _, epoch = name.partition("/")
        keys[host, int(epoch or 1)] = key
    pops = {name: render_pop(fleet, name, hosts, keys) for name in fleet.pops}
    return pops | {name: render_worker(fleet, name, hosts, keys) for name in fleet.workers}


def texts(case: Case) -> dict[str, str]:
    """What is compared: path below the case's folder -> text."""
    found = {}
    for host, rendered in render(case).items():
        patterns = ["*"] if case.compare is None else case.compare.get(host, [])
        for path, file in rendered.files.items():
            if any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
                found[host + path] = file.text
    return found


def compare(folder: Path, actual: dict[str, str]) -> str:
    """Unified diff between a folder and what came out; leaves `.actual` beside what differs.

    With UPDATE_GOLDEN=1 the folder is rewritten instead, but never in CI.
    """
    expected = {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in ("fleet.yaml", "host.yaml")
        and path.suffix != ".actual"
    }
    if os.environ.get("UPDATE_GOLDEN") == "1":
        assert os.environ.get("CI") != "true", "UPDATE_GOLDEN rewrites expectations; not in CI"
        _rewrite(folder, expected, actual)
        return ""
    diff = []
    for path in sorted(expected.keys() | actual.keys()):
        want, got = expected.get(path, ""), actual.get(path, "")
        left = folder / f"{path}.actual"
        if (path in expected) == (path in actual) and want == got:
            left.unlink(missing_ok=True)
            continue
        if path in actual:
            left.parent.mkdir(parents=True, exist_ok=True)
            left.write_text(got)
        lines = difflib.unified_diff(
            want.splitlines(keepends=True), got.splitlines(keepends=True), path, f"{path}.actual"
        )
        diff += lines or [f"only one side has {path}\n"]
    return "".join(diff)


def _rewrite(folder: Path, expected: dict[str, str], actual: dict[str, str]) -> None:
    for path in expected.keys() - actual.keys():
        (folder / path).unlink()
    for path, text in actual.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    for left in folder.rglob("*.actual"):
        left.unlink()


def refused(folder: Path, means: list[str], parse: Callable[[], object]) -> None:
    """The input is rejected for what the case means, in the words that stand beside it."""
    with pytest.raises(InputRejected) as caught:
        parse()
    assert [f"{p.rule} at {p.path}" for p in caught.value.problems] == means
    diff = compare(folder, {PROBLEMS: f"{caught.value}\n"})
    assert not diff, f"\n{diff}"
