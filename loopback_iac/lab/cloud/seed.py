"""What a cloud's Debian image brings along: cloud-init told where it is, nothing of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.lab.seeds import Seed, SeedFile, enabled
from loopback_iac.lab.templating import render

if TYPE_CHECKING:
    from loopback_iac.lab.cloud.book import Machine

_SMBIOS = "usr/lib/loopback-lab"
_UNIT = f"[Service]\nEnvironment=PYTHONPATH=/{_SMBIOS}\n"
# Vendor images let root in by key and leave the network to cloud-init; the lab's cables have their
# addresses before the host boots.
_CONFIG = """\
datasource_list: [{datasource}]
network: {{config: disabled}}
users: []
disable_root: false
ssh_pwauth: false
datasource: {{NoCloud: {{seedfrom: "http://169.254.169.254/nocloud/"}}}}
"""
# cloud-init 25.1 has a datasource for Hetzner; IONOS names none of its own.
_DATASOURCES = {"hcloud": ("Hetzner", "Hetzner"), "ionoscloud": ("NoCloud", "IONOS")}


def render_server_seed(machine: Machine) -> Seed:
    """
    The files of a server's first boot by path.

    Out: with SMBIOS as a module, because a container has none and cloud-init knows Hetzner by it.
    """
    datasource, manufacturer = _DATASOURCES[machine.cloud]
    smbios = render(
        "smbios.py.j2", manufacturer=manufacturer, serial=machine.metadata.get("serial", "")
    )
    return {
        "etc/machine-id": SeedFile(f"{machine.machine_id}\n", 0o444),
        "etc/cloud/cloud.cfg.d/99-lab.cfg": SeedFile(_CONFIG.format(datasource=datasource)),
        f"{_SMBIOS}/sitecustomize.py": SeedFile(smbios),
        "etc/systemd/system/cloud-init-main.service.d/lab.conf": SeedFile(_UNIT),
        **enabled("ssh.service"),
    }
