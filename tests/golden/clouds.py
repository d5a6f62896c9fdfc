"""Golden cases of machines that are ordered: what cloud-init and the provider's firewall get.

host.yaml holds `kind` (hetzner or ionos), `name`, and
  host         a whole input, or
  base, set, remove   another case's input with changes, each under its dotted path; and
  means        rejected: every "rule at path", in order
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from loopback_iac.model import (
    CloudHost,
    IonosHost,
    host_key,
    openings,
    parse_hetzner_host,
    parse_ionos_host,
)
from loopback_iac.render import OwnAddresses, render_first_boot

CASES = Path(__file__).parent / "ordered"
PARSE = {"hetzner": parse_hetzner_host, "ionos": parse_ionos_host}
DEPLOY_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc"
# of no fleet: the public half in the goldens follows from it
FLEET_SECRET = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class CloudCase:
    """One folder."""

    name: str
    kind: str
    host_name: str
    host: dict[str, Any]
    means: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return CASES / self.name

    def parse(self) -> CloudHost:
        return PARSE[self.kind](self.host_name, self.host)


def load(name: str) -> CloudCase:
    tree = yaml.safe_load((CASES / name / "host.yaml").read_text())
    base = load(tree["base"]) if "base" in tree else None
    host = copy.deepcopy(base.host) if base else tree["host"]
    for path, value in tree.get("set", {}).items():
        owner = host
        *steps, last = path.split(".")
        for step in steps:
            owner = owner.setdefault(step, {})
        owner[last] = value
    for path in tree.get("remove", []):
        del host[path]
    kind = base.kind if base else tree["kind"]
    host_name = tree.get("name") or (base.host_name if base else "")
    return CloudCase(name, kind, host_name, host, tree.get("means", []))


def names(*, rejected: bool) -> list[str]:
    found = sorted(p.parent.name for p in CASES.glob("*/host.yaml"))
    return [name for name in found if bool(load(name).means) is rejected]


def user_data(case: CloudCase) -> str:
    """As a plan may show it: the host key's private half is a mark."""
    host = case.parse()
    key = host_key("fleet_secret", FLEET_SECRET, case.host_name, host.host_key_epoch)
    lan = host.private_network if isinstance(host, IonosHost) else None
    own = OwnAddresses(
        # as a cloud would give it; only at IONOS the machine sets it itself
        ipv6="2001:db8:5001:1:1::a" if isinstance(host, IonosHost) and host.ipv6 else None,
        private=f"{lan.ip}/24" if lan else None,
    )
    return render_first_boot(case.host_name, key.public, DEPLOY_KEY, own)


def texts(case: CloudCase) -> dict[str, str]:
    lines = [
        " ".join([o.protocol, o.ports or "-", *map(str, o.sources), "#", o.title])
        for o in openings(case.parse())
    ]
    return {"user-data.yaml": user_data(case), "openings.txt": "\n".join(lines) + "\n"}
