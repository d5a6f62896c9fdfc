"""
Runs an unmodified Pulumi program in a child process (see leash.py).

It stands in for the language host's `pulumi-language-python-exec`, which no wheel contains, and
runs in the program's own Python: it imports the standard library and pulumi, nothing of ours.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pulumi
from pulumi.runtime import Settings, configure, run_in_stack
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.config import get_config, set_all_config
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc
from pulumi.runtime.settings import SETTINGS, _get_rpc_manager

# Stands in plain values for a secret whose text is not at hand; the engine makes it an unknown.
MARK = "loopback-unknown-4f1d2c9e-6a0b-47f6-9a3e-config"
NOTE = "loopback-deferred-config:"
# Programs with long dependency chains recurse once per link inside the SDK.
_RECURSION_LIMIT = 20_000
_THREADS_PER_PLACE = 4


class _Engine:
    """The engine service without the SDK's debug lines: four round trips per resource."""

    def __init__(self, address: str) -> None:
        channel = grpc.insecure_channel(address, options=_GRPC_CHANNEL_OPTIONS)
        self._stub = engine_pb2_grpc.EngineStub(channel)

    def Log(self, request: engine_pb2.LogRequest) -> None:  # noqa: N802  # the protocol's name
        if request.severity != engine_pb2.DEBUG:
            self._stub.Log(request)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whichever method of the stub
        return getattr(self._stub, name)


def main() -> None:
    """Configure the SDK from LOOPBACK_PROGRAM, run the program, exit 0 or 1."""
    order = json.loads(os.environ.pop("LOOPBACK_PROGRAM"))
    missing = set(order["missing"])
    config = {**order["config"], **{key: f"{MARK}:{key}" for key in missing}}
    set_all_config(config, order["secret_keys"])
    engine: Any = _Engine(order["address"])
    configure(
        Settings(
            project=order["project"],
            stack=order["stack"],
            organization="organization",
            root_directory=order["root"],
            monitor=order["address"],
            engine=engine,
            parallel=order["parallel"],
            dry_run=order["dry_run"],
        )
    )
    if order["dry_run"]:
        _defer_secrets(missing)
        _hide_tokens(missing, order["project"])
    program = Path(order["program"])
    sys.argv = [str(program)]
    if program.is_file():
        sys.path.insert(0, str(program.parent))
    sys.setrecursionlimit(_RECURSION_LIMIT)
    # A failed run leaves futures nobody awaited; asyncio's complaints would bury the real error.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    sys.exit(_run(program, order["parallel"]))


def _run(program: Path, parallel: int) -> int:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Each registration in flight holds a thread; as many as the language host gives.
    loop.set_default_executor(ThreadPoolExecutor(_THREADS_PER_PLACE * parallel))

    async def run() -> None:
        runpy.run_path(str(program), run_name="__main__")
        await _settle()

    try:
        loop.run_until_complete(run_in_stack(run))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
    except SystemExit as error:
        pulumi.log.error(f"the program called sys.exit({error.code!r})")
    except Exception as error:  # noqa: BLE001  # the program's own failure, whichever it is
        pulumi.log.error(_render_failure(error))
    else:
        return 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 1


async def _settle() -> None:
    """
    Wait for what the program has registered, before the SDK does.

    The SDK waits anew on all open outputs for each one that is done: seconds of its own time per
    thousand resources, unless its debug lines (which we do not send) hold the loop up. Here each
    output is waited for once; a failure ends the wait, and the SDK tells it.
    """
    while True:
        await asyncio.sleep(0)
        with SETTINGS.lock:
            known = {*SETTINGS.outputs, *_get_rpc_manager().rpcs}
        ended = {task for task in known if task.done()}
        if ended == known or any(task.cancelled() or task.exception() for task in ended):
            return
        await asyncio.wait(known - ended, return_when=asyncio.FIRST_EXCEPTION)


def _render_failure(error: BaseException) -> str:
    """The traceback from the program's first line on, without the frames that led there."""
    steps = error.__traceback__
    ours = {__file__, "<frozen runpy>"}
    while steps is not None and steps.tb_next is not None:
        name = steps.tb_frame.f_code.co_filename
        if name not in ours and not name.endswith(("asyncio/base_events.py", "runtime/stack.py")):
            break
        steps = steps.tb_next
    lines = traceback.format_exception(type(error), error, steps)
    return "Program failed with an unhandled exception:\n" + "".join(lines)


def _defer_secrets(missing: set[str]) -> None:
    """
    Let a plan go on without a secret's text: reading it gives a secret that is not known yet.

    In: missing: keys whose value is encrypted and no passphrase is at hand. A required secret that
    stands in no stack file is deferred as well.
    """
    for name in dir(pulumi.Config):
        if name.startswith(("get_secret", "require_secret")):
            setattr(pulumi.Config, name, _deferring(getattr(pulumi.Config, name), name, missing))


def _hide_tokens(missing: set[str], project: str) -> None:
    """
    Another package's secret that is not at hand reads as absent: whoever looks at a provider's
    token wants to judge its text, and there is none.

    In: missing: as above. project: whose own keys keep their stand-in, which becomes an unknown.
    """
    original = pulumi.Config.get

    def get(self: pulumi.Config, key: str, default: str | None = None) -> str | None:
        full = self.full_key(key)
        if full not in missing or full.startswith(f"{project}:"):
            return original(self, key, default)
        pulumi.log.info(NOTE + full)
        return default

    setattr(pulumi.Config, original.__name__, get)


def _deferring(original: Any, name: str, missing: set[str]) -> Any:  # noqa: ANN401  # any getter
    def read(self: pulumi.Config, key: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        full = self.full_key(key)
        absent = name.startswith("require") and get_config(full) is None
        if full not in missing and not absent:
            return original(self, key, *args, **kwargs)
        pulumi.log.info(NOTE + full)
        return _make_unknown()

    return read


def _make_unknown() -> pulumi.Output[Any]:
    loop = asyncio.get_event_loop()
    value, known, secret = (loop.create_future() for _ in range(3))
    value.set_result(None)
    known.set_result(False)
    secret.set_result(True)
    return pulumi.Output(set(), value, known, secret)


if __name__ == "__main__":
    main()
