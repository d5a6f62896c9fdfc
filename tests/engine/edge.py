"""stacks/edge with its example configuration and secrets that open nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from loopback_iac.engine.passphrase import Crypter

HERE = Path(__file__).parent
EDGE = HERE.parents[1] / "stacks/edge"
EXAMPLE: dict[str, Any] = yaml.safe_load((EDGE / "Pulumi.example.yaml").read_text())["config"]
PASSPHRASE = "correct horse battery staple"
PLUGINS = ("command", "hcloud", "ionoscloud")


def make_secrets() -> dict[str, str]:
    """What the example leaves out; the deploy key is another one each time."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return {
        "loopback-edge:sshPrivateKey": private.decode(),
        "loopback-edge:fleetSecret": "correct horse battery staple, four times over",
        "loopback-edge:md5-fra1": "m" * 16,
        "loopback-edge:md5-par1": "n" * 16,
        "hcloud:token": "t" * 64,
        "ionoscloud:token": "u" * 64,
    }


def write_project(folder: Path) -> None:
    """The program of stacks/edge with plugins that answer at once."""
    plugins = [{"name": name, "path": str(HERE / "instant" / name)} for name in PLUGINS]
    project = {
        "name": "loopback-edge",
        "runtime": "python",
        "main": str(EDGE),
        "plugins": {"providers": plugins},
    }
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))


def render_config(config: dict[str, Any], secrets: dict[str, str]) -> str:
    """A stack file whose secrets are encrypted with PASSPHRASE."""
    crypter = Crypter.create(PASSPHRASE)
    held = {key: {"secure": crypter.encrypt(text)} for key, text in secrets.items()}
    return yaml.safe_dump({"encryptionsalt": crypter.salt, "config": {**config, **held}})
