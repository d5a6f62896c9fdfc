"""Who is who in the lab's cluster: one CA, the identities it signed, kubeconfig files."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from loopback_iac.lab.authority import Authority, Signed
from loopback_iac.lab.keys import keep
from loopback_iac.lab.paths import write_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Groups and names with built-in roles: kubernetes.io/docs/reference/access-authn-authz/rbac.
ADMIN = ("lab-admin", ("system:masters",))
CONTROLLER_MANAGER = ("system:kube-controller-manager", ())
SCHEDULER = ("system:kube-scheduler", ())


@dataclass(frozen=True)
class Pki:
    """Keys of one cluster in a directory; made when they are missing."""

    folder: Path
    server: str

    @property
    def ca(self) -> Path:
        """Certificate of the cluster's CA."""
        return self.folder / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """Its key, for the controller manager."""
        return self.folder / "ca-key.pem"

    @property
    def service_accounts(self) -> Path:
        """The key that signs tokens of service accounts, and a certificate with its public half."""
        return self.folder / "service-accounts.pem"

    def prepare(self) -> None:
        """Make the CA and the key of the service accounts."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority = self._authority()
        write_private(self.ca, authority.certificate, 0o644)
        write_private(self.ca_key, authority.key_pem)
        keep(self.service_accounts, lambda: Authority.create("service-accounts").pem)

    def server_files(self, name: str, names: Sequence[str], subject: str = "") -> tuple[Path, Path]:
        """
        Certificate and key of a server.

        In: name, of the files; names, the host names and addresses it answers to.
        """
        return self._files(name, subject or name, names, ())

    def client_files(self, name: str, organizations: Sequence[str] = ()) -> tuple[Path, Path]:
        """Certificate and key of a client: a user of that name in these groups."""
        return self._files(f"client-{name.replace(':', '-')}", name, (), organizations)

    def kubeconfig(self, name: str, organizations: Sequence[str] = ()) -> Path:
        """A kubeconfig of a user of that name in these groups, with everything in it."""
        certificate, key = self.client_files(name, organizations)
        path = self.folder / f"{name.replace(':', '-')}.kubeconfig"
        signed = Signed(certificate.read_text(), key.read_text())
        write_private(path, render_kubeconfig(self.server, self.ca.read_text(), name, signed))
        return path

    def _files(
        self, name: str, subject: str, names: Sequence[str], organizations: Sequence[str]
    ) -> tuple[Path, Path]:
        def make() -> str:
            signed = self._authority().sign(subject, names, organizations)
            return signed.key + signed.certificate

        # one file first, so that one half is never another's
        whole = keep(self.folder / f"{name}.pem", make)
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        begin = whole.index("-----BEGIN CERTIFICATE-----")
        write_private(key, whole[:begin])
        write_private(certificate, whole[begin:], 0o644)
        return certificate, key

    def _authority(self) -> Authority:
        made = keep(self.folder / "authority.pem", lambda: Authority.create("lab-cluster").pem)
        return Authority.parse(made)


def render_kubeconfig(server: str, ca: str, user: str, signed: Signed) -> str:
    """A kubeconfig with its certificates inside: one file is all that a client needs."""

    def data(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    cluster = {"server": server, "certificate-authority-data": data(ca)}
    credentials = {
        "client-certificate-data": data(signed.certificate),
        "client-key-data": data(signed.key),
    }
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
            "current-context": "lab",
        },
        sort_keys=False,
    )
