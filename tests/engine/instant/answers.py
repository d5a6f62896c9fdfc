"""Clouds and hosts that answer at once: Check and Diff are the lab's, nothing is ordered.

What a real run would bring back (ids, addresses, keys born on a host) is made of names, so that the
same program has the same outputs in every run.
"""
# ruff: noqa: N802 -- the methods have the names of the protocol

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from loopback_iac.engine.values import parse_struct, render_struct, strip_secrets
from loopback_iac.lab.cloud.provider import CloudProvider
from loopback_iac.lab.command.provider import CommandProvider

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values

_HOST = re.compile(r"enroll host=(\S+)")


def number(*words: str, below: int = 2**31) -> int:
    """A number that follows from words."""
    return int.from_bytes(hashlib.sha256(" ".join(words).encode()).digest()[:6]) % below


def public_key(host: str, key_epoch: int) -> str:
    """A WireGuard public key that nobody has the private half of."""
    return base64.b64encode(hashlib.sha256(f"{host} {key_epoch}".encode()).digest()).decode()


class Commands(CommandProvider):
    """Every command ends well; an enrolment answers with the host's keys."""

    def _run(self, context: Any, request: Any, inputs: Values, verb: str, former: Values) -> Values:
        plain = strip_secrets(inputs)
        said = "{}\n"
        if found := _HOST.search(str(plain.get(verb))):
            epochs = json.loads(plain["stdin"])["key_epochs"]
            said = json.dumps({"wireguard": {str(e): public_key(found[1], e) for e in epochs}})
        return {**inputs, "stdout": said, "stderr": ""}


class Cloud(CloudProvider):
    """Whatever is ordered stands there at once."""

    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        if request.preview:
            return super().Create(request, context)
        news = self._answered(request)
        ident = str(number(request.type, request.name))
        return provider_pb2.CreateResponse(id=ident, properties=render_struct(news, secrets=False))

    def Update(self, request: Any, context: Any) -> provider_pb2.UpdateResponse:
        if request.preview:
            return super().Update(request, context)
        news = {**strip_secrets(parse_struct(request.olds)), **self._plain(request.news)}
        return provider_pb2.UpdateResponse(properties=render_struct(news, secrets=False))

    def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def _plain(self, struct: Any) -> Values:
        news = strip_secrets(parse_struct(struct))
        news.pop("__defaults", None)
        return news

    def _answered(self, request: Any) -> Values:
        news, low = self._plain(request.properties), number(request.name, below=200)
        kind = request.type.rpartition(":")[2]
        if kind == "PrimaryIp":
            news |= {"ipAddress": f"198.51.100.{low}", "ipNetwork": ""}
            if news["type"] == "ipv6":
                net = f"2001:db8:{low:x}::"
                news |= {"ipAddress": net, "ipNetwork": f"{net}/64"}
        if kind == "IPBlock":
            news["ips"] = [f"198.51.100.{low}"]
        return news
