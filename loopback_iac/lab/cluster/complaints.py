"""What `go build` says when it fails, as an error that can be acted upon."""

from __future__ import annotations

import re

# `go: example.org/m@v1.2.3: ...` or `main.go:3:2: example.org/m@v1.2.3: ...`, or without the
# module, which then is the last that it began to fetch.
_SAID = re.compile(
    r"^(?:go|\S+\.go:\d+:\d+): (?:(?P<module>[\w.~/-]+@v[\w.+-]+): )?(?P<said>.*)$", re.MULTILINE
)
_FETCHED = re.compile(r"^go: downloading (\S+) (\S+)$", re.MULTILINE)
_FETCHING = (
    "reading ",
    "Get ",
    "verifying ",
    "module lookup disabled",
    "checksum",
    "missing go.sum",
)
_PASSWORD = re.compile(r"(\w+://)[^/@\s\"]+@")
_LINES = 8


def told(name: str, stderr: str) -> str:
    """
    The text of an error.

    In: program that was being built, and what `go` wrote; a proxy's password in it is left out.
    """
    stderr = _PASSWORD.sub(r"\1...@", stderr)
    for found in _SAID.finditer(stderr):
        if any(word in found["said"] for word in _FETCHING):
            module = found["module"] or "@".join((_FETCHED.findall(stderr) or [("", "")])[-1])
            rest = stderr[found.end() :].strip().splitlines()
            # what the proxy answered stands indented below
            answer = "".join(f"\n    {line.strip()}" for line in rest[:1] if "response" in line)
            return (
                f"{name}: module {module} cannot be had\n  {found['said']}{answer}"
                "\n  fix: let this machine reach a Go module proxy that serves it (go env -w"
                " GOPROXY=...), or copy $LOOPBACK_CACHE/cluster from a machine where it is built"
            )
    said = "\n".join(stderr.strip().splitlines()[-_LINES:])
    return f"{name}: go build failed\n{said}"
