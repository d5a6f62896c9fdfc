"""A stack of its own whose servers are put into the lab; everything is gone afterwards."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loopback_iac.engine import Options, Result, destroy, up
from loopback_iac.engine.passphrase import Crypter
from loopback_iac.lab.cloud.book import Shelf
from loopback_iac.lab.cloud.switches import Fault, Switches, set_switches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopback_iac.lab import Lab

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PASSPHRASE = "correct horse battery staple"
CRYPTER = Crypter.create(PASSPHRASE)
PACKAGES = {"hetzner": "hcloud", "ionos": "ionoscloud"}


def make_key() -> tuple[str, str]:
    """A host key made before the host is: private in OpenSSH's format, public as one line."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return private.decode(), public.decode()


def render_user_data(mark: str, host_key: tuple[str, str]) -> str:
    """A first boot: the host key that is known already, and a file to tell boots apart."""
    return "#cloud-config\n" + yaml.safe_dump(
        {
            "ssh_deletekeys": True,
            "ssh_genkeytypes": [],
            "ssh_keys": {"ed25519_private": host_key[0], "ed25519_public": host_key[1]},
            "write_files": [{"path": "/etc/mark", "content": f"{mark}\n"}],
        }
    )


@dataclass
class Yard:
    """One project over one cloud: write its configuration, run a verb, look at what stands."""

    lab: Lab
    folder: Path
    program: str
    host_key: tuple[str, str] = field(default_factory=make_key)

    @property
    def cloud(self) -> str:
        return PACKAGES[self.program]

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.lab.paths)

    def write(self, **config: Any) -> None:
        """In: config, over what every stack here has."""
        paths = self.lab.paths
        ops = self.lab.topology.uplink("ops")
        plain = {
            "sshPublicKey": paths.operator_key.with_suffix(".pub").read_text()
            if paths.operator_key.with_suffix(".pub").exists()
            else self._operator_public(),
            "sources": [f"{ops.v4.ip}/32", f"{ops.v6.ip}/128"],
            "ports": ["22"],
            "servers": {},
            **config,
        }
        secret = {
            f"yard:userData-{mark}": render_user_data(mark, self.host_key)
            for mark in ("first", "second")
        }
        secret |= {
            f"{PACKAGES[self.program]}:token": (paths.keys / f"token-{self.cloud}").read_text()
        }
        document = {
            "encryptionsalt": CRYPTER.salt,
            "config": {f"yard:{key}": value for key, value in plain.items()}
            | {key: {"secure": CRYPTER.encrypt(text)} for key, text in secret.items()},
        }
        (self.folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump(document))

    def _operator_public(self) -> str:
        key = serialization.load_ssh_private_key(
            self.lab.paths.operator_key.read_bytes(), password=None
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        return f"{public.decode()} operator"

    def run(self, verb: Callable[[Options], Result]) -> Result:
        return verb(Options(directory=self.folder, passphrase=PASSPHRASE))

    def up(self) -> Result:
        result = self.run(up)
        assert result.ok, result.diagnostics
        return result

    def refused(self) -> str:
        """What a run says that fails."""
        result = self.run(up)
        assert not result.ok
        return "\n".join(str(said.message) for said in result.diagnostics)

    def switch(self, *faults: Fault, **limits: int) -> None:
        set_switches(self.shelf, Switches(list(faults), {self.cloud: limits}))

    def things(self, kind: str) -> dict[str, dict[str, Any]]:
        return self.shelf.read(self.cloud).of(kind)

    def ssh(self, address: str, *command: str) -> str:
        """Log in from the workstation with the pinned key, once the host answers."""
        known = self.folder / "known_hosts"
        known.write_text(f"{address} {self.host_key[1]}\n")
        argv = ["ssh", "-F", "none", "-i", str(self.lab.paths.operator_key), "-o", "BatchMode=yes"]
        argv += ["-o", f"UserKnownHostsFile={known}", "-o", "ConnectTimeout=5", f"root@{address}"]
        deadline = time.monotonic() + 60
        while (done := self.lab.exec("ops", [*argv, *command])).returncode == 255:
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.2)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def reaches(self, address: str, port: int) -> str:
        """`open`, `refused` (a host answered) or `silent`, for a TCP connection of ops."""
        script = (
            "import socket,sys\n"
            "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 1); print('open')\n"
            "except ConnectionRefusedError: print('refused')\n"
            "except OSError: print('silent')\n"
        )
        done = self.lab.exec("ops", ["python3", "-c", script, address, str(port)])
        return done.stdout.strip()


@pytest.fixture(scope="session")
def lab(spare_lab: Lab) -> Lab:
    """Not the fleet's."""
    return spare_lab


@pytest.fixture
def yard(
    request: pytest.FixtureRequest, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Yard]:
    """In: the test's mark `program`; the cloud is empty before and after."""
    program = request.param
    monkeypatch.setenv("LOOPBACK_LAB", lab.paths.name)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    cloud = PACKAGES[program]
    project = {
        "name": "yard",
        "runtime": "python",
        "main": str(HERE / "programs" / program),
        "plugins": {
            "providers": [{"name": cloud, "path": str(ROOT / "loopback_iac/lab/plugins" / cloud)}]
        },
    }
    (tmp_path / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    made = Yard(lab, tmp_path, program)
    yield made
    made.switch()
    result = made.run(destroy)
    assert result.ok, result.diagnostics
    left = made.shelf.read(cloud)
    assert not any(left.things.values()), json.dumps(left.things)
    assert not left.machines
