"""The provider protocol of pulumi-command 1.2.1: what `infer` makes of its two Command types."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from loopback_iac.engine.diffs import compare
from loopback_iac.engine.values import (
    UNKNOWN,
    Secret,
    Values,
    parse_struct,
    render_struct,
    strip_secrets,
)
from loopback_iac.lab.command.dialing import Voice
from loopback_iac.lab.command.local import run_local
from loopback_iac.lab.command.outcome import CommandError
from loopback_iac.lab.command.remote import Job, run_remote
from loopback_iac.lab.standin.servicer import (
    StandIn,
    parse_plain,
    render_diff,
    render_failures,
)

if TYPE_CHECKING:
    from loopback_iac.lab.standin.serving import Reporter

_VERSION = "1.2.1"
_REMOTE, _LOCAL = "command:remote:Command", "command:local:Command"
# pulumi-command provider/pkg/provider/common/command.go, remote/command.go, local/command.go
_COMMON = {
    "create", "update", "delete", "stdin", "environment", "triggers", "logging",
    "addPreviousOutputInEnv",
}  # fmt: skip
_INPUTS = {_REMOTE: _COMMON | {"connection"}, _LOCAL: _COMMON | {"interpreter", "dir"}}
_LOGGING = ("stdout", "stderr", "stdoutAndStderr", "none")
_CONNECTION = {
    "host", "port", "user", "password", "privateKey", "privateKeyPassword", "agentSocketPath",
    "dialErrorLimit", "perDialTimeout", "hostKey", "proxy",
}  # fmt: skip
_KINDS = {
    "add": provider_pb2.PropertyDiff.ADD,
    "delete": provider_pb2.PropertyDiff.DELETE,
    "update": provider_pb2.PropertyDiff.UPDATE,
}


class CommandProvider(StandIn):
    """command:remote:Command and command:local:Command; the rest is refused by name."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(_VERSION)
        self._reporter = reporter

    def CheckConfig(  # noqa: N802  # the protocol's names, here and below
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        del context
        return provider_pb2.CheckResponse(inputs=request.news)

    def Configure(  # noqa: N802
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        del request, context
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        del context
        news = parse_struct(request.news)
        failures = render_failures(check_inputs(request.type, news))
        if request.type == _REMOTE and "connection" in news:
            news["connection"] = Secret(strip_secrets(news["connection"]))
        # pulumi-command provider/pkg/provider/common/command.go: default of the option
        news.setdefault("addPreviousOutputInEnv", True)
        return provider_pb2.CheckResponse(
            inputs=render_struct(news, secrets=True), failures=failures
        )

    def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """
        Any difference is an update; that a changed trigger replaces is the SDK's resource option.

        Sources: pulumi-go-provider infer/resource.go: the default diff over inputs.
        """
        del context
        olds, news = parse_plain(request.old_inputs), parse_plain(request.news)
        parts = [part for part in compare(olds, news) if str(part.path[0]) != "version"]
        # schema replaceOnChanges matches the bare key only: the list comes or goes as a whole
        replaces = ["triggers"] if any(part.path == ("triggers",) for part in parts) else []
        return render_diff(parts, lambda part: _KINDS[part.kind], replaces)

    def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        inputs = parse_struct(request.properties)
        # pulumi-go-provider infer/resource.go: the URN's name and 8 hex digits
        ident = f"{request.name}{os.urandom(4).hex()}"
        if request.preview:
            outputs = {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}
            return provider_pb2.CreateResponse(properties=render_struct(outputs, secrets=True))
        outputs = self._run(context, request, inputs, "create", {})
        return provider_pb2.CreateResponse(
            id=ident, properties=render_struct(outputs, secrets=True)
        )

    def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        inputs, olds = parse_struct(request.news), parse_struct(request.olds)
        if request.preview:
            outputs = {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}
            return provider_pb2.UpdateResponse(properties=render_struct(outputs, secrets=True))
        # pulumi-command provider/pkg/provider/remote/commandController.go: update, else create
        verb = "update" if inputs.get("update") else "create"
        outputs = self._run(context, request, inputs, verb, olds)
        return provider_pb2.UpdateResponse(properties=render_struct(outputs, secrets=True))

    def Delete(  # noqa: N802
        self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Runs `delete` as it stands in the state, over the connection in the state."""
        state = parse_struct(request.properties)
        if state.get("delete"):
            self._run(context, request, state, "delete", state)
        return empty_pb2.Empty()

    def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        """Pulumi-command has no read: the state is returned as it is."""
        del context
        return provider_pb2.ReadResponse(
            id=request.id, properties=request.properties, inputs=request.inputs
        )

    def _run(
        self,
        context: grpc.ServicerContext,
        request: provider_pb2.CreateRequest
        | provider_pb2.UpdateRequest
        | provider_pb2.DeleteRequest,
        inputs: Values,
        verb: str,
        former: Values,
    ) -> Values:
        """Run one of the commands; out: the resource's outputs."""
        plain: Values = strip_secrets(inputs)
        command = str(plain.get(verb) or "")
        if not command:  # nothing to run: outputs stay what they were
            said = {key: former.get(key, "") for key in ("stdout", "stderr")}
            return {**inputs, **said}
        job = self._make_job(request.urn, command, plain, strip_secrets(former))
        voice = Voice(
            status=lambda text: self._reporter.status(request.urn, text),
            warn=lambda text: self._reporter.warn(request.urn, text),
            stopped=self.stopped.is_set,
        )
        try:
            stdout, stderr = asyncio.run(_run_cancellable(context, request.type, plain, job, voice))
        except CommandError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return {**inputs, "stdout": stdout, "stderr": stderr}

    def _make_job(self, urn: str, command: str, plain: Values, former: Values) -> Job:
        """
        What to run.

        Sources: pulumi-command provider/pkg/provider/common/command.go: previous outputs go into
        the environment unless addPreviousOutputInEnv says no; logging chooses what is shown.
        """
        logging = plain.get("logging") or "stdoutAndStderr"
        shown = {
            False: logging in ("stdout", "stdoutAndStderr"),
            True: logging in ("stderr", "stdoutAndStderr"),
        }

        def on_line(line: str, error: bool) -> None:  # noqa: FBT001  # the stream: stderr or not
            if shown[error]:
                self._reporter.status(urn, line)

        hints = {}
        if plain.get("addPreviousOutputInEnv", True):
            for key in ("stdout", "stderr"):
                if former.get(key):
                    hints[f"PULUMI_COMMAND_{key.upper()}"] = str(former[key])
        return Job(
            command=command,
            stdin=str(plain.get("stdin") or ""),
            environment={str(k): str(v) for k, v in (plain.get("environment") or {}).items()},
            hints=hints,
            on_line=on_line,
        )


async def _run_cancellable(
    context: grpc.ServicerContext, kind: str, plain: Values, job: Job, voice: Voice
) -> tuple[str, str]:
    """Run a job; when the engine gives up waiting (custom timeout), the connection is closed."""
    work = run_remote(plain["connection"], job, voice) if kind == _REMOTE else run_local(plain, job)
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    running = context.add_callback(lambda: _cancel(loop, task))
    if not running:
        task.cancel()
    try:
        return await task
    except asyncio.CancelledError as error:
        raise CommandError("context deadline exceeded") from error


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(task.cancel)


def check_inputs(kind: str, news: Values) -> list[tuple[str, str]]:
    """
    What is wrong with a resource's inputs.

    Out: (property, reason) pairs.
    Sources: pulumi-go-provider infer: missing and unknown properties; pulumi-command
    provider/pkg/provider/{remote,local}/command.go for the fields.
    """
    if kind not in _INPUTS:
        return [("", f"this stand-in does not have {kind}; use command:remote:Command")]
    plain = strip_secrets(news)
    found = [
        (key, "unexpected property") for key in plain if key not in _INPUTS[kind] | {"version"}
    ]
    if plain.get("logging", "none") not in (*_LOGGING, UNKNOWN):
        found.append(("logging", f"must be one of {', '.join(_LOGGING)}"))
    if kind == _REMOTE:
        found += _check_connection(plain.get("connection"), "connection")
    return found


def _check_connection(raw: object, place: str) -> list[tuple[str, str]]:
    if raw == UNKNOWN:
        return []
    if not isinstance(raw, dict):
        return [(place, "missing required property")]
    found = [(f"{place}.{key}", "unexpected property") for key in raw if key not in _CONNECTION]
    if not raw.get("host"):
        found.append((f"{place}.host", "missing required property"))
    if raw.get("proxy"):
        found += _check_connection(raw["proxy"], f"{place}.proxy")
    return found
