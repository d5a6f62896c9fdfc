"""Running commands where they belong: in the workstation's network, or inside a host."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from loopback_iac.lab import cgroups
from loopback_iac.lab.namespaces import enter, exists, workstation_environment
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.topology import OPS

if TYPE_CHECKING:
    from loopback_iac.lab.paths import InstancePaths

_HOST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def inside(paths: InstancePaths, host: str) -> list[str]:
    """
    Argv prefix that runs a command as root of a running host.

    Out: prefix that enters all namespaces of its PID 1, with a root's plain environment.
    Raises: LabError when the host does not run.
    """
    pid = cgroups.leader(paths, host)
    if pid is None:
        raise LabError(
            f"{host} of lab {paths.name!r} does not run\n  fix: loopback lab up --name {paths.name}"
        )
    terminal = os.environ.get("TERM", "dumb")
    return [
        *("nsenter", f"--target={pid}", "--all", "--root", "--wd", "--"),
        # nsenter keeps every capability, and the clock of a host is the machine's own
        *("setpriv", "--bounding-set=-sys_time", "--"),
        *("env", "-i", f"PATH={_HOST_PATH}", "HOME=/root", "LANG=C.UTF-8", f"TERM={terminal}"),
    ]


def workstation(paths: InstancePaths) -> list[str]:
    """
    Argv prefix that runs a command in the workstation's network, with the machine's files.

    Raises: LabError when the lab is not up.
    """
    if not exists(paths, OPS):
        raise LabError(f"lab {paths.name!r} is not up\n  fix: loopback lab up --name {paths.name}")
    return enter(paths, OPS)


def replace_process(paths: InstancePaths, host: str, argv: list[str]) -> None:
    """
    Become a command in the workstation or in a host; its exit code is then this process's.

    Raises: LabError as `inside` and `workstation` do.
    """
    if host == OPS:
        os.execvpe("nsenter", [*workstation(paths), *argv], workstation_environment(paths))  # noqa: S606 -- to become it is the purpose
    os.execvp("nsenter", [*inside(paths, host), *argv])  # noqa: S606 -- same


def execute(
    paths: InstancePaths, host: str, argv: list[str], text: str | None, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """
    Run a command in the workstation or in a host, to its end.

    In: text for its stdin.
    Out: exit code, stdout, stderr.
    Raises: LabError as `inside` and `workstation` do; subprocess.TimeoutExpired.
    """
    prefix = workstation(paths) if host == OPS else inside(paths, host)
    return subprocess.run(
        [*prefix, *argv],
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        env=workstation_environment(paths) if host == OPS else None,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
