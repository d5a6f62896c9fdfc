"""A certificate authority that speaks ACME, names it can ask, and cert-manager that asks it."""

from __future__ import annotations

import json
import os
import secrets
import ssl
import subprocess
import time
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from loopback_iac.kube import parse_issuer, parse_update, render_issuer, render_yaml
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.images import ContainerImage
from loopback_iac.lab.cluster.workload import CLASS
from loopback_iac.lab.keys import issue_certificate
from loopback_iac.lab.namespaces import connect, enter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_iac.lab.cluster.ground import Cluster

SITE, BY_DNS = "www.example.net", "dns.example.net"
CHALLENGES, KEY, NAMES_HOST = "acme.example.net", "challenges", "svc2"
PORT, MANAGEMENT = 14000, 15000
PATIENCE_S = 240
_MADE = {
    "default": (
        *("certificate/site-acme", "certificate/dns-acme"),
        *("secret/site-acme", "secret/dns-acme"),
    ),
    "cert-manager": ("clusterissuer/lab", "secret/lab-account", "secret/lab-updates"),
}
_KNOT = """\
server:
  listen: 0.0.0.0@53
key:
- id: {key}
  algorithm: hmac-sha256
  secret: {secret}
acl:
- id: challenges
  key: {key}
  action: update
  update-type: [TXT]
template:
- id: default
  storage: /var/lib/knot
  zonefile-load: whole
zone:
- domain: example.net
- domain: {challenges}
  acl: challenges
"""
_SOA = """\
@ 60 IN SOA ns.example.net. hostmaster.example.net. 1 60 60 3600 60
@ 60 IN NS ns.example.net.
"""
# Follows the CNAME into the zone of challenges, as whoever asks for an authority does.
_UNBOUND = f"""\
server:
  interface: 0.0.0.0@5353
  access-control: 0.0.0.0/0 allow
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "example.net." nodefault
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
stub-zone:
  name: example.net
  stub-addr: 198.18.250.12@53
stub-zone:
  name: {CHALLENGES}
  stub-addr: 198.18.250.12@53
"""
_SITE_ZONE = f"""\
{_SOA}ns 60 IN A 198.18.250.12
www 60 IN A 203.0.113.10
www 60 IN AAAA 2001:db8:100::10
acme 60 IN NS ns.example.net.
_acme-challenge.dns 60 IN CNAME dns.example.net.{CHALLENGES}.
"""


