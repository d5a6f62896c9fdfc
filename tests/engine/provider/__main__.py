# ruff: noqa: N802 -- the methods have the names of the protocol
"""
A provider for tests: instant, told by the inputs of each resource how to behave.

Inputs: `forceNew` (a change replaces), `deleteFirst` (it deletes first), `held` (an operation is
under way until there is a file of that name beside the log), `within` (the id of what takes it
along when it is deleted; a change replaces), `meet` (wait until so many operations are under way at
once), `fail` (check, diff, create, update, delete, partial, crash: that call goes wrong).
Outputs: the inputs, plus `out`. Every call is a line in $PROBE_LOG; what exists is in $PROBE_WORLD.
"""

import fcntl
import itertools
import json
import os
import random
import sys
import threading
import time
from concurrent import futures
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import grpc
from google.protobuf import any_pb2, empty_pb2, struct_pb2
from google.protobuf.json_format import MessageToDict

# Some four hundred of us start in a run of the tests, and need the protocol without the SDK: its
# packages stand here as mere folders.
FOLDER = Path(find_spec("pulumi").origin).parent
for name, at in (("pulumi", FOLDER), ("pulumi.runtime", FOLDER / "runtime")):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(at)]

from pulumi.runtime.proto import (  # noqa: E402 - as said above
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

SIG = "4dabf18193072939515e22adb298388d"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
LIMIT = 400 * 1024 * 1024
LOG = Path(os.environ["PROBE_LOG"])
WORLD = Path(os.environ["PROBE_WORLD"])
# Recordings of another engine vary this, so that what is ordered by chance shows.
JITTER_S = float(os.environ.get("PROBE_JITTER_S", "0"))
DICE = iter(random.SystemRandom().random, None)
FAULT = {}
if planned := os.environ.get("PROBE_FAULT"):
    FAULT[int(planned.split(":")[0])] = planned.split(":")[1]
CALLS = itertools.count(1)
SECRETS = os.environ.get("PROBE_SECRETS") == "1"
GUARD = threading.Lock()
MEETING_TIMEOUT_S = 30
MEETINGS: dict[int, threading.Barrier] = {}


def note(call: str, name: str) -> None:
    with GUARD, LOG.open("a") as log:
        log.write(f"{call}:{name}\n")


def world(change) -> None:
    """What exists, as one JSON object: id -> name. Whoever reads it finds the old or the new."""
    with GUARD, WORLD.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = json.loads(WORLD.read_text()) if WORLD.exists() else {}
        change(known)
        written = WORLD.with_suffix(".new")
        written.write_text(json.dumps(known))
        written.replace(WORLD)


def plain(struct) -> dict:
    def strip(value):
        if isinstance(value, dict):
            if SIG in value:
                return strip(value["value"])
            return {key: strip(item) for key, item in value.items()}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return strip(MessageToDict(struct))


def struct(values: dict) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


def complain(context, text: str) -> None:
    context.abort(grpc.StatusCode.UNKNOWN, text)


class Probe(provider_pb2_grpc.ResourceProviderServicer):
    def Handshake(self, request, context):
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=SECRETS)

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="1.0.0")

    def CheckConfig(self, request, context):
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request, context):
        same = request.old_inputs == request.news
        moved = plain(request.old_inputs).get("account") != plain(request.news).get("account")
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_NONE
            if same
            else provider_pb2.DiffResponse.DIFF_SOME,
            replaces=["account"] if moved else [],
        )

    def Configure(self, request, context):
        return provider_pb2.ConfigureResponse(acceptSecrets=SECRETS, supportsPreview=True)

    def Check(self, request, context):
        note("Check", request.name)
        news = plain(request.news)
        if news.get("fail") == "check":
            failure = provider_pb2.CheckFailure(property="fail", reason="told to fail")
            return provider_pb2.CheckResponse(failures=[failure])
        inputs = struct_pb2.Struct()
        inputs.CopyFrom(request.news)
        if news.get("autoname"):
            former = plain(request.olds).get("label")
            inputs.fields["label"].string_value = former or f"{request.name}-{os.urandom(4).hex()}"
        return provider_pb2.CheckResponse(inputs=inputs)

    def Diff(self, request, context):
        note("Diff", request.name)
        olds, news = plain(request.old_inputs), plain(request.news)
        if news.get("fail") == "diff":
            complain(context, "diff told to fail")
        changed = sorted(key for key in {**olds, **news} if olds.get(key) != news.get(key))
        kinds = provider_pb2.DiffResponse
        update = provider_pb2.PropertyDiff.UPDATE
        detailed = {
            f"{key}[0]" if isinstance(news.get(key), list) else key: provider_pb2.PropertyDiff(
                kind=update
            )
            for key in changed
        }
        return kinds(
            changes=kinds.DIFF_SOME if changed else kinds.DIFF_NONE,
            diffs=changed,
            replaces=[key for key in ("forceNew", "within") if key in changed],
            deleteBeforeReplace=bool(news.get("deleteFirst")),
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request, context):
        note("Preview" if request.preview else "Create", request.name)
        inputs = plain(request.properties)
        outputs = struct_pb2.Struct()
        outputs.CopyFrom(request.properties)
        if request.preview:
            outputs.fields["out"].string_value = UNKNOWN
            return provider_pb2.CreateResponse(properties=outputs)
        ident = f"{request.name}-{os.urandom(3).hex()}"
        if within := inputs.get("within"):
            ident = f"{ident}@{within}"
        self._work(inputs, "create", context)
        world(lambda known: known.update({ident: request.name}))
        note("Created", request.name)
        if inputs.get("fail") == "crash":
            os._exit(3)
        outputs.fields["out"].string_value = f"out-of-{ident}"
        if inputs.get("fail") == "partial":
            failed = provider_pb2.ErrorResourceInitFailed(
                id=ident, properties=outputs, inputs=request.properties, reasons=["not ready"]
            )
            detail = any_pb2.Any()
            detail.Pack(failed)
            status = status_pb2.Status(code=2, message="not ready", details=[detail])
            context.set_trailing_metadata(
                (("grpc-status-details-bin", status.SerializeToString()),)
            )
            complain(context, "not ready")
        return provider_pb2.CreateResponse(id=ident, properties=outputs)

    def Update(self, request, context):
        note("PreviewUpdate" if request.preview else "Update", request.name)
        inputs = plain(request.news)
        outputs = struct_pb2.Struct()
        outputs.CopyFrom(request.news)
        outputs.fields["out"].string_value = UNKNOWN
        if request.preview:
            return provider_pb2.UpdateResponse(properties=outputs)
        self._work(inputs, "update", context)
        outputs.fields["out"].string_value = f"out-of-{request.id}-{os.urandom(2).hex()}"
        return provider_pb2.UpdateResponse(properties=outputs)

    def Read(self, request, context):
        note("Read", request.name)
        found: dict[str, str] = {}
        world(found.update)
        if request.id not in found:
            return provider_pb2.ReadResponse()
        outputs = struct_pb2.Struct()
        outputs.CopyFrom(request.properties)
        outputs.fields["out"].string_value = f"out-of-{request.id}"
        return provider_pb2.ReadResponse(
            id=request.id, properties=outputs, inputs=request.inputs or request.properties
        )

    def Delete(self, request, context):
        note("Delete", request.name)
        inputs = plain(request.properties)
        self._work(inputs, "delete", context)

        def remove(known):
            for ident in [one for one in known if f"@{one}".endswith(f"@{request.id}")]:
                del known[ident]

        world(remove)
        return empty_pb2.Empty()

    def Invoke(self, request, context):
        note("Invoke", request.tok)
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").update({"echo": plain(request.args).get("say", "")})
        return response

    def Cancel(self, request, context):
        note("Cancel", "")
        return empty_pb2.Empty()

    def _work(self, inputs: dict, what: str, context) -> None:
        if number := int(inputs.get("meet", 0)):
            with GUARD:
                meeting = MEETINGS.setdefault(number, threading.Barrier(number))
            try:
                meeting.wait(MEETING_TIMEOUT_S)
            except threading.BrokenBarrierError:
                complain(context, f"fewer than {number} operations came together")
        if inputs.get("fail") == what:
            complain(context, f"{what} told to fail")
        while (name := inputs.get("held")) and not LOG.with_name(name).exists():
            time.sleep(0.02)
        time.sleep(JITTER_S * next(DICE))


def faulty(method):
    """A call that may go wrong: the Nth of this process, as $PROBE_FAULT says (N:what)."""

    def call(self, request, context):
        with GUARD:
            fault = FAULT.get(next(CALLS))
        if fault == "error":
            complain(context, "told to fail")
        if fault == "before":
            os._exit(3)
        answer = method(self, request, context)
        if fault == "after":  # done, but nobody hears of it
            os._exit(3)
        return answer

    return call


for name in ("Check", "Diff", "Create", "Read", "Update", "Delete"):
    setattr(Probe, name, faulty(getattr(Probe, name)))


def main() -> None:
    options = [("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", LIMIT)]
    server = grpc.server(futures.ThreadPoolExecutor(64), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Probe(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


main()
