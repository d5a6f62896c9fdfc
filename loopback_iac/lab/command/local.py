"""Running one command on this machine."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.command.outcome import CommandError, Output

if TYPE_CHECKING:
    from loopback_iac.lab.command.remote import Job

# pulumi-command provider/pkg/provider/local/commandOutputs.go
_INTERPRETER = ("/bin/sh", "-c")


async def run_local(inputs: dict[str, Any], job: Job) -> tuple[str, str]:
    """
    Run a command in a child process.

    Out: standard output and standard error.
    Raises: CommandError when it cannot be started or does not end with 0.
    Sources: pulumi-command provider/pkg/provider/local/commandOutputs.go: run.
    """
    argv = [*(inputs.get("interpreter") or _INTERPRETER), job.command]
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=inputs.get("dir") or None,
            env={**os.environ, **job.environment, **job.hints},
            stdin=asyncio.subprocess.PIPE if job.stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise CommandError(f"could not start {argv[0]}: {error.strerror}") from error
    output = Output()
    try:
        await asyncio.gather(
            _feed(process.stdin, job.stdin),
            _collect(process.stdout, output, job, error=False),
            _collect(process.stderr, output, job, error=True),
        )
        code = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise
    if code:
        reason = f"exit status {code}" if code > 0 else f"signal: {-code}"
        raise output.explain(reason, job.command)
    return output.render()


async def _feed(stream: asyncio.StreamWriter | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text.encode())
        await stream.drain()
    except (BrokenPipeError, ConnectionResetError):
        return  # the command did not want to read all of it
    finally:
        stream.close()


async def _collect(
    stream: asyncio.StreamReader | None, output: Output, job: Job, *, error: bool
) -> None:
    while stream is not None:
        line = await stream.readline()
        if not line:
            return
        output.add(line, error=error)
        job.on_line(line.decode(errors="replace").rstrip("\n"), error)
