"""Keep what a release leaves behind: `python -m tests.engine.released.keep 0.1.0`, at each release.

stacks/edge with its example configuration, applied by hosts that answer at once. Agents and bundles
are taken out: any other text is an update all the same, and they are 400 KB for each host.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from loopback_iac.engine import Options, up
from loopback_iac.engine.passphrase import open_crypter
from tests.engine.edge import EXAMPLE, PASSPHRASE, make_secrets, render_config, write_project

HERE = Path(__file__).parent


def keep(release: str) -> None:
    """Write the stack file and the state of a release."""
    kept = HERE / release
    kept.mkdir(exist_ok=True)
    stack = kept / "Pulumi.prod.yaml"
    stack.write_text(render_config(EXAMPLE, make_secrets()))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_project(folder)
        result = up(
            Options(
                directory=folder,
                stack="prod",
                config_file=stack,
                state_dir=folder / "state",
                passphrase=PASSPHRASE,
            )
        )
        if not result.ok:
            raise SystemExit(str(result.diagnostics))
        document = json.loads((folder / "state" / "state.json").read_text())
    salt = document["deployment"]["secrets_providers"]["state"]["salt"]
    crypter = open_crypter(salt, PASSPHRASE)
    if crypter is None:
        raise SystemExit("the state has no salt")
    for row in document["deployment"]["resources"]:
        row.pop("sourcePosition", None)  # names folders of the machine it was kept on
        row.pop("stackTrace", None)
        if row["urn"].endswith("-enroll"):
            for part in ("inputs", "outputs"):
                row[part]["stdin"] = f"the agent of {release}"
        elif row["urn"].endswith("-apply"):
            for part in ("inputs", "outputs"):
                row[part]["stdin"]["ciphertext"] = crypter.encrypt(json.dumps("a bundle"))
    (kept / "state.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    keep(sys.argv[1])
