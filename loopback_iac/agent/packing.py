"""The agent as one file: an executable zip of this folder, the same bytes for the same sources.

Fixed timestamps, sorted names, no .pyc, no compression (a compressor's version would show). The
host keeps the same again with bytecode of its own Python: compiling is two thirds of a start.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
from typing import NoReturn

from .refusal import RefusedError

JOIN = "join.py"
NOT_PACKED = ("__init__.py", JOIN)
# nothing of site-packages is imported, so `site` need not look for any
SHEBANG = b"#!/usr/bin/python3 -ISB\n"
# What is not there, or no archive, is no place to import from: then the sources here are compiled.
_MAIN = """\
import os, sys
sys.path.insert(0, os.path.realpath(sys.argv[0]) + "." + sys.implementation.cache_tag)
from loopback_agent.main import main
sys.exit(main(sys.argv[1:]))
"""

# Runs on the host before any agent is there: `python3 -I -c '<BOOT>' enroll ...` with the request
# on stdin. It takes
# the agent out of the request, compares its digest and runs it from memory; the agent then
# installs itself, so a host
# that enroll refuses is left without a trace. No single quote: the text stands between two of
# them in a shell.
BOOT = """\
import base64, hashlib, json, os, sys
def held(content):
    fd = os.memfd_create("loopback", 0)
    with open(fd, "wb", closefd=False) as stream:
        stream.write(content)
    os.lseek(fd, 0, 0)
    return fd
request = sys.stdin.buffer.read()
wanted = json.loads(request)
agent = base64.b64decode(wanted["agent"])
found = hashlib.sha256(agent).hexdigest()
if found != wanted["agent_sha256"]:
    sys.exit("loopback: the agent sent has sha256 " + found + ", not as named; host: unchanged")
os.dup2(held(request), 0)
os.execv("/usr/bin/python3", ["/usr/bin/python3", "-IB", "/dev/fd/%d" % held(agent)] + sys.argv[1:])
"""


def join_program() -> str:
    """The program of `loopback join` as it is sent, without its explanations: it becomes a line."""
    import ast

    with open(f"{os.path.dirname(os.path.abspath(__file__))}/{JOIN}", encoding="utf-8") as stream:
        tree = ast.parse(stream.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.unparse(tree)


def build() -> bytes:
    """The agent as shipped.

    Out: an executable zipapp; equal sources give equal bytes.
    """
    folder = os.path.dirname(os.path.abspath(__file__))
    names = sorted(
        name for name in os.listdir(folder) if name.endswith(".py") and name not in NOT_PACKED
    )
    texts = {"__main__.py": _MAIN.encode(), "loopback_agent/__init__.py": b""}
    for name in names:
        with open(os.path.join(folder, name), "rb") as stream:
            texts[f"loopback_agent/{name}"] = stream.read()
    return pack(texts)


def pack(texts: dict[str, bytes]) -> bytes:
    """A program as shipped, from its files by name; equal files give equal bytes."""
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(texts.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, whatever builds it
            archive.writestr(entry, content)
    return SHEBANG + packed.getvalue()


def compiled_path(path: str) -> str:
    """Where the agent at `path` looks for its bytecode: of another Python's it knows nothing."""
    return f"{path}.{sys.implementation.cache_tag}"


def compile_agent(agent: bytes, path: str) -> bytes:
    """The agent with bytecode beside each source; bytecode that does not fit is passed over.

    In:  the agent as shipped; where it stands, for what tracebacks say.
    """
    import importlib.util
    import io
    import marshal
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(agent)) as sent, zipfile.ZipFile(packed, "w") as archive:
        for entry in sent.infolist():
            source = sent.read(entry)
            code = compile(source, f"{path}/{entry.filename}", "exec", dont_inherit=True)
            # PEP 552: unchecked, because both stand in one archive that is made anew as a whole
            head = importlib.util.MAGIC_NUMBER + (0b01).to_bytes(4, "little")
            known = head + importlib.util.source_hash(source)
            archive.writestr(entry, source)
            archive.writestr(f"{entry.filename}c", known + marshal.dumps(code))
    return packed.getvalue()


def is_whole(archive: bytes) -> bool:
    """Whether every entry of an archive has the checksum it was written with."""
    import io
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as found:
            return found.testzip() is None
    except Exception:  # noqa: BLE001 -- zipfile raises a dozen kinds for bytes that are no archive
        return False


def agent_sha256(agent: bytes | None = None) -> str:
    """Hex digest of the agent as shipped."""
    return hashlib.sha256(build() if agent is None else agent).hexdigest()


def exec_sent(request: bytes, argv: list[str]) -> NoReturn:
    """What BOOT does, for a host whose deploy key may not run BOOT itself.

    Raises: RefusedError when the request or the agent's digest does not fit.
    """
    try:
        wanted = json.loads(request)
        agent = base64.b64decode(wanted["agent"], validate=True)
    except (ValueError, KeyError, TypeError) as broken:
        raise RefusedError(f"the enroll request on stdin carries no agent: {broken}") from broken
    if hashlib.sha256(agent).hexdigest() != wanted.get("agent_sha256"):
        raise RefusedError("the agent in the request does not have the digest the request names")
    os.dup2(_held(request), 0)
    python = "/usr/bin/python3"
    os.execv(python, [python, "-IB", f"/dev/fd/{_held(agent)}", *argv])  # noqa: S606 - no shell on purpose
    sys.exit(1)


def _held(content: bytes) -> int:
    descriptor = os.memfd_create("loopback", 0)
    with open(descriptor, "wb", closefd=False) as stream:
        stream.write(content)
    os.lseek(descriptor, 0, 0)
    return descriptor
