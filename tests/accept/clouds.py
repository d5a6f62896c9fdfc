"""Three clouds without hosts: their accounts and their name servers, and a network to ask from.

The stand-ins run as in a lab: the same plugins, books and daemons. What a lab would add are hosts,
and nobody here needs one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopback_iac.lab import cgroups
from loopback_iac.lab.cloud import http_api
from loopback_iac.lab.cloud.account import Account
from loopback_iac.lab.cloud.ionos.dns_api import DnsApi
from loopback_iac.lab.cloud.ionos.words import FAULTS
from loopback_iac.lab.cloud.zones import DNS_CLOUDS
from loopback_iac.lab.image import ensure_image
from loopback_iac.lab.names import asking
from loopback_iac.lab.paths import InstancePaths
from tests.accept.network import Namespace, namespaces, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = [cloud.name for cloud in DNS_CLOUDS]
ADDRESS = {cloud.name: http_api.address_of(cloud) for cloud in DNS_CLOUDS}
PRIMARY = "198.51.100.53"
TOKENS = {
    "cloudflare": "cloudflare-token-of-this-test-0123456789",
    "hcloud": "h" * 64,
    "ionoscloud": "ionos-token-of-this-test",
}


@dataclass
class Clouds:
    """The clouds of one test: where they keep things, and the network that sees them."""

    paths: InstancePaths
    net: Namespace
    asker: subprocess.Popen[str]
    endpoint: str

    def ask(self, cloud: str, name: str, kind: str) -> dict[str, Any]:
        """One question to the name server of a cloud."""
        wanted = {"server": ADDRESS[cloud], "name": name, "type": kind}
        self.asker.stdin.write(json.dumps(wanted) + "\n")
        self.asker.stdin.flush()
        return json.loads(self.asker.stdout.readline())

    def answer(self, cloud: str, name: str, kind: str) -> list[str]:
        """Texts of the records of one type in the answer, in order."""
        told = self.ask(cloud, name, kind).get("answer", [])
        return sorted(line.split(" ", 4)[4] for line in told if line.split(" ")[3] == kind)

    def log(self, cloud: str) -> str:
        """What its name server said."""
        return (self.paths.root / "clouds" / f"{cloud}-dns" / "log").read_text()


@contextlib.contextmanager
def clouds() -> Iterator[Clouds]:
    """Clouds that are gone afterwards, with every daemon of theirs."""
    image, _ = ensure_image()
    state = Path(tempfile.mkdtemp(prefix="clouds-"))
    paths = InstancePaths(f"op{os.getpid()}")
    # Commands call `loopback`, as they would with the virtual environment activated
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    set_here = {"LOOPBACK_STATE": str(state), "LOOPBACK_LAB": paths.name, "PATH": path}
    with environment(**set_here), namespaces("net") as made:
        paths.keys.mkdir(parents=True)
        paths.record.write_text(json.dumps({"topology": "demo", "image": str(image)}))
        try:
            for at, cloud in enumerate(NAMES):
                _join(paths, cloud, made[0], at)
            made[0].ip(f"address add {PRIMARY}/32 dev lo")
            asker = made[0].start(sys.executable, asking.__file__)
            with _dns_api(paths) as endpoint:
                yield Clouds(paths, made[0], asker, endpoint)
        finally:
            for cloud in NAMES:
                cgroups.kill(paths, f"{cloud}-dns")
                if paths.namespace_path(cloud).exists():
                    subprocess.run(["ip", "netns", "del", paths.namespace(cloud)], check=True)
            cgroups.remove(paths)
            shutil.rmtree(state)


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set for this process and whatever it starts."""
    former = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in former.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def _join(paths: InstancePaths, cloud: str, net: Namespace, at: int) -> None:
    """A cloud's router, one cable from where everybody else is."""
    router = Namespace(paths.namespace(cloud))
    subprocess.run(["ip", "netns", "add", router.name], check=True)
    subprocess.run(
        f"ip link add wan netns {router.name} type veth peer name {cloud} netns {net.name}".split(),
        check=True,
    )
    router.ip("link set lo up")
    router.ip(f"address add 192.0.2.{2 * at}/31 dev wan")
    net.ip(f"address add 192.0.2.{2 * at + 1}/31 dev {cloud}")
    router.ip("link set wan up")
    net.ip(f"link set {cloud} up")
    router.ip(f"route add default via 192.0.2.{2 * at + 1}")
    net.ip(f"route add {ADDRESS[cloud]}/32 via 192.0.2.{2 * at}")


@contextlib.contextmanager
def _dns_api(paths: InstancePaths) -> Iterator[str]:
    """IONOS' DNS API on this machine's loopback, without TLS: what is tried is what it says."""
    token = paths.keys / "token-ionoscloud"
    token.write_text(TOKENS["ionoscloud"])
    account = Account("ionoscloud", threading.Event(), FAULTS, {})
    handler = type("Exchange", (http_api.Exchange,), {"api": DnsApi(account), "token": token})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


__all__ = ["ADDRESS", "PRIMARY", "TOKENS", "Clouds", "clouds", "environment", "wait_for"]
