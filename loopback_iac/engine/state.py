"""Rows of a checkpoint (deployment version 3) and their form in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from loopback_iac.engine.errors import StateError
from loopback_iac.engine.values import (
    SECRET_SIG,
    SIG,
    UNKNOWN,
    Sealed,
    Secret,
    Value,
    Values,
    make_secret,
    redact,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopback_iac.engine.passphrase import Crypter

# One row as it stands in the file: JSON, secrets encrypted.
Row: TypeAlias = dict[str, Any]

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"

# A row with one of these needs behaviour that this engine lacks; dropping the field would hide it.
_REFUSED_FIELDS = ("replaceWith", "resourceHooks", "viewOf", "taint", "hideDiff")
_FLAGS = {
    "protect": "protect",
    "external": "external",
    "retain_on_delete": "retainOnDelete",
    "delete": "delete",
    "pending_replacement": "pendingReplacement",
}
_LISTS = {
    "init_errors": "initErrors",
    "additional_secret_outputs": "additionalSecretOutputs",
    "ignore_changes": "ignoreChanges",
    "replace_on_changes": "replaceOnChanges",
    "dependencies": "dependencies",
}


@dataclass(slots=True)
class Resource:
    """One resource: what was asked, what came of it, what it rests on."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Values = field(default_factory=dict)
    outputs: Values = field(default_factory=dict)
    parent: str = ""
    provider: str = ""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    protect: bool = False
    external: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    delete: bool = False
    pending_replacement: bool = False
    init_errors: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    timeouts_s: dict[str, float] = field(default_factory=dict)
    created: str = ""
    modified: str = ""

    @property
    def name(self) -> str:
        """The logical name: the last part of the URN."""
        return self.urn.split("::", 3)[3]

    @property
    def is_provider(self) -> bool:
        """Whether this row is a provider, default or explicit."""
        return self.type.startswith(PROVIDER_PREFIX)

    @property
    def provider_urn(self) -> str:
        """The URN part of the provider reference."""
        return self.provider.rpartition("::")[0]

    def iter_references(self) -> set[str]:
        """Every URN this row rests on."""
        found = {self.parent, self.provider_urn, self.deleted_with, *self.dependencies}
        for urns in self.property_dependencies.values():
            found.update(urns)
        return found - {""}

    def mark_secret_outputs(self) -> None:
        """Make those outputs secret that the program said are."""
        for key in self.additional_secret_outputs:
            if key in self.outputs:
                self.outputs[key] = make_secret(self.outputs[key])


