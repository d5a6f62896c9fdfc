"""One reading of a resource per request, however many policies look at it.

The SDK reads the properties of every resource anew for every policy: with a hundred policies that
is most of what a plan takes. What is kept lives as long as the request, in the thread that serves
it. It rests on private names of the SDK, so on any other version than those that were tested
nothing is put in their place, and everything works as before.
"""

from __future__ import annotations

import functools
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from pulumi_policy import policy as sdk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TESTED = ("1.21.",)
NAMES = ("json_format", "deserialize_properties", "unknown_checking_proxy")
_REQUEST = threading.local()


class _Kept:
    """What was read in one request: by what was read from, which is held so that its id stays."""

    def __init__(self) -> None:
        self.read: dict[tuple[str, int], tuple[object, Any]] = {}

    def once(self, step: str, source: object, read: Callable[[], Any]) -> Any:  # noqa: ANN401  # any
        key = (step, id(source))
        if key not in self.read:
            self.read[key] = (source, read())
        return self.read[key][1]


def remember() -> bool:
    """
    Let the SDK read once per request.

    Out: whether it does; twice asked is once done.
    """
    fits = version("pulumi_policy").startswith(TESTED) and all(hasattr(sdk, n) for n in NAMES)
    servicer = getattr(sdk, "_PolicyAnalyzerServicer", None)
    if not fits or servicer is None:
        return False
    put = vars(sdk)
    if isinstance(put["json_format"], _Reader):
        return True
    put["json_format"] = _Reader()
    put["deserialize_properties"] = _deserialize(put["deserialize_properties"])
    put["unknown_checking_proxy"] = _proxy(put["unknown_checking_proxy"])
    for method in ("Analyze", "AnalyzeStack"):
        setattr(servicer, method, _scoped(getattr(servicer, method)))
    return True


def once(step: str, source: object, read: Callable[[], Any]) -> Any:  # noqa: ANN401  # any value
    """What `read` gives, read once for this source in this request; outside of one, read anew."""
    kept = getattr(_REQUEST, "kept", None)
    return read() if kept is None else kept.once(step, source, read)


def as_sent(props: object) -> Any:  # noqa: ANN401  # a tree of JSON, or None
    """The properties as the engine sent them, marks of secrets included; None where not kept."""
    kept = getattr(_REQUEST, "kept", None)
    if kept is None:
        return None
    proxied = kept.read.get(("sent", id(props)))
    return None if proxied is None else proxied[1]


class _Reader:
    """google.protobuf.json_format, but each message once."""

    def MessageToDict(self, message: Any) -> Any:  # noqa: N802, ANN401  # the name it stands for
        return once("message", message, lambda: json_format.MessageToDict(message))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever else is asked of the module
        return getattr(json_format, name)


def _deserialize(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def deserialize(props: Mapping[str, Any], proxy_secrets: bool = False) -> Any:  # noqa: FBT001, FBT002, ANN401  # as the SDK calls it
        if proxy_secrets:  # what a remediation may change is its own
            return original(props, proxy_secrets)

        def read() -> Any:  # noqa: ANN401  # a tree of JSON
            found = original(props)
            kept = getattr(_REQUEST, "kept", None)
            if kept is not None:
                kept.read[("raw", id(found))] = (found, props)
            return found

        return once("deserialized", props, read)

    return deserialize


def _proxy(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def proxy(props: Mapping[str, Any]) -> Any:  # noqa: ANN401  # the SDK's proxy
        def read() -> Any:  # noqa: ANN401  # as above
            found = original(props)
            kept = getattr(_REQUEST, "kept", None)
            raw = None if kept is None else kept.read.get(("raw", id(props)))
            if kept is not None and raw is not None:
                kept.read[("sent", id(found))] = (found, raw[1])
            return found

        return once("proxied", props, read)

    return proxy


def _scoped(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def serve(*args: Any) -> Any:  # noqa: ANN401  # request and answer of gRPC
        _REQUEST.kept = _Kept()
        try:
            return original(*args)
        finally:
            _REQUEST.kept = None

    return serve
