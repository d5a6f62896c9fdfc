"""An incident's folder: versions are added whole, one at a time, and never changed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopback_iac.incident import (
    FOLDER,
    PAGE,
    TREE,
    Version,
    digest_of,
    folder_name,
    make_draft,
    newest,
    render_json,
    render_page,
    verify_chain,
)
from loopback_iac.model import problems_text

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from loopback_iac.incident import Evidence, Facts, Stage

# who reads of an incident before it is told is decided by people, not by a umask
PRIVATE = 0o700


class ChainBrokenError(Exception):
    """A version is missing or altered; nothing was written."""


@dataclass(frozen=True)
class Order:
    """What is to be drafted, from what, by which templates (None: ours)."""

    facts: Facts
    evidence: Sequence[Evidence]
    stage: Stage
    now: dt.datetime
    facts_sha256: str
    templates: Path | None = None


@dataclass(frozen=True)
class Kept:
    """A version as it was written."""

    place: Path
    tree: dict[str, Any]
    sha256: str


def read_versions(folder: Path) -> list[Version]:
    """Every version in a folder, by number; other files are left alone."""
    names = [path.name for path in folder.iterdir() if FOLDER.fullmatch(path.name)]
    names.sort(key=lambda name: (int(name.partition("-")[0]), name))
    return [
        Version(name, _content(folder / name / TREE), _content(folder / name / PAGE))
        for name in names
    ]


def keep_version(out: Path, order: Order) -> Kept:
    """Draft the next version and write it, whole or not at all.

    Raises: ChainBrokenError; InputRejected of a template; OSError.
    """
    facts = order.facts
    folder = out / facts.id
    folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
    with _alone(folder):
        versions = read_versions(folder)
        problems = verify_chain(facts.id, versions)
        if problems:
            raise ChainBrokenError(problems_text(str(folder), tuple(problems)))
        tree = make_draft(facts, order.evidence, order.stage, order.now, newest(versions))
        page = render_page(tree, order.templates)
        text = page.text.encode()
        tree |= {
            "facts_sha256": order.facts_sha256,
            "template": {"name": page.template, "sha256": page.sha256},
            "page_sha256": digest_of(text),
        }
        content = render_json(tree).encode()
        place = folder / folder_name(tree["version"], order.stage)
        _write(folder, place, {TREE: content, PAGE: text})
    return Kept(place, tree, digest_of(content))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two drafts at once would be one version twice; the lock ends with whoever holds it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(folder: Path, place: Path, files: dict[str, bytes]) -> None:
    """Beside it first: a version that is there is complete."""
    beside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    try:
        for name, content in files.items():
            with (beside / name).open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        beside.rename(place)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        raise
