"""A file that somebody else made: read only as the bytes that were looked at."""

import hashlib
from pathlib import Path

from loopback_iac.kube import Artifact
from loopback_iac.model import InputRejected, Problem


def read_artifact(title: str, path: str, artifact: Artifact) -> bytes:
    """The file's bytes.

    In: title of the input and path in it, for refusals.
    Raises: InputRejected when it is not there, or holds other bytes: with both digests.
    """
    try:
        held = Path(artifact.path).read_bytes()
    except OSError as cause:
        fix = "write its path from the program's folder"
        problem = Problem(
            f"{path}.path", f"{artifact.path}: {cause.strerror}", "", fix, "file-read"
        )
        raise InputRejected(title, (problem,)) from None
    found = hashlib.sha256(held).hexdigest()
    if found != artifact.sha256:
        got, need = f"{artifact.path} has sha256 {found}", artifact.sha256
        fix = "get the file that was looked at; look at this one before you write its digest"
        problem = Problem(f"{path}.sha256", got, need, fix, "artifact-digest")
        raise InputRejected(title, (problem,))
    return held
