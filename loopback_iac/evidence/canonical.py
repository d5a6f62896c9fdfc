"""One spelling of a JSON value, so that its digest is the digest of what it says."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(value: Any) -> bytes:  # noqa: ANN401  # any JSON value
    """Sorted keys, no spaces, UTF-8, one newline at the end: `jq -cS .` writes the same."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return (text + "\n").encode()


def readable(value: Any) -> bytes:  # noqa: ANN401  # as above
    """For documents that people open: sorted keys, indented."""
    return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def sha256(text: bytes) -> str:
    """What bytes are known by."""
    return hashlib.sha256(text).hexdigest()