class Codec:
    """Rows to resources and back; an unchanged secret keeps its ciphertext."""

    def __init__(self, crypter: Crypter | None) -> None:
        self._crypter = crypter
        self._sealed: dict[tuple[str, str], str] = {}

    def decode(self, row: Row) -> Resource:
        """
        Read a row.

        Raises: StateError when it uses a feature this engine lacks, or lacks what every row has.
        """
        urn = row.get("urn")
        if not isinstance(urn, str) or urn.count("::") < 3 or not row.get("type"):
            raise StateError(f"state: a row without a proper urn and type: {str(row)[:80]}")
        for name in _REFUSED_FIELDS:
            if row.get(name):
                raise StateError(f"state: {urn} has {name}, which the embedded engine lacks")
        flags: dict[str, Any] = {ours: bool(row.get(theirs)) for ours, theirs in _FLAGS.items()}
        lists: dict[str, Any] = {ours: row.get(theirs) or [] for ours, theirs in _LISTS.items()}
        return Resource(
            urn=urn,
            type=row["type"],
            custom=bool(row.get("custom")),
            id=row.get("id") or "",
            inputs=self._decode_value(urn, row.get("inputs") or {}),
            outputs=self._decode_value(urn, row.get("outputs") or {}),
            parent=row.get("parent") or "",
            provider=row.get("provider") or "",
            deleted_with=row.get("deletedWith") or "",
            property_dependencies={
                key: list(urns or [])
                for key, urns in (row.get("propertyDependencies") or {}).items()
            },
            timeouts_s=dict(row.get("customTimeouts") or {}),
            created=row.get("created") or "",
            modified=row.get("modified") or "",
            **flags,
            **lists,
        )

    def encode(self, resource: Resource) -> Row:
        """
        Write a row; empty parts are left out as pulumi does.

        Raises: StateError when a value is unknown, or secret while no passphrase is at hand.
        """
        urn = resource.urn
        row: Row = {"urn": urn, "custom": resource.custom}
        if resource.id:
            row["id"] = resource.id
        row["type"] = resource.type
        optional = {
            "inputs": self.encode_value(urn, resource.inputs),
            "outputs": self.encode_value(urn, resource.outputs),
            "parent": resource.parent,
            "provider": resource.provider,
            "deletedWith": resource.deleted_with,
            "propertyDependencies": resource.property_dependencies,
            "customTimeouts": resource.timeouts_s,
            **{theirs: getattr(resource, ours) for ours, theirs in _LISTS.items()},
            **{theirs: getattr(resource, ours) for ours, theirs in _FLAGS.items()},
            "created": resource.created,
            "modified": resource.modified,
        }
        row.update({key: value for key, value in optional.items() if value})
        return row

    def encode_value(self, urn: str, value: Value) -> Value:
        """Write one value of a row: secrets become ciphertext."""
        if isinstance(value, Secret):
            return {SIG: SECRET_SIG, "ciphertext": self._seal(urn, value)}
        if isinstance(value, Sealed):
            return {SIG: SECRET_SIG, "ciphertext": value.ciphertext}
        if isinstance(value, dict):
            return {key: self.encode_value(urn, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.encode_value(urn, item) for item in value]
        if value == UNKNOWN:
            raise StateError(f"state: {urn} has a value that is still unknown after its step")
        return value

    def _seal(self, urn: str, secret: Secret) -> str:
        plain = json.dumps(self.encode_value(urn, secret.value), separators=(",", ":"))
        known = self._sealed.get((urn, plain))
        if known is not None:
            return known
        if self._crypter is None:
            raise StateError(f"state: {urn} has a secret, and no passphrase is set to encrypt it")
        sealed = self._crypter.encrypt(plain)
        self._sealed[urn, plain] = sealed
        return sealed

    def _decode_value(self, urn: str, value: Value) -> Value:
        if isinstance(value, dict):
            if value.get(SIG) == SECRET_SIG:
                return self._unseal(urn, value)
            return {key: self._decode_value(urn, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._decode_value(urn, item) for item in value]
        return value

    def _unseal(self, urn: str, value: Value) -> Secret | Sealed:
        if "plaintext" in value:
            return Secret(json.loads(value["plaintext"]))
        sealed = value["ciphertext"]
        if self._crypter is None:
            return Sealed(sealed)
        plain = self._crypter.decrypt(sealed)
        self._sealed[urn, plain] = sealed
        return Secret(json.loads(plain))


def decode_outputs(rows: Iterable[Row], crypter: Crypter | None) -> Values:
    """Out: the outputs of the stack whose rows these are; none before its first `up`."""
    for row in rows:
        if row.get("type") == STACK_TYPE:
            return Codec(crypter).decode(row).outputs
    return {}


def list_resources(resources: Iterable[Resource]) -> tuple[dict[str, Any], ...]:
    """
    Resources as anybody may see them: secrets redacted, what is not known yet said so.

    Out: `urn`, `type`, `name`, `parent` and `inputs`; not what belongs to somebody else, nor what
    only waits to be deleted.
    """
    return tuple(
        {
            "urn": each.urn,
            "type": each.type,
            "name": each.name,
            "parent": each.parent,
            "inputs": redact(each.inputs),
        }
        for each in resources
        if not each.external and not each.delete
    )
