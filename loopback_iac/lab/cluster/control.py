"""The control plane of the lab's cluster: store, API server, controller manager, scheduler."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopback_iac.lab import cgroups
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.pki import ADMIN, CONTROLLER_MANAGER, SCHEDULER, Pki
from loopback_iac.lab.namespaces import connect, enter, exists
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.topology import CONTROL_PLANE

if TYPE_CHECKING:
    from pathlib import Path

    from loopback_iac.lab.paths import InstancePaths

API, STORE, CONTROLLERS, SCHEDULING = (
    "kube-apiserver",
    "etcd",
    "kube-controller-manager",
    "kube-scheduler",
)
SERVICES = "10.96.0.0/16"
# The first address of it: what pods dial as `kubernetes.default`.
API_SERVICE = "10.96.0.1"
PODS = "10.244.0.0/16"
_ISSUER = "https://kubernetes.default.svc"
_PATIENCE_S = 60.0
_STARTED_S = 2.0


@dataclass(frozen=True)
class ControlPlane:
    """
    One cluster's control plane; which of it runs is read from the kernel each time.

    In: address, where the API server listens, which is no loopback address where nodes shall reach
    it; ports from `port` on, four of them. It runs in the network namespace of `host` where the
    instance has one, else in the caller's.
    """

    paths: InstancePaths
    address: str
    host: str = CONTROL_PLANE
    port: int = 6443

    @property
    def folder(self) -> Path:
        """Keys, the store, logs."""
        return self.paths.cluster

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.address}:{self.port}"

    @property
    def pki(self) -> Pki:
        """Keys of this cluster."""
        return Pki(self.folder / "pki", self.server)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.paths.kubeconfig

    def up(self) -> None:
        """
        Start what does not run and wait until it serves; twice is as good as once.

        Raises: LabError with the last words of a process that ended.
        """
        self.prepare()
        for name in (STORE, API):
            self.start(name)
        self.await_ready()
        for name in (CONTROLLERS, SCHEDULING):
            self.start(name)
        # without it no pod is admitted
        self._await("the default service account", CONTROLLERS, _DEFAULT_ACCOUNT)

    def prepare(self) -> None:
        """Make the keys and the administrator's kubeconfig."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        self.pki.prepare()
        made = self.pki.kubeconfig(*ADMIN)
        _link(self.kubeconfig, made)
        self.paths.cluster_tools.mkdir(exist_ok=True)
        _link(self.paths.cluster_tools / "kubectl", binary("kubectl"))

    def start(self, name: str) -> bool:
        """
        Start one of the four; `prepare` was called.

        Out: False when it runs.
        """
        if self.runs(name):
            return False
        inside = enter(self.paths, self.host) if exists(self.paths, self.host) else []
        argv = [str(binary("labkube")), name, *self._arguments()[name]]
        with self.log(name).open("ab") as log:
            placed = cgroups.ensure_cgroup(self.paths, self._place(name))
            subprocess.run(
                ["setsid", "--fork", *placed, *inside, *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=True,
            )
        return True

    def runs(self, name: str) -> bool:
        """Whether one of the four has a process."""
        return bool(cgroups.pids(self.paths, self._place(name)))

    def kill(self, name: str = "") -> None:
        """SIGKILL one of the four, or all: the API server's own way takes a minute with watches."""
        cgroups.kill(self.paths, self._place(name))

    def log(self, name: str) -> Path:
        """What one of the four says."""
        return self.folder / f"{name}.log"

    def await_ready(self, timeout_s: float = _PATIENCE_S) -> None:
        """
        Wait until the API server serves.

        Raises: LabError when it does not, or has ended.
        """
        self._await("the API server", API, "/readyz", timeout_s)

    def get(self, path: str, timeout_s: float = 5) -> Any:  # noqa: ANN401 -- JSON
        """
        Read from the API as administrator.

        Out: the answer's JSON, or its text where it is none.
        Raises: OSError when nobody answers; LabError when the answer is no success.
        """
        status, body = self._asked(path, timeout_s)
        if status != http.HTTPStatus.OK:
            raise LabError(f"GET {path}: {status} {body[:300]}")
        return json.loads(body) if body.startswith("{") else body

    def memory_bytes(self) -> dict[str, int]:
        """Process -> anonymous memory."""
        return {
            name: cgroups.memory_bytes(self.paths, self._place(name)) for name in self._arguments()
        }

    def _place(self, name: str) -> str:
        return f"{self.host}/{name}" if name else self.host

    def _await(self, what: str, process: str, path: str, timeout_s: float = _PATIENCE_S) -> None:
        begun = time.monotonic()
        while True:
            try:
                self.get(path, 2)
            except (OSError, http.client.HTTPException, LabError) as error:
                waited = time.monotonic() - begun
                # it is in its cgroup a moment after it was started
                died = waited > _STARTED_S and not self.runs(process)
                if died or waited > timeout_s:
                    said = self.log(process).read_text(errors="replace").splitlines()[-6:]
                    told = "has ended" if died else f"does not answer after {timeout_s:.0f} s"
                    lines = "\n  ".join(said)
                    raise LabError(f"{what} {told} ({error})\n  {lines}") from None
                time.sleep(0.05)
            else:
                return

    def _asked(self, path: str, timeout_s: float) -> tuple[int, str]:
        certificate, key = self.pki.client_files(*ADMIN)
        context = ssl.create_default_context(cafile=str(self.pki.ca))
        context.load_cert_chain(certificate, key)
        with self._dialled(timeout_s) as plain:
            wrapped = context.wrap_socket(plain, server_hostname=self.address)
            connection = http.client.HTTPSConnection(self.address, self.port, timeout=timeout_s)
            connection.sock = wrapped
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode(errors="replace")
            finally:
                connection.close()

    def _dialled(self, timeout_s: float) -> socket.socket:
        if exists(self.paths, self.host):
            return connect(self.paths, self.host, self.address, self.port, timeout_s)
        return socket.create_connection((self.address, self.port), timeout_s)

    def _arguments(self) -> dict[str, list[str]]:
        pki, folder = self.pki, self.folder
        store = f"http://127.0.0.1:{self.port + 1}"
        names = [self.address, "127.0.0.1", API_SERVICE, "localhost", "kubernetes"]
        names += ["kubernetes.default", "kubernetes.default.svc"]
        certificate, key = pki.server_files(API, names)
        to_kubelet, to_kubelet_key = pki.client_files("kube-apiserver-kubelet", ADMIN[1])
        shared = ["--bind-address=127.0.0.1", "--leader-elect=false"]
        return {
            STORE: [str(folder / "etcd"), store],
            API: [
                f"--etcd-servers={store}",
                f"--bind-address={self.address}",
                f"--advertise-address={self.address}",
                f"--secure-port={self.port}",
                f"--cert-dir={folder}",
                f"--tls-cert-file={certificate}",
                f"--tls-private-key-file={key}",
                f"--client-ca-file={pki.ca}",
                f"--kubelet-certificate-authority={pki.ca}",
                f"--kubelet-client-certificate={to_kubelet}",
                f"--kubelet-client-key={to_kubelet_key}",
                "--kubelet-preferred-address-types=InternalIP",
                f"--service-account-issuer={_ISSUER}",
                f"--service-account-key-file={pki.service_accounts}",
                f"--service-account-signing-key-file={pki.service_accounts}",
                f"--service-cluster-ip-range={SERVICES}",
                # nodes reach the API by a rule of their own; no proxy reads its endpoints
                "--endpoint-reconciler-type=none",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--anonymous-auth=false",
            ],
            CONTROLLERS: [
                *shared,
                *_identity(pki.kubeconfig(*CONTROLLER_MANAGER)),
                f"--secure-port={self.port + 2}",
                f"--cert-dir={folder}",
                f"--root-ca-file={pki.ca}",
                f"--service-account-private-key-file={pki.service_accounts}",
                f"--cluster-signing-cert-file={pki.ca}",
                f"--cluster-signing-key-file={pki.ca_key}",
                f"--cluster-cidr={PODS}",
                f"--service-cluster-ip-range={SERVICES}",
                "--allocate-node-cidrs=true",
                "--use-service-account-credentials=true",
            ],
            SCHEDULING: [
                *shared,
                *_identity(pki.kubeconfig(*SCHEDULER)),
                f"--secure-port={self.port + 3}",
                f"--cert-dir={folder}",
            ],
        }


def _link(path: Path, target: Path) -> None:
    """A link that is never missing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.rename(path)


_DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


def _identity(kubeconfig: Path) -> list[str]:
    names = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    return [f"--{name}={kubeconfig}" for name in names]
