"""Ordered machines, byte for byte, and what the bytes mean."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)

from loopback_iac.model import InputRejected, host_key, openings
from loopback_iac.render import fill_first_boot
from loopback_iac.render.first_boot import LARGEST_BYTES
from tests.golden import case as golden
from tests.golden import clouds


@pytest.mark.parametrize("name", clouds.names(rejected=True))
def test_rejected(name):
    case = clouds.load(name)
    golden.refused(case.folder, case.means, case.parse)


@pytest.mark.parametrize("name", clouds.names(rejected=False))
def test_rendered(name):
    case = clouds.load(name)
    diff = golden.compare(case.folder, clouds.texts(case))
    assert not diff, f"\n{diff}"


def test_only_the_filled_text_has_the_private_key():
    case = clouds.load("hetzner-pop")
    key = host_key("fleet_secret", clouds.FLEET_SECRET, "fra1", 2)
    shown = clouds.user_data(case)
    assert "PRIVATE KEY" not in shown.replace("ssh_host_ed25519_key", "")
    filled = fill_first_boot(shown, key.private)
    told = yaml.safe_load(filled)
    assert told["ssh_keys"] == {"ed25519_private": key.private, "ed25519_public": key.public}
    assert told["ssh_authorized_keys"] == [clouds.DEPLOY_KEY]
    assert len(filled.encode()) < LARGEST_BYTES


def test_a_host_key_is_what_openssh_reads_and_always_the_same(tmp_path):
    key = host_key("s", clouds.FLEET_SECRET, "fra1", 1)
    assert key == host_key("s", clouds.FLEET_SECRET, "fra1", 1)
    others = [
        host_key("s", clouds.FLEET_SECRET, "fra1", 2),
        host_key("s", clouds.FLEET_SECRET, "par1", 1),
        host_key("s", clouds.FLEET_SECRET[::-1], "fra1", 1),
    ]
    assert len({key.public, *(other.public for other in others)}) == 4
    read = load_ssh_private_key(key.private.encode(), password=None).public_key()
    assert read.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() == key.public
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_text(key.private)
    said = subprocess.run(
        ["ssh-keygen", "-y", "-f", file], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == key.public


@pytest.mark.parametrize("secret", ["short", "a" * 40, ""])
def test_a_fleet_secret_that_could_be_guessed_is_refused_without_being_shown(secret):
    with pytest.raises(InputRejected) as caught:
        host_key("fleet_secret", secret, "fra1", 1)
    (problem,) = caught.value.problems
    assert problem.rule == "fleet-secret"
    assert not secret or secret not in str(caught.value)


def test_only_what_the_role_needs_is_open():
    def ports(name):
        found = openings(clouds.load(name).parse())
        return {(o.protocol, o.ports): [str(s) for s in o.sources] for o in found}

    worker, pop = ports("hetzner-worker"), ports("hetzner-pop")
    assert worker == {
        ("tcp", "22"): ["198.18.251.2/32"],
        ("udp", "51820-51870"): ["0.0.0.0/0", "::/0"],
        ("udp", "52844-52894"): ["0.0.0.0/0", "::/0"],
        ("icmp", ""): ["0.0.0.0/0", "::/0"],
    }
    assert pop["udp", "51820-52843"] == ["198.18.11.21/32"]
    assert pop["tcp", "9100"] == ["198.18.251.0/28", "2001:db8:fb::/64"]
    assert ("tcp", "8443") not in worker | pop
    assert ("tcp", "443") not in worker | pop


def test_metadata_are_closed_before_the_machine_forgets():
    told = yaml.safe_load(clouds.user_data(clouds.load("hetzner-worker")))
    files = {file["path"]: file["content"] for file in told["write_files"]}
    assert "meta skuid != 0 counter reject" in files["/etc/loopback/metadata.nft"]
    assert "shred -u" in files["/usr/local/lib/loopback/first-boot"]
    assert [command[-1] for command in told["runcmd"]] == [
        "loopback-metadata.service",
        "loopback-first-boot.service",
    ]
    assert "late" not in json.dumps(told)
