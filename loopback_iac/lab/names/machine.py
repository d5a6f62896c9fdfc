"""A primary and its name servers, real daemons on the rendered files, each host apart.

Every host has a network namespace, and directories of its own where its daemon keeps state; the
daemons read the very files, at the very paths, that a bundle would put there.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from loopback_iac.dns import parse_primary_zones, render_primary_zones
from loopback_iac.lab.names import asking
from loopback_iac.lab.names.space import Namespace, cable, exchange, namespaces, wait_for
from loopback_iac.lab.paths import LabError
from loopback_iac.model import parse_hosts, parse_primary
from loopback_iac.render import (
    HostFiles,
    render_name_server,
    render_primary,
    transfer_secret,
)
from loopback_iac.render.primary import update_secret
from loopback_iac.render.transport import transport_values

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_iac.lab.names.image import Image

NAME = "dns"
SECRET = "the secret of the fleet"  # noqa: S105  # of these namespaces, which nobody else reaches
DS_SECRET = "bG9vcGJhY2sgdGVzdCBrZXkgZm9yIERTIHVwZGF0ZXM="  # noqa: S105  # the same
MD5 = "0123456789abcdef"
OWN = (
    "etc/knot", "etc/nsd", "etc/loopback", "var/lib/knot", "var/lib/nsd", "run/knot", "run/nsd",
    "etc/bird", "run/bird", "etc/haproxy", "run/haproxy", "run/loopback/gate", "var/lib/loopback",
)  # fmt: skip
_BEFORE = re.compile(r"^ExecStartPre=-(.*)$", re.MULTILINE)
PROGRAMS = {"etc/knot/knot.conf": "knotd", "etc/nsd/nsd.conf": "nsd"}


class Declared(Protocol):
    """A primary as a program declares it, and late facts of its hosts."""

    @property
    def primary(self) -> dict[str, Any]:
        """What `HiddenPrimary` takes."""

    @property
    def hosts(self) -> dict[str, Any]:
        """By name; the primary's own is `primary`."""


def render_hosts(declared: Declared) -> dict[str, HostFiles]:
    """The primary's files and those of every name server, as a program deploys them."""
    primary = parse_primary(NAME, declared.primary)
    zones = render_primary_zones(primary, parse_primary_zones(primary))
    hosts = parse_hosts(NAME, declared.hosts)
    found = {"primary": render_primary(primary, hosts, zones)}
    return found | {name: render_name_server(primary, name, hosts) for name in primary.own_servers}


