"""What a command said and how it ended, in pulumi-command's words."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

_ESCAPES = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    "\\": "\\\\", '"': '\\"',
}  # fmt: skip


class CommandError(Exception):
    """The command could not be run, or ended badly; the text goes to the user."""


@dataclass(slots=True)
class Output:
    """Both streams, apart and in the order they arrived."""

    stdout: bytes = b""
    stderr: bytes = b""
    both: bytes = b""
    lines: list[str] = field(default_factory=list)

    def add(self, data: bytes, *, error: bool) -> None:
        """Take what one stream said."""
        self.both += data
        if error:
            self.stderr += data
        else:
            self.stdout += data

    def render(self) -> tuple[str, str]:
        """
        Standard output and error as the resource's outputs.

        Sources: pulumi-command provider/pkg/provider/remote/commandOutputs.go: one trailing newline
        is cut from each.
        """
        return _trim(self.stdout), _trim(self.stderr)

    def explain(self, reason: str, command: str) -> CommandError:
        """
        The error for a command that failed; it holds the whole command and all it printed.

        Sources: pulumi-command provider/pkg/provider/remote/commandOutputs.go and
        provider/pkg/provider/local/commandOutputs.go: `%w: running %q:\\n%s`.
        """
        said = self.both.decode(errors="replace")
        return CommandError(f"{reason}: running {quote_go(command)}:\n{said}")


def _trim(raw: bytes) -> str:
    return raw.decode(errors="replace").removesuffix("\n")


def quote_go(text: str) -> str:
    """Quote a text the way Go's %q does."""
    parts = []
    for char in text:
        if char in _ESCAPES:
            parts.append(_ESCAPES[char])
        elif char == " " or unicodedata.category(char)[0] not in "CZ":
            parts.append(char)
        else:
            code = ord(char)
            short = f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"
            parts.append(short if code < 0x10000 else f"\\U{code:08x}")
    return '"' + "".join(parts) + '"'
