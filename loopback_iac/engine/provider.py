"""One provider: what the engine asks of it, answered by a plugin or by the lack of one."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from loopback_iac.engine.answers import (
    AbsentMethodError,
    Diff,
    Failure,
    LostError,
    parse_diff,
    parse_error,
    parse_failures,
)
from loopback_iac.engine.errors import EngineError, StepError
from loopback_iac.engine.processes import GRPC_OPTIONS, Child, Command
from loopback_iac.engine.urns import split_urn
from loopback_iac.engine.values import (
    Values,
    has_unknown,
    mark_like,
    parse_struct,
    render_struct,
    strip_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path as FilePath

    from google.protobuf.message import Message

    from loopback_iac.engine.state import Resource

# A provider that enforces a timeout itself answers first; then the engine stops waiting.
GRACE_S = 5.0
_CANCEL_TIMEOUT_S = 5.0


class AbsentProvider:
    """
    Answers for a provider that cannot be asked in a plan: no plugin, or configuration unknown.

    Inputs pass unchecked, the comparison is left to the engine, outputs are all unknown.
    """

    configured = False

    def check(self, _urn: str, _olds: Values, news: Values) -> tuple[Values, list[Failure]]:
        """Out: the inputs as given, no failure."""
        return news, []

    def diff(self, _urn: str, _resource: Resource, _news: Values, _ignored: list[str]) -> Diff:
        """Out: no opinion."""
        return Diff(changes=None)

    def diff_config(self, _urn: str, _olds: Values, _news: Values) -> Diff:
        """Out: no opinion."""
        return Diff(changes=None)

    def preview(self, _resource: Resource, _old: Resource | None) -> Values:
        """Out: nothing; what is missing counts as unknown."""
        return {}

    def read(self, resource: Resource) -> tuple[str, Values]:
        """Out: the id, and nothing; what is missing counts as unknown."""
        return resource.id, {}

    def invoke(self, _token: str, _arguments: Values) -> Values | None:
        """Out: None, for unknown."""
        return None

    def cancel(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing runs."""


@dataclass(slots=True)
class _Flags:
    secrets: bool = False
    preview: bool = True


