"""A registration as the program asks for it; every field is honoured or refused by name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from pulumi.runtime.proto import alias_pb2

from loopback_iac.engine.errors import RefusedError, UsageError
from loopback_iac.engine.values import UNKNOWN, Values, parse_struct

if TYPE_CHECKING:
    from google.protobuf import struct_pb2
    from pulumi.runtime.proto import resource_pb2

# RegisterResourceRequest: what this engine acts upon. tests/engine hold that HONOURED and REFUSED
# together are all fields there are: an ignored field is the worst of bugs.
HONOURED = frozenset(
    [
        "type",
        "name",
        "parent",
        "custom",
        "object",
        "protect",
        "dependencies",
        "provider",
        "propertyDependencies",
        "deleteBeforeReplace",
        "deleteBeforeReplaceDefined",
        "version",
        "ignoreChanges",
        "additionalSecretOutputs",
        "aliasURNs",
        "customTimeouts",
        "providers",
        "replaceOnChanges",
        "pluginDownloadURL",
        "retainOnDelete",
        "deletedWith",
        "remote",
        "aliases",
        "supportsResultReporting",
    ]
)
# What the SDK says about itself and its source; nothing follows from it.
INERT = frozenset(
    [
        "acceptSecrets",
        "acceptResources",
        "supportsPartialValues",
        "aliasSpecs",
        "accepts_byte_string",
        "sourcePosition",
        "stackTrace",
        "parentStackTraceHandle",
    ]
)
REFUSED = {
    "importId": "the resource option `import_`",
    "replace_with": "the resource option `replace_with`",
    "replacement_trigger": "the resource option `replacement_trigger`",
    "transforms": "resource transforms",
    "state_migrations": "state migrations",
    "hooks": "resource hooks",
    "hideDiffs": "the resource option `hide_diffs`",
    "envVarMappings": "the provider option `env_var_mappings`",
    "packageRef": "parameterized packages",
    "snippetId": "snippets",
    "pluginChecksums": "plugin checksums",
}
# ReadResourceRequest, likewise.
READ_HONOURED = frozenset(
    [
        "id",
        "type",
        "name",
        "parent",
        "properties",
        "dependencies",
        "provider",
        "version",
        "pluginDownloadURL",
        "additionalSecretOutputs",
    ]
)
READ_REFUSED = {
    "packageRef": "parameterized packages",
    "pluginChecksums": "plugin checksums",
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Goal:
    """
    What the program wants one resource to be; None means that it did not say.

    `remote`: a component that a component host declares; `read`: the id of a resource that exists
    and belongs to somebody else ("" while it is not known), None for one of our own; `given`: the
    inputs as they came, for a host that tells outputs from values; `former`: the URNs its aliases
    came to.
    """

    type: str
    name: str
    custom: bool
    remote: bool = False
    read: str | None = None
    parent: str = ""
    inputs: Values = field(default_factory=dict)
    given: struct_pb2.Struct | None = None
    provider: str = ""
    providers: dict[str, str] = field(default_factory=dict)
    version: str = ""
    plugin_url: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    aliases: tuple[alias_pb2.Alias, ...] = ()
    former: tuple[str, ...] = ()
    protect: bool | None = None
    retain_on_delete: bool | None = None
    deleted_with: str = ""
    delete_before_replace: bool | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    timeouts_s: dict[str, float] = field(default_factory=dict)


def parse_goal(request: resource_pb2.RegisterResourceRequest) -> Goal:
    """
    Read a registration.

    Raises: RefusedError naming every field this engine would have to ignore.
    """
    who = f"{request.type} {request.name!r}"
    refuse_fields(request, REFUSED, who)
    # The SDK builds these from sets: their order differs from run to run, so it is fixed here.
    property_dependencies = {
        key: sorted(found.urns)
        for key, found in sorted(request.propertyDependencies.items())
        if found.urns
    }
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        remote=request.remote,
        parent=request.parent,
        inputs=parse_struct(request.object),
        given=request.object if request.remote else None,
        provider=request.provider,
        providers=dict(request.providers),
        version=request.version,
        plugin_url=request.pluginDownloadURL,
        dependencies=tuple(sorted(request.dependencies)),
        property_dependencies=property_dependencies,
        aliases=(*request.aliases, *(alias_pb2.Alias(urn=urn) for urn in request.aliasURNs)),
        protect=request.protect if request.HasField("protect") else None,
        retain_on_delete=request.retainOnDelete if request.HasField("retainOnDelete") else None,
        deleted_with=request.deletedWith,
        delete_before_replace=(
            request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None
        ),
        ignore_changes=tuple(sorted(request.ignoreChanges)),
        replace_on_changes=tuple(sorted(request.replaceOnChanges)),
        additional_secret_outputs=tuple(sorted(request.additionalSecretOutputs)),
        timeouts_s=_parse_timeouts(request.customTimeouts),
    )


def parse_read(request: resource_pb2.ReadResourceRequest) -> Goal:
    """
    Read what `.get` and StackReference ask for.

    Raises: RefusedError naming every field this engine would have to ignore.
    """
    refuse_fields(request, READ_REFUSED, f"{request.type} {request.name!r}")
    return Goal(
        type=request.type,
        name=request.name,
        custom=True,
        read="" if request.id == UNKNOWN else request.id,
        parent=request.parent,
        inputs=parse_struct(request.properties),
        provider=request.provider,
        version=request.version,
        plugin_url=request.pluginDownloadURL,
        dependencies=tuple(sorted(request.dependencies)),
        additional_secret_outputs=tuple(sorted(request.additionalSecretOutputs)),
        protect=False,
        retain_on_delete=False,
    )


def refuse_fields(message: Message, refused: dict[str, str], who: str) -> None:
    """
    Refuse a message that asks for something this engine does not do.

    In: refused: field name -> what to call it; who: the resource or function it is about.
    Raises: RefusedError for a listed field that is set, or one a newer SDK has added.
    """
    features = [
        refused[part.name]
        for part, value in message.ListFields()
        if part.name in refused and not _is_hollow(value)
    ]
    fields = UnknownFieldSet(message)
    unknown = [f"field {fields[at].field_number} of the protocol" for at in range(len(fields))]
    if features or unknown:
        raise RefusedError(f"{', '.join([*features, *unknown])} (asked for by {who})")


def _is_hollow(value: object) -> bool:
    """The SDK sends some messages without anything in them, such as a binding of no hooks."""
    return isinstance(value, Message) and not value.ListFields()


def _parse_timeouts(
    message: resource_pb2.RegisterResourceRequest.CustomTimeouts,
) -> dict[str, float]:
    found: dict[str, float] = {}
    for part, text in message.ListFields():
        found[part.name] = parse_duration(text)
    return found


def parse_duration(text: str) -> float:
    """
    Read a duration as Go writes it.

    Out: seconds.
    Raises: UsageError when the text is none.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"custom timeout: got {text!r}, need a duration such as '30s' or '10m'")
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))
