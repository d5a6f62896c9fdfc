"""A bundle as it arrives on stdin, parsed; a HostSet is the same with its secrets in place.

A HostSet is one JSON file per digest: the staged copy, the saved previous set and the origin (what
stood on the host before the first apply) have one form, so going forward and back are the same
steps.
"""

from __future__ import annotations

import grp
import ipaddress
import json
import pwd
from typing import Any, NamedTuple

from .allowed import parse_place
from .marks import replace_marks
from .refusal import RefusedError
from .state import FORMAT


class SetFile(NamedTuple):
    """One file as it shall stand on the host."""

    text: str
    mode: int
    owner: str
    group: str

    @property
    def content(self) -> bytes:
        """Bytes on disk; surrogates carry the odd byte of a file that stood there before us."""
        return self.text.encode("utf-8", "surrogateescape")

    def check_owner(self) -> None:
        """Refuse an owner or group that this host does not have.

        Raises: RefusedError.
        """
        _ = self.ids

    @property
    def ids(self) -> tuple[int, int]:
        """(uid, gid) of owner and group.

        Raises: RefusedError when one does not exist on this host.
        """
        try:
            return pwd.getpwnam(self.owner).pw_uid, grp.getgrnam(self.group).gr_gid
        except KeyError as missing:
            raise RefusedError(
                f"user {self.owner} or group {self.group} does not exist here: {missing.args[0]}",
                fix="enroll the host again: the package that makes it is missing",
            ) from missing


class HostSet(NamedTuple):
    """Everything one digest puts on a host."""

    digest: str
    role: str
    files: dict[str, SetFile]
    admin_sources: tuple[str, ...] = ()
    ssh_port: int = 22
    drain_s: float = 30
    confirm_s: float = 30

    def encode(self) -> bytes:
        """The JSON it is kept as."""
        value = self._asdict()
        value["files"] = {path: file._asdict() for path, file in sorted(self.files.items())}
        return json.dumps(value, sort_keys=True).encode()

    @classmethod
    def decode(cls, content: bytes) -> HostSet:
        """Read what `encode` wrote."""
        value = json.loads(content)
        value["files"] = {path: SetFile(**file) for path, file in value["files"].items()}
        value["admin_sources"] = tuple(value["admin_sources"])
        return cls(**value)


def _wanted(bundle: dict[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:  # noqa: ANN401 - JSON
    value = bundle.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RefusedError(f"the bundle's {name!r} is {type(value).__name__}, which it may not be")
    return value


def parse_json(content: bytes, what: str) -> dict[str, Any]:
    """One JSON object.

    Raises: RefusedError when it is anything else or of another format number.
    """
    try:
        value = json.loads(content)
    except ValueError as broken:
        raise RefusedError(f"the {what} on stdin is no JSON: {broken}") from broken
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        got = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise RefusedError(
            f"the {what} has format {got!r}; this agent speaks format {FORMAT}",
            fix="enroll the host again with the release of the library that wrote it",
        )
    return value


def parse_bundle(content: bytes, *, host: str, digest: str, role: str) -> HostSet:
    """A bundle, checked against this host and against the words of the command.

    In:  stdin's bytes; the host's own name and role from enroll; the digest from the command's
         words.
    Out: the set with secrets in place.
    Raises: RefusedError for the first thing that does not fit; nothing was written.
    """
    bundle = parse_json(content, "bundle")
    if bundle.get("host") != host or bundle.get("role") != role:
        raise RefusedError(
            f"the bundle is for {bundle.get('role')} {bundle.get('host')!r};"
            f" this host is enrolled as {role} {host!r}",
            fix="check the addresses of both hosts in the stack's configuration",
        )
    if bundle.get("digest") != digest:
        raise RefusedError(
            f"the bundle's digest is {bundle.get('digest')!r}; the command says {digest!r}"
        )
    secrets = _wanted(bundle, "secrets", dict)
    files = {
        path: _parse_file(path, entry, role, secrets)
        for path, entry in sorted(_wanted(bundle, "files", dict).items())
    }
    return HostSet(
        digest,
        role,
        files,
        _parse_sources(_wanted(bundle, "admin_sources", list)),
        int(_wanted(bundle, "ssh_port", (int, float))),
        _parse_seconds(bundle, "drain_s"),
        _parse_seconds(bundle, "confirm_s"),
    )


def _parse_seconds(bundle: dict[str, Any], name: str) -> float:
    value = float(_wanted(bundle, name, (int, float)))
    if not 0 <= value <= 3600:
        raise RefusedError(f"the bundle's {name!r} is {value:g}; 0 to 3600 seconds are possible")
    return value


def _parse_file(path: str, entry: Any, role: str, secrets: dict[str, str]) -> SetFile:  # noqa: ANN401 - JSON
    place = parse_place(path, role)
    text = entry.get("text") if isinstance(entry, dict) else None
    if not isinstance(text, str):
        raise RefusedError(f"{path} has no text in the bundle")
    asked = (entry.get("mode"), entry.get("owner"), entry.get("group"))
    right = (f"{place.mode:04o}", place.owner, place.group)
    if asked != right:
        raise RefusedError(
            f"{path} shall be {' '.join(map(str, asked))};"
            f" this agent writes it as {' '.join(right)}"
        )
    return SetFile(replace_marks(path, text, secrets), place.mode, place.owner, place.group)


def _parse_sources(values: list[Any]) -> tuple[str, ...]:
    if not values:
        raise RefusedError(
            "admin_sources is empty: nobody could reach this host any more",
            fix="name the networks you administer from",
        )
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError as wrong:
            raise RefusedError(f"admin_sources has {value!r}: {wrong}") from wrong
    return tuple(values)
