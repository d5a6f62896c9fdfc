"""Order the smallest host at a real cloud, look at it, remove it: `python run.py hetzner`.

Needs the cloud's token in the environment, the networks you come from in SMOKE_ADMIN_SOURCES, and
the real plugins: `pulumi plugin install resource hcloud 1.43.3` (or ionoscloud 0.3.3) and
`pulumi plugin install resource command 1.2.1`. It costs what an hour of that host costs.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from loopback_iac.engine import EngineError, Options, Result, UsageError, destroy, plan, up
from loopback_iac.engine.passphrase import Crypter
from loopback_iac.engine.values import strip_secrets

HERE = Path(__file__).parent
TOKENS = {"hetzner": ("hcloud", "HCLOUD_TOKEN"), "ionos": ("ionoscloud", "IONOS_TOKEN")}
SEALED = "http://169.254.169.254/"
# what each line of the answer says, in this order
LOOKED_AT = {
    "cloud-init is switched off": "test -e /etc/cloud/cloud-init.disabled",
    "Debian 13": "grep -q '^VERSION_ID=.13' /etc/os-release",
    "user data is gone": "! grep -rqs ssh_keys: /var/lib/cloud /run/cloud-init",
    "metadata is closed to services": (
        f"! runuser -u nobody -- python3 -c 'import urllib.request as u;"
        f' u.urlopen("{SEALED}", timeout=5)\' 2>/dev/null'
    ),
    "python3 is there for enroll": "command -v python3 >/dev/null",
    "IPv6 has a way out": "ip -6 route show default | grep -q .",
}
SET = "for _ in $(seq 60); do ip -o address show to {} | grep -q . && exit 0; sleep 1; done; exit 1"
# the address in a private LAN, which the host of IONOS joins
PRIVATE = "10.7.7.21"


def say(text: str) -> None:
    """One line for whoever watches."""
    sys.stderr.write(f"smoke: {text}\n")


def refuse(got: str, fix: str) -> None:
    """End before anything is ordered."""
    say(f"{got}\n  fix: {fix}")
    raise SystemExit(2)


def read_environment(cloud: str) -> tuple[str, list[str]]:
    """Token and networks, or the end."""
    _, variable = TOKENS[cloud]
    token = os.environ.get(variable, "")
    if not token:
        refuse(f"{variable} is not set", f"put the token of an empty project into {variable}")
    sources = os.environ.get("SMOKE_ADMIN_SOURCES", "").split()
    if not sources:
        refuse("SMOKE_ADMIN_SOURCES is not set", "name your own address, as in 198.51.100.7/32")
    return token, sources


def write_stack(folder: Path, cloud: str, plugins: Path | None, passphrase: str) -> Options:
    """The stack's files in a folder of its own; secrets are encrypted."""
    package, _ = TOKENS[cloud]
    token, sources = read_environment(cloud)
    key = folder / "key"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "loopback-smoke", "-f", str(key)]
    subprocess.run(make, check=True)
    project = yaml.safe_load((HERE / "Pulumi.yaml").read_text())
    project["main"] = str(HERE)
    if plugins:
        names = ("command", package)
        providers = [{"name": name, "path": str(plugins / name)} for name in names]
        project["plugins"] = {"providers": providers}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    crypter = Crypter.create(passphrase)
    sealed = {
        "loopback-smoke:fleetSecret": secrets.token_urlsafe(40),
        "loopback-smoke:sshPrivateKey": key.read_text(),
        f"{package}:token": token,
    }
    config = {name: {"secure": crypter.encrypt(value)} for name, value in sealed.items()}
    config |= {"loopback-smoke:cloud": cloud, "loopback-smoke:adminSources": sources}
    config["loopback-smoke:private"] = PRIVATE
    if more := os.environ.get("SMOKE_ARGS"):
        config["loopback-smoke:more"] = json.loads(more)
    document = {"encryptionsalt": crypter.salt, "config": config}
    (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump(document))
    return Options(directory=folder, passphrase=passphrase)


def told(result: Result) -> None:
    """What a run said that went wrong."""
    for said in result.diagnostics:
        if said.severity == "error":
            say(said.message)


def look(folder: Path, cloud: str, host: dict[str, str]) -> list[str]:
    """Log in with the pinned key; names what is not as it should be."""
    address = host["ipv4"]
    (folder / "known_hosts").write_text(f"{address} {host['host_key']}\n")
    wanted = LOOKED_AT | {"its IPv6 address is set": SET.format(host["ipv6"])}
    if cloud == "ionos":
        wanted |= {"its address in the private LAN is set": SET.format(PRIVATE)}
    script = "\n".join(f"({test}) && echo yes || echo no" for test in wanted.values())
    argv = ["ssh", "-F", "none", "-i", str(folder / "key"), "-o", "BatchMode=yes"]
    argv += ["-o", f"UserKnownHostsFile={folder / 'known_hosts'}", f"root@{address}", "sh -s"]
    done = subprocess.run(
        argv, input=script, capture_output=True, text=True, timeout=240, check=False
    )
    answers = done.stdout.split()
    if done.returncode or len(answers) != len(wanted):
        return [f"logging in with the pinned key: {done.stderr.strip()}"]
    for what, answer in zip(wanted, answers, strict=True):
        say(f"{what}: {answer}")
    return [what for what, answer in zip(wanted, answers, strict=True) if answer != "yes"]


def order_and_look(folder: Path, cloud: str, options: Options) -> list[str]:
    """Out: what is not as it should be."""
    say("ordering")
    result = up(options)
    if not result.ok:
        told(result)
        return ["ordering the host"]
    found = look(folder, cloud, strip_secrets(result.outputs)["host"])
    again = plan(options)
    changed = {op: n for op, n in again.counts.items() if op != "same" and n}
    say(f"a second plan changes: {changed or 'nothing'}")
    return [*found, *(["a second plan wants changes"] if changed or not again.ok else [])]


def remove(options: Options) -> bool:
    """Whether nothing of the host is left."""
    say("removing")
    try:
        result = destroy(options)
    except (EngineError, UsageError) as error:
        say(str(error))
        return False
    told(result)
    return result.ok


def main() -> int:
    """Out: 0 when everything was as it should be and nothing is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cloud", choices=sorted(TOKENS))
    parser.add_argument("--plugins", type=Path, help="a folder with plugins, instead of Pulumi's")
    given = parser.parse_args()
    read_environment(given.cloud)
    folder = Path(tempfile.mkdtemp(prefix="loopback-smoke-"))
    options = write_stack(folder, given.cloud, given.plugins, secrets.token_urlsafe(32))
    try:
        wrong = order_and_look(folder, given.cloud, options)
    except (EngineError, UsageError) as error:
        wrong = [str(error)]
    finally:
        gone = remove(options)
    if not gone:
        say(f"NOT EVERYTHING IS GONE: look for loopback-smoke in the console; state in {folder}")
        return 1
    shutil.rmtree(folder)
    say(f"wrong: {', '.join(wrong)}" if wrong else "all as it should be, and nothing is left")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
