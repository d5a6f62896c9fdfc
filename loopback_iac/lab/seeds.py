"""What a host's disk differs in from the image before its first boot."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from loopback_iac.lab.mirror import KEYRING, SOURCES, render_sources
from loopback_iac.lab.routing import RTR_PORT, render_bird, render_roas
from loopback_iac.lab.templating import read, render
from loopback_iac.lab.topology import MACHINES, MIRROR, MIRROR_PORT, ROUTERS, Role

if TYPE_CHECKING:
    from ipaddress import IPv4Interface, IPv6Interface
    from pathlib import Path

    from loopback_iac.lab.keys import Keys
    from loopback_iac.lab.topology import Host, Topology

MIRROR_FOLDER = "srv/mirror"
_UNITS = "etc/systemd/system"
_WANTED = f"{_UNITS}/multi-user.target.wants"


@dataclass(frozen=True)
class SeedFile:
    """One file: text with a mode, or (link) a symbolic link."""

    text: str = ""
    mode: int = 0o644
    link: str = ""


Seed = dict[str, SeedFile]


def render_seed(topology: Topology, host: Host, keys: Keys) -> Seed:
    """
    The files of one host by path.

    Out: a machine of the operator gets sshd with its keys and nothing else of ours; routers,
    caches and clients belong to the lab and are configured whole.
    """
    seed = {
        "etc/hostname": SeedFile(f"{host.name}\n"),
        "etc/machine-id": SeedFile(f"{keys.machine_ids[host.name]}\n", 0o444),
        "etc/hosts": SeedFile(_render_hosts(topology)),
        "etc/cloud/cloud-init.disabled": SeedFile(),
    }
    if host.role in MACHINES:
        seed |= _machine(host, keys)
    if host.bare:
        seed[KEYRING] = SeedFile(keys.mirror_public)
        seed[SOURCES] = SeedFile(render_sources(topology))
    if host.role is Role.WORKER and not host.node:
        seed |= render_workload(keys.site_certificate)
    if host.role in ROUTERS:
        seed["etc/bird/bird.conf"] = SeedFile(render_bird(topology, host, keys.md5), 0o640)
        # a carrier's router has a processor of its own for this
        seed["etc/systemd/system/bird.service.d/lab.conf"] = SeedFile("[Service]\nNice=-15\n")
        seed |= enabled("bird.service")
    if host.role is Role.SERVICE:
        seed |= _services(topology)
    if host.name == MIRROR:
        unit = render("mirror.service.j2", port=MIRROR_PORT, folder=MIRROR_FOLDER)
        seed[f"{_UNITS}/mirror.service"] = SeedFile(unit)
        seed["etc/loopback-lab/mirror.py"] = SeedFile(read("mirror.py"))
        seed |= enabled("mirror.service", "/etc/systemd/system")
    if host.role is Role.CLIENT:
        seed["etc/ssl/certs/loopback-lab-ca.pem"] = SeedFile(keys.ca_certificate)
    return seed


def seed_digest(seed: Seed, image: Path) -> str:
    """What tells a host's disk from one made by another version of the lab."""
    listed = {path: asdict(file) for path, file in sorted(seed.items())}
    return hashlib.sha256(json.dumps([listed, image.name]).encode()).hexdigest()


def write_seed(seed: Seed, upper: Path, image: Path) -> None:
    """Write a seed into an overlay's upper directory; owners and modes follow the image's."""
    for name, file in seed.items():
        path = upper / name
        _make_folder(path.parent, upper, image)
        if file.link:
            path.symlink_to(file.link)
            continue
        path.write_text(file.text)
        path.chmod(file.mode)
        if (image / name).exists():
            there = (image / name).stat()
            os.chown(path, there.st_uid, there.st_gid)


def _make_folder(folder: Path, upper: Path, image: Path) -> None:
    """A directory in the upper layer hides the attributes of the one below: copy them."""
    if folder.exists():
        return
    if folder != upper:
        _make_folder(folder.parent, upper, image)
    folder.mkdir()
    below = image / folder.relative_to(upper)
    if below.is_dir():
        there = below.stat()
        os.chown(folder, there.st_uid, there.st_gid)
        shutil.copymode(below, folder)
    elif folder.name == ".ssh":
        folder.chmod(0o700)


def _machine(host: Host, keys: Keys) -> Seed:
    key = keys.host_keys[host.name]
    return {
        "etc/ssh/ssh_host_ed25519_key": SeedFile(key.private, 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": SeedFile(f"{key.public}\n"),
        "root/.ssh/authorized_keys": SeedFile(f"{keys.operator.public}\n", 0o600),
        **enabled("ssh.service"),
    }


def render_workload(site_certificate: str) -> Seed:
    """The customer's application; the library only ever sees its port."""
    return {
        "etc/demo-app/www.pem": SeedFile(site_certificate, 0o600),
        "etc/demo-app/demo-app.cfg": SeedFile(read("demo-app.cfg")),
        "etc/demo-app/demo_app.py": SeedFile(read("demo_app.py")),
        # systemd opens the log before it would make its directory
        "var/log/demo-app/access.log": SeedFile(),
        f"{_UNITS}/demo-app.service": SeedFile(read("demo-app.service")),
        f"{_UNITS}/demo-app-http.service": SeedFile(read("demo-app-http.service")),
        **enabled("demo-app.service", "/etc/systemd/system"),
        **enabled("demo-app-http.service", "/etc/systemd/system"),
    }


def _services(topology: Topology) -> Seed:
    networks = [str(a.network) for host in topology.hosts for a in _addresses(topology, host)]
    arguments = f"-bind :{RTR_PORT} -cache /etc/loopback-lab/roas.json -checktime=false -protocol 1"
    return {
        "etc/loopback-lab/roas.json": SeedFile(json.dumps(render_roas(), indent=2) + "\n"),
        "etc/default/stayrtr": SeedFile(f'STAYRTR_ARGS="{arguments}"\n'),
        "etc/chrony/chrony.conf": SeedFile(
            render("chrony.conf.j2", networks=list(dict.fromkeys(networks)))
        ),
        **enabled("stayrtr.service"),
        **enabled("chrony.service"),
    }


def _addresses(topology: Topology, host: Host) -> list[IPv4Interface | IPv6Interface]:
    if host.role in ROUTERS:
        return []
    end = topology.uplink(host.name)
    return [a for a in (end.v4, end.v6) if a]


def _render_hosts(topology: Topology) -> str:
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
    for host in topology.hosts:
        lines += [f"{a.ip} {host.name}" for a in _addresses(topology, host)]
    return "\n".join(lines) + "\n"


def enabled(unit: str, folder: str = "/usr/lib/systemd/system") -> Seed:
    """The link by which a unit is started at boot."""
    return {f"{_WANTED}/{unit}": SeedFile(link=f"{folder}/{unit}")}
