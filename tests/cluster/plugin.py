"""The plugin, called as the engine calls it, without a program and a process around it."""

from __future__ import annotations

from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from loopback_iac.engine.answers import parse_error
from loopback_iac.engine.values import parse_struct, render_struct, strip_secrets
from loopback_iac.lab.kubernetes.provider import KubernetesProvider

KINDS = provider_pb2.PropertyDiff.Kind


@dataclass
class Thing:
    """One resource: what the program wants of it, and what the state has."""

    name: str
    token: str
    inputs: dict[str, Any] = field(default_factory=dict)
    ident: str = ""
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def about(self) -> dict[str, str]:
        urn = f"urn:pulumi:dev::t::{self.token}::{self.name}"
        return {"urn": urn, "name": self.name, "type": self.token}


class Words:
    """What the plugin tells the engine."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def status(self, urn: str, message: str) -> None:
        del urn
        self.said.append(message)

    def warn(self, urn: str, message: str) -> None:
        self.status(urn, message)


class Plugin:
    """A configured provider behind a real gRPC channel."""

    def __init__(self, **settings: Any) -> None:
        words = Words()
        self.said = words.said
        self._server = grpc.server(futures.ThreadPoolExecutor(16))
        provider = KubernetesProvider(words)  # type: ignore[arg-type]
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        args = render_struct(settings, secrets=True)
        self.call("Configure", provider_pb2.ConfigureRequest(args=args, acceptSecrets=True))

    def close(self) -> None:
        self._channel.close()
        self._server.stop(None)

    def call(self, method: str, request: Any) -> Any:
        """Raises: StepError as the engine sees it."""
        try:
            return getattr(self._stub, method)(request)
        except grpc.RpcError as error:
            raise parse_error(error) from None

    def check(self, thing: Thing, news: dict[str, Any], olds: dict[str, Any]) -> dict[str, Any]:
        request = provider_pb2.CheckRequest(
            **thing.about, olds=_render(olds), news=_render({**_kind(thing.token), **news})
        )
        answer = self.call("Check", request)
        assert not answer.failures
        return parse_struct(answer.inputs)

    def create(self, name: str, token: str, news: dict[str, Any], *, timeout: float = 0) -> Thing:
        thing = Thing(name, f"kubernetes:{token}")
        thing.inputs = self.check(thing, news, {})
        request = provider_pb2.CreateRequest(
            **thing.about, properties=_render(thing.inputs), timeout=timeout
        )
        answer = self.call("Create", request)
        thing.ident, thing.state = answer.id, parse_struct(answer.properties)
        return thing

    def preview(self, name: str, token: str, news: dict[str, Any]) -> dict[str, Any]:
        thing = Thing(name, f"kubernetes:{token}")
        inputs = self.check(thing, news, {})
        request = provider_pb2.CreateRequest(
            **thing.about, properties=_render(inputs), preview=True
        )
        return parse_struct(self.call("Create", request).properties)

    def diff(
        self, thing: Thing, news: dict[str, Any], ignored: tuple[str, ...] = ()
    ) -> tuple[dict[str, str], bool]:
        """Out: path -> kind of what differs; whether the old one has to go first."""
        inputs = self.check(thing, news, thing.inputs)
        request = provider_pb2.DiffRequest(
            **thing.about, id=thing.ident, olds=_render(thing.state), news=_render(inputs),
            old_inputs=_render(thing.inputs), ignoreChanges=ignored,
        )  # fmt: skip
        answer = self.call("Diff", request)
        parts = {path: KINDS.Name(part.kind) for path, part in answer.detailedDiff.items()}
        assert bool(answer.replaces) == any("REPLACE" in kind for kind in parts.values())
        return parts, answer.deleteBeforeReplace

    def update(self, thing: Thing, news: dict[str, Any], *, ignored: tuple[str, ...] = ()) -> None:
        inputs = self.check(thing, news, thing.inputs)
        request = provider_pb2.UpdateRequest(
            **thing.about, id=thing.ident, olds=_render(thing.state), news=_render(inputs),
            old_inputs=_render(thing.inputs), ignoreChanges=ignored,
        )  # fmt: skip
        answer = self.call("Update", request)
        thing.inputs, thing.state = inputs, parse_struct(answer.properties)

    def read(self, thing: Thing) -> bool:
        """As a refresh does; out: whether it is there."""
        request = provider_pb2.ReadRequest(
            **thing.about, id=thing.ident, properties=_render(thing.state),
            inputs=_render(thing.inputs),
        )  # fmt: skip
        answer = self.call("Read", request)
        if answer.id:
            thing.state, thing.inputs = parse_struct(answer.properties), parse_struct(answer.inputs)
        return bool(answer.id)

    def delete(self, thing: Thing, *, timeout: float = 0) -> None:
        request = provider_pb2.DeleteRequest(
            **thing.about, id=thing.ident, properties=_render(thing.state), timeout=timeout,
            old_inputs=_render(thing.inputs),
        )  # fmt: skip
        self.call("Delete", request)

    def cancel(self) -> None:
        self.call("Cancel", empty_pb2.Empty())


def _render(values: dict[str, Any]) -> Any:
    return render_struct(values, secrets=True)


def _kind(token: str) -> dict[str, str]:
    """What the SDK adds to every object."""
    _, version, kind = token.split(":")
    return {"apiVersion": version.removeprefix("core/"), "kind": kind.removesuffix("Patch")}


def plain(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = strip_secrets(values)
    return found
