"""Serving a provider plugin: port on standard output, words to the engine, end with it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from concurrent import futures
from typing import TYPE_CHECKING

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable

# pulumi sdk/python/lib/pulumi/runtime/_grpc_settings.py: 400 MiB, in both directions.
MESSAGE_BYTES = 400 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),
]
_WATCH_S = 2.0
_THREADS = 64


class Reporter:
    """Sends words to the engine that started the plugin."""

    def __init__(self, address: str) -> None:
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address, options=OPTIONS))

    def status(self, urn: str, message: str) -> None:
        """Show what goes on; not kept."""
        self._log(engine_pb2.INFO, urn, message, ephemeral=True)

    def warn(self, urn: str, message: str) -> None:
        """Say something the user should read."""
        self._log(engine_pb2.WARNING, urn, message, ephemeral=False)

    def _log(
        self, severity: engine_pb2.LogSeverity.ValueType, urn: str, message: str, *, ephemeral: bool
    ) -> None:
        request = engine_pb2.LogRequest(
            severity=severity, message=message, urn=urn, ephemeral=ephemeral
        )
        with contextlib.suppress(grpc.RpcError):  # no engine left to talk to: the watch ends us
            self._stub.Log(request)


def serve(make: Callable[[Reporter], provider_pb2_grpc.ResourceProviderServicer]) -> None:
    """
    Serve a provider until the engine is gone.

    In: make: builds the provider, given the way to talk to the engine.
    """
    address = sys.argv[1] if len(sys.argv) > 1 else ""
    workers = futures.ThreadPoolExecutor(_THREADS)
    server = grpc.server(workers, options=OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(make(Reporter(address)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if address:
        threading.Thread(target=_watch, args=(address, os.getppid()), daemon=True).start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


def _watch(address: str, parent: int) -> None:
    """End with the engine: a plugin nobody can reach must not stay behind."""
    host, _, port = address.rpartition(":")
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
        try:
            socket.create_connection((host, int(port)), _WATCH_S).close()
        except OSError:
            break
    os._exit(1)
