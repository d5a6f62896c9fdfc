"""Secret marks: `@{secret:NAME}` in rendered text becomes the value that came beside it.

Rendered files are plain and may be shown in a preview; values travel apart and meet the text only
here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK = re.compile(r"@\{secret:([A-Za-z0-9][A-Za-z0-9_.-]*)\}")
_ANY_MARK = re.compile(r"@\{[^}\n]{0,60}\}?")
# A private key in PEM or OpenSSH's form (RFC 7468): one block
_KEY = re.compile(
    r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----\n(?:[A-Za-z0-9+/=]{1,76}\n)+-----END \1-----\n?"
)
# What could end a quoted word or a line in bird.conf, haproxy.cfg or a systemd unit.
_BREAKING = re.compile(r"[\x00-\x1f\x7f\"'\\`]")


def replace_marks(path: str, text: str, secrets: Mapping[str, str]) -> str:
    """Put the values in place of the marks.

    In:  the file's path (for the complaint), its text, NAME -> value.
    Out: text without any mark; a value is never searched for marks again.
    Raises: RefusedError for a mark without a value, a mark of another form, or a value that would
         break the file.
    """
    rest = _MARK.sub("", text)
    strange = _ANY_MARK.search(rest)
    if strange:
        raise RefusedError(
            f"{path} holds {strange.group()!r}, which is no mark the agent knows"
            " (@{secret:NAME})",
            fix="render the bundle with the release of the library that this agent came with",
        )
    names = sorted(set(_MARK.findall(text)))
    for name in names:
        if name not in secrets:
            raise RefusedError(
                f"{path} needs the secret {name!r} and the bundle has no such value",
                fix=f"pass a value for {name}",
            )
        if text.strip() == f"@{{secret:{name}}}" and _is_key(secrets[name]):
            continue  # the file is this secret and nothing else: there is nothing it could leave
        check_secret(name, secrets[name])
    return _MARK.sub(lambda found: secrets[found.group(1)], text)


def _is_key(value: object) -> bool:
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def check_secret(name: str, value: str) -> None:
    """Refuse a value that could leave its quotes. The value itself is never shown.

    Raises: RefusedError naming the mark and the kind of character, not the value.
    """
    if not isinstance(value, str) or not value:
        raise RefusedError(
            f"the secret {name!r} is empty or no text", fix=f"pass a value for {name}"
        )
    found = _BREAKING.search(value)
    if found:
        kind = (
            "a control character"
            if ord(found.group()) < 32 or found.group() == "\x7f"
            else "a quote or backslash"
        )
        raise RefusedError(
            f"the secret {name!r} holds {kind} at position {found.start() + 1},"
            " which would break the file",
            fix=f"use letters, digits and punctuation without quotes or backslashes for {name}",
        )
