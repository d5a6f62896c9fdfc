"""Outputs of other stacks: what StackReference reads, from their state on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.engine.errors import StepError
from loopback_iac.engine.passphrase import PassphraseError, open_crypter
from loopback_iac.engine.provider import AbsentProvider
from loopback_iac.engine.state import decode_outputs
from loopback_iac.engine.store import Checkpoint, Store
from loopback_iac.engine.values import Values, has_secret

if TYPE_CHECKING:
    from pathlib import Path

    from loopback_iac.engine.project import Project
    from loopback_iac.engine.state import Resource

PACKAGE = "pulumi"
REFERENCE_TYPE = "pulumi:pulumi:StackReference"
_NAMELESS = 2  # PROJECT/STACK, with the organization left out


@dataclass(slots=True)
class StackReferences(AbsentProvider):
    """The provider of StackReference, which every engine has built in."""

    project: Project
    passphrase: str | None

    def read(self, resource: Resource) -> tuple[str, Values]:
        """
        Read the outputs another stack was left with.

        In: resource: its id is STACK, PROJECT/STACK or organization/PROJECT/STACK.
        Out: the id again, and what a StackReference has as outputs.
        Raises: StepError when there is no such stack, or more than one.
        """
        checkpoint = self._find(resource.id)
        try:  # without a passphrase (a plan) its secrets are unknown
            crypter = open_crypter(checkpoint.salt, self.passphrase)
        except PassphraseError as error:
            raise StepError(f"stack reference {resource.id}: its secrets: {error}") from error
        outputs = decode_outputs(checkpoint.rows, crypter)
        secret = sorted(key for key, value in outputs.items() if has_secret(value))
        return resource.id, {**resource.inputs, "outputs": outputs, "secretOutputNames": secret}

    def _find(self, reference: str) -> Checkpoint:
        *owner, stack = reference.split("/")
        project = owner[-1] if owner else self.project.name
        if len(owner) > _NAMELESS or not all((stack, project)):
            raise StepError(f"stack reference: got {reference!r}, need organization/PROJECT/STACK")
        root = self.project.root
        own = root / ".loopback"
        elsewhere = [*root.parent.glob("*/.loopback"), *(up / ".loopback" for up in root.parents)]
        places = [own] if _holds(own, project, stack) else dict.fromkeys(elsewhere)
        found = sorted({place.resolve() for place in places if _holds(place, project, stack)})
        if len(found) == 1:
            return Store(found[0] / project / stack).load_saved()
        if found:
            texts = ", ".join(str(folder) for folder in found)
            raise StepError(f"stack reference {reference}: found more than once, in {texts}")
        raise StepError(
            f"unknown stack {reference!r}: no {project}/{stack} in {root}/.loopback, nor in the"
            f" .loopback of a folder beside it ({root.parent}/*) or above; run `loopback up` there"
        )


def _holds(folder: Path, project: str, stack: str) -> bool:
    return Store(folder / project / stack).state.is_file()