@dataclass(slots=True)
class Provider:
    """A configured plugin process."""

    package: str
    command: Command
    work_dir: FilePath
    engine_address: str
    configured: bool = False
    _flags: _Flags = field(default_factory=_Flags)
    _child: Child | None = None
    _channel: grpc.Channel | None = None
    _closing: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """
        Start the process and shake hands.

        Raises: EngineError when it does not come up.
        """
        arguments = (self.engine_address,)
        command = Command(self.command.python, self.command.kind, self.command.target, arguments)
        self._child = Child(command, self.work_dir, {})
        port = self._child.read_port(f"the plugin of {self.package}")
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=GRPC_OPTIONS)
        request = provider_pb2.ProviderHandshakeRequest(
            engine_address=self.engine_address, root_directory=str(self.work_dir)
        )
        answer = self._call("Handshake", request, optional=True)
        if answer is not None:
            self._flags.secrets = answer.accept_secrets
        else:
            self._flags.preview = False
        self._shaken = answer is not None
        self._call("GetPluginInfo", empty_pb2.Empty())

    _shaken: bool = False

    def check_config(self, urn: str, olds: Values, news: Values) -> tuple[Values, list[Failure]]:
        """Let the provider check its own configuration, given as plain values."""
        request = self._check_request(urn, olds, news, secrets=False)
        answer = self._call("CheckConfig", request, optional=True)
        if answer is None:
            return news, []
        return mark_like(parse_struct(answer.inputs), news), parse_failures(answer)

    def diff_config(self, urn: str, olds: Values, news: Values) -> Diff:
        """Whether a change of configuration means another account: then resources are replaced."""
        request = provider_pb2.DiffRequest(
            urn=urn,
            old_inputs=render_struct(olds, secrets=False),
            olds=render_struct(olds, secrets=False),
            news=render_struct(news, secrets=False),
        )
        answer = self._call("DiffConfig", request, optional=True)
        return Diff(changes=None) if answer is None else parse_diff(answer)

    def configure(self, package: str, inputs: Values) -> None:
        """Hand over the configuration, unless part of it is unknown yet."""
        if has_unknown(inputs):
            return
        plain = strip_secrets(inputs)
        request = provider_pb2.ConfigureRequest(
            variables={f"{package}:config:{key}": _text(value) for key, value in plain.items()},
            args=render_struct(inputs, secrets=self._flags.secrets),
            acceptSecrets=True,
            acceptResources=False,
            sends_old_inputs=True,
            sends_old_inputs_to_delete=True,
        )
        answer = self._call("Configure", request)
        if not self._shaken:
            self._flags.secrets = answer.acceptSecrets
            self._flags.preview = answer.supportsPreview
        self.configured = True

    def check(self, urn: str, olds: Values, news: Values) -> tuple[Values, list[Failure]]:
        """Let the provider validate inputs and fill in its defaults."""
        if not self.configured:
            return news, []
        request = self._check_request(urn, olds, news, secrets=self._flags.secrets)
        answer = self._call("Check", request)
        return mark_like(parse_struct(answer.inputs), news), parse_failures(answer)

    def _check_request(
        self, urn: str, olds: Values, news: Values, *, secrets: bool
    ) -> provider_pb2.CheckRequest:
        kind, name = split_urn(urn)
        return provider_pb2.CheckRequest(
            urn=urn,
            olds=render_struct(olds, secrets=secrets),
            news=render_struct(news, secrets=secrets),
            name=name,
            type=kind,
        )

    def diff(self, urn: str, resource: Resource, news: Values, ignored: list[str]) -> Diff:
        """
        Compare a resource of the state with new inputs.

        In: urn: what it is called now.
        """
        if not self.configured:
            return Diff(changes=None)
        secrets = self._flags.secrets
        kind, name = split_urn(urn)
        request = provider_pb2.DiffRequest(
            id=resource.id,
            urn=urn,
            olds=render_struct(resource.outputs, secrets=secrets),
            old_inputs=render_struct(resource.inputs, secrets=secrets),
            news=render_struct(news, secrets=secrets),
            ignoreChanges=ignored,
            name=name,
            type=kind,
        )
        return parse_diff(self._call("Diff", request))

    def preview(self, resource: Resource, old: Resource | None) -> Values:
        """The outputs a create (old is None) or an update would have, as far as known."""
        if not self.configured:
            return {}
        if not self._flags.preview:
            return dict(resource.inputs)
        if old is None:
            return self.create(resource, preview=True)[1]
        return self.update(resource, old, preview=True)

    def create(self, resource: Resource, *, preview: bool = False) -> tuple[str, Values]:
        """
        Create a resource.

        Out: its id and outputs.
        Raises: PartialError when it exists but is not in order, LostError when nobody knows.
        """
        timeout_s = resource.timeouts_s.get("create", 0)
        request = provider_pb2.CreateRequest(
            urn=resource.urn,
            properties=render_struct(resource.inputs, secrets=self._flags.secrets),
            timeout=timeout_s,
            preview=preview,
            name=resource.name,
            type=resource.type,
        )
        answer = self._call("Create", request, timeout_s)
        return answer.id, mark_like(parse_struct(answer.properties), resource.inputs)

    def read(self, resource: Resource) -> tuple[str, Values]:
        """
        Look a resource up.

        In: resource: its id, and what is known of it as inputs.
        Out: its id ("" when it does not exist) and its outputs.
        """
        if not self.configured:
            return resource.id, {}
        request = provider_pb2.ReadRequest(
            id=resource.id,
            urn=resource.urn,
            properties=render_struct(resource.inputs, secrets=self._flags.secrets),
            name=resource.name,
            type=resource.type,
        )
        answer = self._call("Read", request)
        return answer.id, mark_like(parse_struct(answer.properties), resource.inputs)

    def construct(self, request: provider_pb2.ConstructRequest) -> provider_pb2.ConstructResponse:
        """Let a component host declare one of its components; it calls the monitor meanwhile."""
        answer: provider_pb2.ConstructResponse = self._call("Construct", request)
        return answer

    def update(self, resource: Resource, old: Resource, *, preview: bool = False) -> Values:
        """Update a resource in place; out: its outputs."""
        timeout_s = resource.timeouts_s.get("update", 0)
        secrets = self._flags.secrets
        request = provider_pb2.UpdateRequest(
            id=old.id,
            urn=resource.urn,
            olds=render_struct(old.outputs, secrets=secrets),
            old_inputs=render_struct(old.inputs, secrets=secrets),
            news=render_struct(resource.inputs, secrets=secrets),
            timeout=timeout_s,
            ignoreChanges=resource.ignore_changes,
            preview=preview,
            name=resource.name,
            type=resource.type,
        )
        answer = self._call("Update", request, timeout_s)
        outputs: Values = mark_like(parse_struct(answer.properties), resource.inputs)
        return outputs

    def delete(self, resource: Resource) -> None:
        """Delete a resource."""
        timeout_s = resource.timeouts_s.get("delete", 0)
        secrets = self._flags.secrets
        request = provider_pb2.DeleteRequest(
            id=resource.id,
            urn=resource.urn,
            properties=render_struct(resource.outputs, secrets=secrets),
            old_inputs=render_struct(resource.inputs, secrets=secrets),
            timeout=timeout_s,
            name=resource.name,
            type=resource.type,
        )
        self._call("Delete", request, timeout_s)

    def invoke(self, token: str, arguments: Values) -> Values | None:
        """Call a function; out: its result, None while it cannot be known."""
        if not self.configured or has_unknown(arguments):
            return None
        request = provider_pb2.InvokeRequest(
            tok=token, args=render_struct(arguments, secrets=self._flags.secrets)
        )
        answer = self._call("Invoke", request)
        if answer.failures:
            raise StepError(
                "\n".join(f"{token}: {item.property}: {item.reason}" for item in answer.failures)
            )
        result: Values = parse_struct(getattr(answer, "return"))
        return result

    def cancel(self) -> None:
        """Ask the provider to hurry; calls in flight may still succeed."""
        with suppress(EngineError):
            self._call("Cancel", empty_pb2.Empty(), _CANCEL_TIMEOUT_S, optional=True)

    def close(self) -> None:
        """End the process; a second call does nothing."""
        with self._closing:
            child, channel = self._child, self._channel
            self._child = self._channel = None
        if channel is not None:
            channel.close()
        if child is not None:
            child.end()

    def _call(
        self, method: str, request: Message, timeout_s: float = 0, *, optional: bool = False
    ) -> Any:  # noqa: ANN401  # each method answers with its own message
        channel = self._channel
        if channel is None:
            raise StepError(f"the plugin of {self.package} has been ended")
        stub: Callable[..., Any] = getattr(provider_pb2_grpc.ResourceProviderStub(channel), method)
        try:
            return stub(request, timeout=timeout_s + GRACE_S if timeout_s else None)
        except grpc.RpcError as error:
            if optional and error.code() == grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise self._explain(method, error, timeout_s) from error

    def _explain(self, method: str, error: grpc.RpcError, timeout_s: float) -> StepError:
        code, details = error.code(), error.details() or ""
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return LostError(f"{method} did not end within its timeout of {timeout_s:g} s")
        if code == grpc.StatusCode.UNAVAILABLE:
            sent = "failed to connect" not in details
            text = f"the plugin of {self.package} ended during {method}: {details}"
            return (LostError if sent else StepError)(text)
        if code == grpc.StatusCode.UNIMPLEMENTED:
            return AbsentMethodError(f"the plugin of {self.package} does not implement {method}")
        return parse_error(error)


def _text(value: object) -> str:
    """Provider configuration travels as text; what is no text, as JSON (like the SDK does)."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
