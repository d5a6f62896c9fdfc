"""The stack of names with a baseline: what it is told, and the machine that keeps its backups."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.lab.certificates import Authority
from tests.lab.project import close_ssh, open_ssh, says

if TYPE_CHECKING:
    from pathlib import Path

    from loopback_iac.lab import Lab

TARGET = "c-par"
USER = "loopback-backup"
HOME = f"/home/{USER}"


@dataclass
class Keeper:
    """A machine elsewhere: a login that runs one command, and a folder."""

    lab: Lab
    folder: Path

    @property
    def key(self) -> Path:
        """Private key that the primary logs in with."""
        return self.folder / "backup"

    @property
    def reader(self) -> Path:
        """Key that reads backups; it lies on no host."""
        return self.folder / "reader.pem"

    @property
    def certificate(self) -> Path:
        """What backups are encrypted for."""
        return self.folder / "certificate.pem"

    def seal(self, text: str) -> str:
        """As docs/baseline.md does with a state."""
        argv = ["openssl", "cms", "-encrypt", "-binary", "-aes256", "-outform", "PEM"]
        argv.append(str(self.certificate))
        return subprocess.run(argv, input=text, text=True, check=True, capture_output=True).stdout

    def open(self, sealed: str) -> bytes:
        """As whoever has the reader's key does."""
        argv = ["openssl", "cms", "-decrypt", "-inform", "PEM", "-inkey", str(self.reader)]
        done = subprocess.run(argv, input=sealed.encode(), check=True, capture_output=True)
        return done.stdout

    def configuration(self) -> dict[str, Any]:
        """What the stack is told; nobody listens at the sinks, and nobody waits for them."""
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)]
        subprocess.run(make, check=True)
        authority = Authority()
        signed = authority.sign("reader.example.net")
        self.reader.write_text(signed.key)
        self.certificate.write_text(signed.certificate)
        sink = {
            "port": 6514,
            "ca_certificate": authority.certificate,
            "kept_days": 90,
            "unalterable_by": "object lock, so its operator says",
        }
        waived = "a server of the lab"
        address = str(self.lab.topology.uplink(TARGET).v4.ip)
        target = {"address": address, "host_key": open_ssh(self.lab, TARGET), "provider": "far"}
        servers = {
            n: {"address": f"198.18.250.{n}", "operator": f"o{n % 2}", "nts_waived_because": waived}
            for n in (201, 202, 203, 204)
        }
        return {
            "baseline": {
                "logs": {
                    "sinks": {
                        "near": sink | {"address": "198.18.250.201", "provider": "near"},
                        "far": sink | {"address": "198.18.250.202", "provider": "far"},
                    }
                },
                "time": {"servers": {f"t{n}": server for n, server in servers.items()}},
                "backups": {
                    "certificate": signed.certificate,
                    "targets": {"par": target},
                    "kept_days": 30,
                    "restored_on": datetime.now(UTC).date().isoformat(),
                },
            },
            "backupKey": self.key.read_text(),
        }

    def admit(self, line: str) -> None:
        """As its operator would: a login of its own, and the line of the stack's output."""
        made = f"useradd --create-home --shell /bin/sh {USER} && mkdir -m 700 {HOME}/.ssh"
        says(self.lab, TARGET, "sh", "-c", made)
        self.lab.exec(TARGET, ["sh", "-c", f"cat > {HOME}/.ssh/authorized_keys"], line + "\n")
        says(self.lab, TARGET, "chown", "-R", f"{USER}:{USER}", f"{HOME}/.ssh")

    def kept(self) -> list[str]:
        """Names of what it keeps, oldest first."""
        listed = self.lab.exec(TARGET, ["ls", f"{HOME}/loopback-backups"]).stdout
        return listed.split()

    def read(self, name: str) -> str:
        return says(self.lab, TARGET, "cat", f"{HOME}/loopback-backups/{name}") + "\n"

    def ask(self, text: str, *words: str) -> subprocess.CompletedProcess[str]:
        """By the primary's own key, as whoever took the primary over would."""
        address = str(self.lab.topology.uplink(TARGET).v4.ip)
        argv = ["ssh", "-i", str(self.key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        argv += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        return self.lab.exec("ops", [*argv, f"{USER}@{address}", *words], text)

    def close(self) -> None:
        self.lab.exec(TARGET, ["userdel", "--remove", USER])
        close_ssh(self.lab, TARGET)
