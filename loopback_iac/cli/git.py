"""What git says of the program that was deployed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from loopback_iac.cli.running import refuse
from loopback_iac.evidence import Commit, Person

PARTS = ("%H", "%T", "%s", "%an", "%ae", "%aI", "%cn", "%ce", "%cI")
STATE = ":(exclude,glob)**/.loopback/**"
"""States that lie beside programs are what was deployed, not what from."""


def read_commit(folder: Path, besides: Path) -> Commit:
    """
    The commit a folder stands at, and how many paths differ from it.

    In: besides, a folder that does not count: evidence is written where it is kept.
    """
    top = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    told = _git(folder, "log", "-1", f"--format={'%x00'.join(PARTS)}").rstrip("\n").split("\0")
    head, tree, subject, author, author_email, written, committer, email, committed = told
    left_out = [STATE]
    if besides.resolve().is_relative_to(top):
        left_out.append(f":(exclude,top){besides.resolve().relative_to(top)}")
    differing = _git(top, "status", "--porcelain", "-uall", "--", ".", *left_out).splitlines()
    return Commit(
        head,
        tree,
        subject,
        Person(author, author_email, written),
        Person(committer, email, committed),
        len(differing),
    )


def file_commit(path: Path) -> dict[str, object] | None:
    """
    The last commit that changed a file, and whether the file differs from it.

    Out: None where no git knows the file; nothing is refused for that.
    """
    env = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"}
    told = []
    for argv in (
        ("log", "-1", "--format=%H%x00%an%x00%cI", "--", path.name),
        ("status", "--porcelain", "--", path.name),
    ):
        try:
            done = subprocess.run(
                ["git", "-C", str(path.resolve().parent), *argv],
                capture_output=True,
                text=True,
                env=env,
                check=False,
            )
        except FileNotFoundError:
            return None
        told.append(done.stdout.strip())
        if done.returncode or not told[0]:
            return None
    commit, author, committed = told[0].split("\0")
    return {"id": commit, "author": author, "committed": committed, "altered": bool(told[1])}


def _git(folder: Path, *argv: str) -> str:
    # it may be called while somebody else works there, so it takes no lock
    env = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *argv], capture_output=True, text=True, env=env, check=False
        )
    except FileNotFoundError:
        refuse("git is not installed\n  fix: apt install git, or --no-git", 2)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        refuse(
            f"{folder.resolve()}: git has no commit of it ({said[-1] if said else argv[0]})\n"
            "  fix: commit the program, or --no-git; the manifest then says that nobody knows",
            2,
        )
    return done.stdout
