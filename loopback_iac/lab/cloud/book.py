"""What a stand-in cloud knows: one small file per lab and cloud, changed under a lock."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.paths import LabError, write_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_iac.lab.paths import InstancePaths

# What one thing of an account looks like: the fields of its API.
Thing = dict[str, Any]
FIRST_ID = 1001


@dataclass
class Port:
    """One network card of a server and the router's end of its cable."""

    interface: str
    outside: str
    v4: str = ""
    v6: str = ""
    gateway4: str = ""
    gateway6: str = ""
    # the gateway's own addresses, at the router's end
    router4: str = ""
    router6: str = ""
    mac: str = ""
    # addresses and networks that the router sends here
    routes: list[str] = field(default_factory=list)
    # a private network's bridge; empty: the Internet
    bridge: str = ""
    # nftables rules; None: everything passes
    inward: list[str] | None = None
    outward: list[str] | None = None


@dataclass
class Machine:
    """A server as a host of the lab. A dark one has its cables and never boots."""

    host: str
    cloud: str
    ports: list[Port]
    metadata: dict[str, Any]
    user_data: str = ""
    machine_id: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    on: bool = True
    dark: bool = False


@dataclass
class Book:
    """One cloud's account: things by kind and id, machines by name in the lab."""

    serial: int = FIRST_ID
    things: dict[str, dict[str, Thing]] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)

    def of(self, kind: str) -> dict[str, Thing]:
        """Things of one kind by id; what is put in is kept."""
        return self.things.setdefault(kind, {})

    def next_id(self) -> str:
        """A number no thing of this cloud has or had."""
        self.serial += 1
        return str(self.serial - 1)


@dataclass(frozen=True)
class Shelf:
    """Where one lab keeps the books of its clouds."""

    paths: InstancePaths

    @property
    def folder(self) -> Path:
        """Files of all clouds of this lab; they go with it."""
        return self.paths.root / "clouds"

    def file(self, cloud: str) -> Path:
        """The book of one cloud."""
        return self.folder / f"{cloud}.json"

    def read(self, cloud: str) -> Book:
        """
        A cloud as it is now.

        Raises: LabError when there is no such lab.
        """
        if not self.paths.record.exists():
            raise LabError(
                f"there is no lab {self.paths.name!r}\n"
                f"  fix: loopback lab up --name {self.paths.name}"
            )
        path = self.file(cloud)
        return parse_book(path.read_text()) if path.exists() else Book()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold all clouds of this lab: a server's name is one host of it, whichever has it."""
        self.folder.mkdir(exist_ok=True, mode=0o700)
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def changing(self, cloud: str) -> Iterator[Book]:
        """
        Hold the lock and write a cloud's book at the end.

        Out: the book; when the block raises, what it changed is forgotten.
        Raises: LabError when there is no such lab.
        """
        self.read(cloud)
        with self.locked():
            book = self.read(cloud)
            yield book
            write_private(self.file(cloud), render_book(book))


def parse_book(text: str) -> Book:
    """Read what `render_book` wrote."""
    raw = json.loads(text)
    machines = {
        name: Machine(**{**machine, "ports": [Port(**port) for port in machine["ports"]]})
        for name, machine in raw["machines"].items()
    }
    return Book(raw["serial"], raw["things"], machines)


def render_book(book: Book) -> str:
    """A book as text; it holds user data, so its file is private."""
    return json.dumps(asdict(book), indent=1) + "\n"
