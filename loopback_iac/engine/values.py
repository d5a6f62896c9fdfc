"""Property values: JSON plus secrets and unknowns, and their form on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from google.protobuf import struct_pb2

from loopback_iac.engine.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# None, bool, int, float, str, list, dict, Secret or Sealed, nested.
Value: TypeAlias = Any
Values: TypeAlias = dict[str, Any]

# sdk/python/lib/pulumi/runtime/rpc.py, sdk/go/common/resource/sig
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIG = "4dabf18193072939515e22adb298388d"
SECRET_SIG = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  # a type mark, not a secret
OUTPUT_SIG = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_REFUSED_SIGS = {
    "c44067f5952c0a294b673a41bacd8c17": "an Asset",
    "0def7320c3a5731c473e5ecbe6d01bc7": "an Archive",
    "5cf8f73096256a8f31e491e813e4eb8e": "a resource reference",
}
# Doubles hold integers exactly below this.
_EXACT_INTEGERS = 2**53


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is encrypted at rest and never printed."""

    value: Value

    def __repr__(self) -> str:
        return "Secret([secret])"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret of the state whose passphrase is not at hand: only its ciphertext is known."""

    ciphertext: str


def parse_struct(struct: struct_pb2.Struct) -> Values:
    """
    Read a message of Pulumi's protocol.

    Raises: RefusedError when it holds an asset, an archive or a reference.
    """
    return {key: _parse_value(value) for key, value in struct.fields.items()}


def _parse_value(message: struct_pb2.Value) -> Value:
    kind = message.WhichOneof("kind")
    if kind == "string_value":
        return message.string_value
    if kind == "number_value":
        number = message.number_value
        return int(number) if number.is_integer() and abs(number) < _EXACT_INTEGERS else number
    if kind == "bool_value":
        return message.bool_value
    if kind == "list_value":
        return [_parse_value(item) for item in message.list_value.values]
    if kind == "struct_value":
        return _parse_map(message.struct_value)
    return None


def _parse_map(struct: struct_pb2.Struct) -> Value:
    if SIG not in struct.fields:
        return parse_struct(struct)
    sig = struct.fields[SIG].string_value
    if sig == SECRET_SIG:
        return make_secret(_parse_value(struct.fields["value"]))
    if sig == OUTPUT_SIG:
        return _parse_output(struct)
    what = _REFUSED_SIGS.get(sig, f"a value of signature {sig}")
    raise RefusedError(f"{what} among the properties", "pass its text, or the resource's id or urn")


def _parse_output(struct: struct_pb2.Struct) -> Value:
    """An output inside the inputs of a hosted component: its value, as any other would be."""
    value = _parse_value(struct.fields["value"]) if "value" in struct.fields else UNKNOWN
    secret = "secret" in struct.fields and struct.fields["secret"].bool_value
    return make_secret(value) if secret else value


def render_struct(values: Mapping[str, Value], *, secrets: bool) -> struct_pb2.Struct:
    """
    Write a message of Pulumi's protocol.

    In: values; secrets: keep the secret marks (the other side asked for them) or send plain values.
    """
    struct = struct_pb2.Struct()
    for key, value in values.items():
        _fill(struct.fields[key], value, secrets=secrets)
    return struct


def _fill(message: struct_pb2.Value, value: Value, *, secrets: bool) -> None:
    if value is None:
        message.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, (int, float)):
        message.number_value = value
    elif isinstance(value, dict):
        message.struct_value.SetInParent()
        for key, item in value.items():
            _fill(message.struct_value.fields[key], item, secrets=secrets)
    elif isinstance(value, (list, tuple)):
        message.list_value.SetInParent()
        for item in value:
            _fill(message.list_value.values.add(), item, secrets=secrets)
    else:
        _fill_secret(message, value, secrets=secrets)


def _fill_secret(message: struct_pb2.Value, value: Secret | Sealed, *, secrets: bool) -> None:
    inner = value.value if isinstance(value, Secret) else UNKNOWN
    if not secrets:
        _fill(message, inner, secrets=False)
        return
    message.struct_value.fields[SIG].string_value = SECRET_SIG
    _fill(message.struct_value.fields["value"], inner, secrets=False)


def make_secret(value: Value) -> Secret | Sealed:
    """Mark a value as secret; marks inside it melt into the outer one."""
    if isinstance(value, (Secret, Sealed)):
        return value
    return Secret(strip_secrets(value))


def strip_secrets(value: Value) -> Value:
    """The same value without secret marks, for a reader that takes plain values."""
    if isinstance(value, Secret):
        return value.value
    if isinstance(value, Sealed):
        return UNKNOWN
    if isinstance(value, dict):
        return {key: strip_secrets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [strip_secrets(item) for item in value]
    return value


def has(value: Value, test: Callable[[Value], bool]) -> bool:
    """Whether `test` holds for the value or anything in it, secrets included."""
    if test(value):
        return True
    if isinstance(value, Secret):
        return has(value.value, test)
    if isinstance(value, dict):
        return any(has(item, test) for item in value.values())
    if isinstance(value, list):
        return any(has(item, test) for item in value)
    return False


def has_unknown(value: Value) -> bool:
    """Whether some part of the value will be known only after apply."""
    return has(value, lambda part: isinstance(part, Sealed) or part == UNKNOWN)


def has_secret(value: Value) -> bool:
    """Whether some part of the value is secret."""
    return has(value, lambda part: isinstance(part, (Secret, Sealed)))


def mark_like(outputs: Value, inputs: Value) -> Value:
    """
    Give outputs the secret marks of same-named inputs, at every depth.

    A provider that returns `connection.password` bare must not turn it into plain text in state.
    """
    if isinstance(inputs, (Secret, Sealed)):
        return make_secret(outputs)
    if isinstance(outputs, Secret) or not has_secret(inputs):
        return outputs
    if isinstance(outputs, dict) and isinstance(inputs, dict):
        return {
            key: mark_like(item, inputs[key]) if key in inputs else item
            for key, item in outputs.items()
        }
    if isinstance(outputs, list) and isinstance(inputs, list):
        if len(outputs) != len(inputs):  # cannot tell which element is the secret one
            return make_secret(outputs)
        return [mark_like(out, given) for out, given in zip(outputs, inputs, strict=True)]
    return outputs


def redact(value: Value) -> Value:
    """The value as it may be printed."""
    if isinstance(value, (Secret, Sealed)):
        return "[secret]"
    if isinstance(value, str):
        return "(known after apply)" if value == UNKNOWN else value
    if isinstance(value, dict):
        return {key: redact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [redact(item) for item in value]
    return value


def iter_leaves(value: Value, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, Value]]:
    """Every (path, leaf) below a value; a secret is one leaf."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from iter_leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from iter_leaves(item, (*path, index))
    else:
        yield path, value
