"""Where the lab keeps things, and what it calls them: the one module that knows."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

# No hyphen: names of namespaces and cgroups join the parts with one, so `a` never owns `a-b`'s.
# Eleven characters keep `lb-<instance>-<host>` a valid host name and readable in `ip netns`.
_INSTANCE = re.compile(r"[a-z][a-z0-9]{0,10}")
NAMESPACES = Path("/run/netns")
CGROUPS = Path("/sys/fs/cgroup")


class LabError(Exception):
    """The lab cannot do what was asked; the text says what was found, what is needed, the fix."""


def state_root() -> Path:
    """Directory of everything that lives while a lab runs (`$LOOPBACK_STATE`)."""
    return Path(os.environ.get("LOOPBACK_STATE") or "/var/lib/loopback")


def cache_root() -> Path:
    """Directory of what can be built again (`$LOOPBACK_CACHE`)."""
    return Path(os.environ.get("LOOPBACK_CACHE") or "/var/cache/loopback")


def cluster_root() -> Path:
    """Directory of what the lab's cluster is made of."""
    return cache_root() / "cluster"


@dataclass(frozen=True)
class InstancePaths:
    """Names and places of one lab instance."""

    name: str

    def __post_init__(self) -> None:
        if not _INSTANCE.fullmatch(self.name):
            raise LabError(
                f"lab name: got {self.name!r}; need 1 to 11 lower-case letters and digits,"
                " first a letter\n  fix: --name lab"
            )

    @property
    def root(self) -> Path:
        """Everything of this instance on disk."""
        return state_root() / "lab" / self.name

    @property
    def lock(self) -> Path:
        """Held by whoever changes this instance."""
        return state_root() / "lab" / f"{self.name}.lock"

    @property
    def record(self) -> Path:
        """Which topology and image this instance was made from."""
        return self.root / "instance.json"

    @property
    def stack_config(self) -> Path:
        """Pulumi's stack file for the demonstration program."""
        return self.root / "config.yaml"

    @property
    def stack_state(self) -> Path:
        """State of what is deployed to this lab; it goes with the lab."""
        return self.root / "stack"

    @property
    def passphrase(self) -> Path:
        """Opens the secrets of the stack file."""
        return self.root / "passphrase"

    @property
    def keys(self) -> Path:
        """Generated keys of this instance."""
        return self.root / "keys"

    @property
    def ca_certificate(self) -> Path:
        """Certificate of the lab's own CA: what a client must trust."""
        return self.keys / "ca.pem"

    @property
    def mirror(self) -> Path:
        """What the lab's package mirror serves."""
        return self.root / "mirror"

    @property
    def cluster(self) -> Path:
        """Keys, the store and logs of the control plane, in a lab that has one."""
        return self.root / "cluster"

    @property
    def kubeconfig(self) -> Path:
        """The cluster's administrator."""
        return self.cluster / "admin.kubeconfig"

    @property
    def cluster_tools(self) -> Path:
        """Programs of the workstation that ask the cluster."""
        return self.cluster / "bin"

    @property
    def operator_key(self) -> Path:
        """The operator's private SSH key (OpenSSH format)."""
        return self.keys / "operator"

    @property
    def known_hosts(self) -> Path:
        """Pinned host keys, for a plain `ssh -o UserKnownHostsFile=`."""
        return self.keys / "known_hosts"

    def host(self, host: str) -> Path:
        """Files of one host: overlay, console log."""
        return self.root / "hosts" / host

    @property
    def namespace_prefix(self) -> str:
        """What every network namespace of this instance begins with."""
        return f"lb-{self.name}-"

    def namespace(self, host: str) -> str:
        """Name of a host's network namespace."""
        return f"{self.namespace_prefix}{host}"

    def namespace_path(self, host: str) -> Path:
        """The namespace as a file."""
        return NAMESPACES / self.namespace(host)

    def cgroup(self, host: str = "") -> Path:
        """Cgroup of a host (or of the whole instance), relative to each hierarchy's root."""
        return Path("loopback-lab") / self.name / host


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file by rename, so that a reader sees all of it or none; unchanged text is left."""
    if path.exists() and path.read_text() == text:
        return
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    draft.rename(path)
