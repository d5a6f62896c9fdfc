"""An operator's name server in the lab: a real NSD or Knot that serves what its account has.

It runs from the hosts' image, in the network of the cloud's router, at the address where the API
is. Hetzner's and Cloudflare's are NSD, IONOS' is Knot: two programs do not share their faults.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, NamedTuple

from loopback_iac.lab import cgroups, namespaces
from loopback_iac.lab.cloud.http_api import address_of
from loopback_iac.lab.paths import LabError, write_private
from loopback_iac.lab.templating import render
from loopback_iac.lab.topology import CLOUDS, Cloud

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from loopback_iac.lab.paths import InstancePaths

# Cloudflare has name servers here and no machines: no lab has a network of it yet, tests make one
DNS_CLOUDS = (
    *CLOUDS,
    Cloud(
        "cloudflare",
        IPv4Network("198.18.80.0/20"),
        IPv6Network("2001:db8:6000::/36"),
        28,
        "2001:db8:ff:1a::",
    ),
)
# Where the server's folder stands in its own view of the machine.
_HOME = "/mnt"
_DEADLINE_S, _AGAIN_S, _CALL_S = 30.0, 0.05, 20.0
_SOFTWARE = {"cloudflare": "nsd", "hcloud": "nsd", "ionoscloud": "knot"}
_START = {
    "nsd": ["nsd", "-d", "-c", f"{_HOME}/nsd.conf"],
    "knot": ["knotd", "-c", f"{_HOME}/knot.conf"],
}
_CONTROL = {
    "nsd": ["nsd-control", "-c", f"{_HOME}/nsd.conf"],
    "knot": ["knotc", "-b", "-c", f"{_HOME}/knot.conf"],
}
# Knot reads zone files with its configuration, NSD by a word of their own.
_RELOAD = {"nsd": (["reconfig"], ["reload"]), "knot": (["reload"],)}


class Source(NamedTuple):
    """A primary that a secondary zone is transferred from."""

    address: str
    port: int = 53
    key: str = ""
    algorithm: str = ""
    secret: str = ""


@dataclass(frozen=True)
class Held:
    """One zone of an account: what its file says, or where it comes from."""

    name: str
    text: str = ""
    sources: tuple[Source, ...] = ()

    @property
    def file(self) -> str:
        """Name of its zone file."""
        return f"{self.name}.zone"


class NameServer:
    """The name server of one cloud in one lab."""

    def __init__(self, paths: InstancePaths, cloud: str, image: Path) -> None:
        self._paths, self._cloud, self._image = paths, cloud, image
        self._software = _SOFTWARE[cloud]
        self._group = f"{cloud}-dns"

    @property
    def address(self) -> str:
        """Where it answers, at port 53."""
        return address_of(next(cloud for cloud in DNS_CLOUDS if cloud.name == self._cloud))

    @property
    def home(self) -> Path:
        """Its folder on this machine."""
        return self._paths.root / "clouds" / self._group

    def serve(self, zones: Iterable[Held]) -> None:
        """
        Serve these and nothing else; it has read them when this returns. Without any it ends.

        Raises: LabError when it does not start, or refuses what it is given.
        """
        held = sorted(zones, key=lambda zone: zone.name)
        if not held:
            cgroups.kill(self._paths, self._group)
            return
        self._write(held)
        if not cgroups.pids(self._paths, self._group):
            self._start()
            return
        for words in _RELOAD[self._software]:
            self._control(*words)

    def _write(self, held: list[Held]) -> None:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for zone in held:
            if zone.text:
                write_private(self.home / zone.file, zone.text)
        text = render(
            f"operator-{self._software}.conf.j2", address=self.address, home=_HOME, zones=held,
            name=self._cloud, sources=_numbered(held), keys=_keys(held),
        )  # fmt: skip
        write_private(self.home / f"{self._software}.conf", text)

    def _start(self) -> None:
        lines = [f"address replace {self.address}/32 dev lo"]
        namespaces.ip_batch(self._paths.namespace(self._cloud), lines)
        join = cgroups.ensure_cgroup(self._paths, self._group)
        # what an earlier one left would be taken for a server that runs
        for left in ("nsd.pid", "nsd.sock", "knot.pid", "knot.sock"):
            (self.home / left).unlink(missing_ok=True)
        with (self.home / "log").open("ab") as log:
            subprocess.run(
                ["setsid", "--fork", *join, *self._inside(_START[self._software])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True,
            )  # fmt: skip
        deadline = time.monotonic() + _DEADLINE_S
        while not self._answers():
            if time.monotonic() > deadline:
                said = (self.home / "log").read_text(errors="replace")[-2000:]
                raise LabError(f"the name server of {self._cloud} does not start\n{said}")
            time.sleep(_AGAIN_S)

    def _answers(self) -> bool:
        words = [*_CONTROL[self._software], "status"]
        return self._run(words).returncode == 0

    def _control(self, *words: str) -> None:
        done = self._run([*_CONTROL[self._software], *words])
        if done.returncode:
            said = done.stdout + done.stderr
            raise LabError(f"the name server of {self._cloud} refuses {words[0]}\n{said}")

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._inside(words), capture_output=True, text=True, timeout=_CALL_S, check=False
        )

    def _inside(self, words: list[str]) -> list[str]:
        """In the router's network, with the image's programs and the server's own folder."""
        image, home = shlex.quote(str(self._image)), shlex.quote(str(self.home))
        script = f"mount --bind {home} {image}{_HOME} && exec chroot {image} {shlex.join(words)}"
        inside = namespaces.enter(self._paths, self._cloud)
        return [*inside, "unshare", "--mount", "sh", "-c", script]


def _numbered(held: list[Held]) -> list[tuple[str, Source]]:
    """Every primary under a name of its own, as both programs' configurations want them."""
    return [
        (f"{zone.name}-{at}", source) for zone in held for at, source in enumerate(zone.sources)
    ]


def _keys(held: list[Held]) -> list[tuple[str, str, str]]:
    """
    Each TSIG key once.

    Raises: LabError when two of one name differ: which of them a primary means, nobody could say.
    """
    keys = {(s.key, s.algorithm, s.secret) for zone in held for s in zone.sources if s.key}
    if len({name for name, *_ in keys}) < len(keys):
        raise LabError("this stand-in holds one TSIG key of a name; zones bring several")
    return sorted(keys)
