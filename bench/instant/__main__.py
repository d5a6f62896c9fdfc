# ruff: noqa: N802 -- the methods have the names of the protocol
"""A provider that answers at once: what is left is the engine's own time."""

from __future__ import annotations

import itertools
import sys
import threading
from concurrent import futures

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

LIMIT = 400 * 1024 * 1024
NUMBERS = itertools.count(1)
DONE = threading.Event()


class Instant(provider_pb2_grpc.ResourceProviderServicer):
    """Creates nothing, in no time."""

    def Handshake(self, request, context):
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="1.0.0")

    def CheckConfig(self, request, context):
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request, context):
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request, context):
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request, context):
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request, context):
        same = request.old_inputs == request.news
        kind = provider_pb2.DiffResponse
        return kind(changes=kind.DIFF_NONE if same else kind.DIFF_SOME)

    def Create(self, request, context):
        number = "" if request.preview else str(next(NUMBERS))
        return provider_pb2.CreateResponse(id=number, properties=request.properties)

    def Update(self, request, context):
        return provider_pb2.UpdateResponse(properties=request.news)

    def Delete(self, request, context):
        return empty_pb2.Empty()

    def Cancel(self, request, context):
        DONE.set()
        return empty_pb2.Empty()


server = grpc.server(
    futures.ThreadPoolExecutor(8),
    options=[("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", LIMIT)],
)
provider_pb2_grpc.add_ResourceProviderServicer_to_server(Instant(), server)
sys.stdout.write(f"{server.add_insecure_port('127.0.0.1:0')}\n")
sys.stdout.flush()
server.start()
DONE.wait()
server.stop(1)