class Authority:
    """What a test does with it."""

    def __init__(self, cluster: Cluster, address: str) -> None:
        self.cluster, self.address = cluster, address

    @property
    def declared(self) -> dict[str, str]:
        """What whoever declares an issuer says of it."""
        return {
            "directory": f"https://{self.address}:{PORT}/dir",
            "email": "hostmaster@example.net",
            "ca_certificate": self.cluster.lab.paths.ca_certificate.read_text(),
        }

    def root(self) -> str:
        """Certificate that clients of this authority trust, PEM; new at every start."""
        context = ssl.create_default_context(cafile=str(self.cluster.lab.paths.ca_certificate))
        plain = connect(self.cluster.lab.paths, "cp", self.address, MANAGEMENT, 5)
        with plain, context.wrap_socket(plain, server_hostname=self.address) as wrapped:
            wrapped.sendall(b"GET /roots/0 HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: wrapped.recv(4096), b""))
        return answer.partition(b"\r\n\r\n")[2].decode()

    def request(self, name: str, dns_name: str) -> None:
        """Ask for a certificate; it comes into a Secret of the same name."""
        wanted = {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "secretName": name,
                "dnsNames": [dns_name],
                "privateKey": {"algorithm": "ECDSA"},
                "issuerRef": {"name": "lab", "kind": "ClusterIssuer"},
            },
        }
        self.cluster.kubectl("apply", "--server-side", "-f", "-", text=render_yaml([wanted]))

    def renew(self, name: str) -> None:
        """Have a certificate issued anew now, as `cmctl renew` does."""
        issuing = {
            "type": "Issuing",
            "status": "True",
            "reason": "ManuallyTriggered",
            "message": "renewal by a test",
            "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        patch = json.dumps([{"op": "add", "path": "/status/conditions/-", "value": issuing}])
        words = ("patch", "certificate", name, "--subresource=status", "--type=json", "-p", patch)
        self.cluster.kubectl(*words)

    def await_issued(self, name: str, revision: int = 1) -> None:
        """Wait until a certificate was issued so many times."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            told = json.loads(self.cluster.kubectl("get", "certificate", name, "-o", "json"))
            if told.get("status", {}).get("revision", 0) >= revision:
                return
            assert time.monotonic() < deadline, self.cluster.kubectl(
                *("get", "challenges,orders,certificaterequests", "-A", "-o", "yaml")
            )
            time.sleep(0.5)

    def serial(self, name: str) -> str:
        """What tells one certificate in a Secret from the next."""
        words = ("get", "secret", name, "-o", "jsonpath={.data.tls\\.crt}")
        return self.cluster.kubectl(*words)


@contextmanager
def running_authority(cluster: Cluster, folder: Path) -> Iterator[Authority]:
    """Names, authority and cert-manager, until the end of the block."""
    address = cluster.plane.address
    secret = b64encode(secrets.token_bytes(32)).decode()
    _serve_names(cluster, secret)
    with ExitStack() as stack:
        stack.enter_context(_pebble(cluster, folder, address))
        solver = ContainerImage("acmesolver", binary("acmesolver"))
        for node in cluster.nodes:
            node.load([solver])
        crds = render_namespace() + "".join(
            f"---\n{path.read_text()}"
            for path in sorted(binary("cert-manager-crds").glob("*.yaml"))
        )
        cluster.kubectl("apply", "--server-side", "-f", "-", text=crds)
        cluster.kubectl("wait", "--for=condition=Established", "crd", "--all")
        stack.enter_context(_cert_manager(cluster, folder, solver))
        authority = Authority(cluster, address)
        manifests = render_yaml(_issuer(authority, secret))
        cluster.kubectl("apply", "--server-side", "-f", "-", text=manifests)
        try:
            yield authority
        finally:
            # the authority forgets its accounts when it ends; what it knew of them goes with it
            for space, kinds in _MADE.items():
                words = ("delete", *kinds, f"--namespace={space}", "--ignore-not-found")
                cluster.kubectl(*words, "--wait=false")


def render_namespace() -> str:
    named = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cert-manager"}}
    return render_yaml([named])


def _issuer(authority: Authority, secret: str) -> list[dict[str, Any]]:
    """As CertificateIssuer declares it."""
    declared = {
        **authority.declared,
        "http01": {"edge": True, "class_name": CLASS},
        "dns01": {
            "zone": CHALLENGES,
            "names": [BY_DNS],
            "update": True,
            "self_check": True,
        },
    }
    issuer = parse_issuer("lab", declared)
    told = {"addresses": ["198.18.250.12"], "key_name": KEY, "secret": secret}
    return render_issuer(issuer, parse_update("lab", issuer, {**told, "zones": [CHALLENGES]}))


def _serve_names(cluster: Cluster, secret: str) -> None:
    """The zones of the site and of its challenges, on a host beside the fleet."""
    files = {
        "/etc/knot/knot.conf": _KNOT.format(key=KEY, secret=secret, challenges=CHALLENGES),
        "/etc/unbound/unbound.conf": _UNBOUND,
        "/var/lib/knot/example.net.zone": _SITE_ZONE,
        f"/var/lib/knot/{CHALLENGES}.zone": _SOA,
    }
    for path, text in files.items():
        done = cluster.lab.exec(
            NAMES_HOST,
            ["sh", "-c", f"cat >{path} && case {path} in */knot/*) chown knot: {path};; esac"],
            text,
        )
        assert done.returncode == 0, done.stderr
    done = cluster.lab.exec(NAMES_HOST, ["systemctl", "restart", "knot", "unbound"])
    assert done.returncode == 0, done.stderr


@contextmanager
def _pebble(cluster: Cluster, folder: Path, address: str) -> Iterator[None]:
    both = issue_certificate(cluster.lab.paths, address)
    key_begins = both.index("-----BEGIN PRIVATE KEY-----")
    (folder / "pebble.crt").write_text(both[:key_begins])
    (folder / "pebble.key").write_text(both[key_begins:])
    config = {
        "listenAddress": f"{address}:{PORT}",
        "managementListenAddress": f"{address}:{MANAGEMENT}",
        "certificate": str(folder / "pebble.crt"),
        "privateKey": str(folder / "pebble.key"),
        "httpPort": 80,
        "tlsPort": 443,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    argv = ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver", "198.18.250.12:5353"]
    with _beside(cluster, folder / "pebble.log", argv, {"PEBBLE_VA_NOSLEEP": "1"}) as process:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                connect(cluster.lab.paths, "cp", address, PORT, 2).close()
            except OSError:
                assert process.poll() is None, (folder / "pebble.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            else:
                break
        yield


@contextmanager
def _cert_manager(cluster: Cluster, folder: Path, solver: ContainerImage) -> Iterator[None]:
    argv = [str(binary("cert-manager")), f"-kubeconfig={cluster.plane.kubeconfig}"]
    argv += [f"-acme-http01-solver-image={solver.reference}"]
    argv += ["-cluster-resource-namespace=cert-manager"]
    argv += ["-dns01-recursive-nameservers=198.18.250.12:53", "-dns01-recursive-nameservers-only"]
    with _beside(cluster, folder / "cert-manager.log", argv, {}):
        yield


@contextmanager
def _beside(
    cluster: Cluster, log: Path, argv: list[str], more: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the network of the control plane."""
    plain = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*enter(cluster.lab.paths, "cp"), *argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=plain | more,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