@dataclass
class Machine:
    """One host: its files, its namespace, its daemon."""

    name: str
    space: Namespace
    ground: Path
    image: Image
    address: str
    daemon: subprocess.Popen[str] | None = None
    asker: subprocess.Popen[str] | None = None
    mounts: list[str] = field(default_factory=list)
    before: dict[str, list[str]] = field(default_factory=dict)
    """What each drop-in has run before a start, which goes on if that fails; all is in the log."""

    def prepare(self) -> None:
        """Directories of its own in place of the image's, seen by its daemon alone."""
        for path in OWN:
            (self.ground / path).mkdir(parents=True)
            (self.image.root / path).mkdir(parents=True, exist_ok=True)
        for path in ("var/lib/nsd", "run/nsd"):
            shutil.chown(self.ground / path, *self._owner_of_nsd())

    def _owner_of_nsd(self) -> tuple[int, int]:
        found = (self.image.root / "var/lib/nsd").stat()
        return found.st_uid, found.st_gid

    def put(self, files: HostFiles) -> None:
        """Files as the agent would leave them, marks replaced."""
        for path, file in files.files.items():
            if path.startswith("/etc/systemd/"):
                self.before[path] = _BEFORE.findall(file.text)
                continue
            target = self.ground / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(re.sub(r"@\{secret:([^}]+)\}", _secret, file.text))
            target.chmod(int(file.mode, 8))
            os.chown(target, 0, self._group(file.group))

    def _group(self, name: str) -> int:
        lines = (self.image.root / "etc/group").read_text().splitlines()
        return next(int(line.split(":")[2]) for line in lines if line.split(":")[0] == name)

    def words(self, *words: str) -> list[str]:
        """A command on this host."""
        root = self.image.root
        binds = [f"mount --bind {self.ground / path} {root / path}" for path in OWN]
        inside = " && ".join([*binds, *self.mounts, f"exec chroot {root} {shlex.join(words)}"])
        return ["unshare", "--mount", "sh", "-c", inside]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this host to its end."""
        return self.space.run(*self.words(*words))

    def knotc(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Tell its Knot."""
        return self.run("knotc", "-t", "60", *words)

    def start(self) -> None:
        """Start what it has a configuration for; it logs to a file of its own."""
        for command in itertools.chain(*self.before.values()):
            done = self.run(*shlex.split(command))
            with (self.ground / "log").open("a") as log:
                log.write(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        program = next(p for path, p in PROGRAMS.items() if (self.ground / path).exists())
        options = ["-d"] if program == "nsd" else ["-c", "/etc/knot/knot.conf"]
        self.daemon = self.space.start_daemon(self.ground / "log", *self.words(program, *options))

    @property
    def log(self) -> str:
        """What its daemon said."""
        return (self.ground / "log").read_text()

    def stop(self, *, kill: bool = False) -> None:
        """End the daemon and wait until it is gone.

        Raises: LabError when there was none.
        """
        if self.daemon is None:
            raise LabError(f"{self.name} was never started")
        if kill:
            self.daemon.kill()
        else:
            self.daemon.terminate()
        self.daemon.wait(60)
        for path in ("run/knot/knot.pid", "run/knot/knot.sock"):
            (self.ground / path).unlink(missing_ok=True)

    def ask(self, name: str, kind: str, server: str = "", **more: object) -> dict[str, Any]:
        """One question, by default to the host's own name server."""
        if self.asker is None:
            self.asker = self.space.start(sys.executable, asking.__file__)
        wanted = {"server": server or self.address, "name": name, "type": kind, **more}
        found: dict[str, Any] = json.loads(exchange(self.asker, json.dumps(wanted)))
        return found

    def answer(self, name: str, kind: str) -> list[str]:
        """Texts of the records of one type in the answer, without signatures."""
        told = self.ask(name, kind).get("answer", [])
        return [line.split(" ", 4)[4] for line in told if line.split(" ")[3] == kind]

    def serial(self, zone: str) -> int:
        """Of the SOA it answers; -1 while it does not."""
        found = self.answer(zone, "SOA")
        return int(found[0].split(" ")[2]) if found else -1


def _secret(mark: re.Match[str]) -> str:
    name = mark.group(1)
    if name.startswith("transport-"):
        return (transport_values(SECRET, "primary") | transport_values(SECRET, "knot"))[name]
    if name.startswith("tsig-"):
        return transfer_secret(SECRET, name.removeprefix("tsig-"))
    if name.startswith("md5-"):
        return MD5
    if name.startswith("update-"):
        return update_secret(SECRET, name.removeprefix("update-"))
    if not name.startswith("loopback-ds"):
        raise LabError(f"nobody here knows the secret {name}")
    return DS_SECRET


@dataclass
class Hosts:
    """The whole: a primary with a cable to each name server."""

    primary: Machine
    servers: dict[str, Machine]
    case: Declared

    def put(self, name: str, text: str) -> None:
        """Another file of a zone, as the agent would leave it."""
        (self.primary.ground / f"etc/loopback/zones/{name}zone").write_text(text)

    def zone_text(self, name: str) -> str:
        """The file of a zone, as it is declared."""
        return (self.primary.ground / f"etc/loopback/zones/{name}zone").read_text()

    def load(self, zone: str) -> subprocess.CompletedProcess[str]:
        """As the agent does: blocking, so that a refusal is told."""
        return self.primary.knotc("-b", "zone-reload", zone)

    def wait_served(self, zone: str, *names: str) -> None:
        """Until these name servers have what the primary has."""
        for name in names or self.servers:
            wait_for(partial(self._has, name, zone))

    def _has(self, name: str, zone: str) -> bool:
        return self.servers[name].serial(zone) == self.primary.serial(zone) > 0


@contextlib.contextmanager
def hosts(image: Image, ground: Path, case: Declared) -> Iterator[Hosts]:
    """All of a golden case, running; gone afterwards."""
    rendered = render_hosts(case)
    with namespaces("primary", *case.primary["servers"]) as (first, *rest):
        made = {
            name: Machine(name, space, ground / name, image, case.hosts[name]["ipv4"])
            for name, space in zip(
                ["primary", *case.primary["servers"]], (first, *rest), strict=True
            )
        }
        primary = made.pop("primary")
        for name, server in made.items():
            _connect(primary, server, case)
            for address in case.primary["servers"][name].get("addresses", ()):
                server.space.ip(f"addr add {address} dev lo")
            server.prepare()
            server.put(rendered[name])
        primary.prepare()
        primary.put(rendered["primary"])
        yield Hosts(primary, made, case)


def _connect(primary: Machine, server: Machine, case: Declared) -> None:
    cable(primary.space, server.name, server.space, "up0")
    ours, theirs = case.hosts["primary"], case.hosts[server.name]
    for key, length in (("ipv4", 32), ("ipv6", 128)):
        if key not in theirs or key not in ours:
            continue
        nodad = "" if key == "ipv4" else " nodad"
        for space, end, own, other in (
            (primary.space, server.name, ours[key], theirs[key]),
            (server.space, "up0", theirs[key], ours[key]),
        ):
            space.ip(f"addr add {own}/{length} dev {end}{nodad}")
            space.ip(f"route add {other} dev {end} src {own}")
