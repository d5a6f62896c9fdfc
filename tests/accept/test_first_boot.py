"""What a new machine is told goes through cloud-init's own parser, and what that writes through
the parsers of nft, systemd and the shell."""

from __future__ import annotations

from functools import partial

import pytest
import yaml

from loopback_iac.model import host_key
from loopback_iac.render import fill_first_boot
from tests.accept.parsers import silent
from tests.golden import clouds

USER_DATA = "/stage/user-data.yaml"


def filled(name: str) -> str:
    """As sent to the provider."""
    case = clouds.load(name)
    epoch = case.parse().host_key_epoch
    key = host_key("fleet_secret", clouds.FLEET_SECRET, case.host_name, epoch)
    return fill_first_boot(clouds.user_data(case), key.private)


def check_cloud_init(image, text: str) -> list[str]:
    image.write(USER_DATA, text, "0600")
    told = image.run("cloud-init", "schema", "--config-file", USER_DATA)
    found = [] if told.returncode == 0 else [told.stderr.strip() or told.stdout.strip()]
    return found + [line for line in told.stdout.splitlines() if "deprecat" in line.lower()]


@pytest.mark.parametrize("name", clouds.names(rejected=False))
def test_cloud_init_accepts(image, name):
    assert check_cloud_init(image, filled(name)) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ssh_pwauth: false", "ssh_pwauth: perhaps"),
        ("ed25519_private", "ed25519_privat"),
        ("permissions: ", "permission: "),
        ("runcmd:\n", "runcmd: yes\nothers:\n"),
    ],
)
def test_cloud_init_refuses_a_wrong_word(image, right, wrong):
    text = filled("hetzner-worker")
    assert right in text
    assert check_cloud_init(image, text.replace(right, wrong, 1)) != []


@pytest.mark.parametrize(("name", "files"), [("hetzner-pop", 5), ("ionos-private-lan", 9)])
def test_the_files_it_writes_are_accepted(image, name, files):
    told = yaml.safe_load(filled(name))
    agent = image.root / "usr/local/sbin/loopback-agent"
    before = agent.read_bytes()
    for file in told["write_files"]:
        image.write(file["path"], file["content"], file.get("permissions", "0644"))
    written = {file["path"]: file["content"] for file in told["write_files"]}
    try:
        rules = "/etc/loopback/metadata.nft"
        assert silent(image.run("nft", "--check", "--file", rules), "nft") == []
        for path, text in written.items():
            if text.startswith("#!/bin/sh"):
                assert silent(image.run("sh", "-n", path), path) == []
            if path.endswith(".service"):
                assert silent(image.run("systemd-analyze", "verify", path), path) == []
    finally:
        agent.write_bytes(before)
        agent.chmod(0o755)
    assert len(written) == files


def test_the_key_is_found_where_the_machine_did_not_forget_it(image, request):
    """The program of the first boot, run: copies go, one that it does not know of is named."""
    told = yaml.safe_load(filled("hetzner-worker"))
    key = told["ssh_keys"]["ed25519_private"]
    program = next(f for f in told["write_files"] if f["path"].endswith("/first-boot"))
    image.write(program["path"], program["content"], "0755")
    own = image.root / "etc/ssh/ssh_host_ed25519_key"
    request.addfinalizer(
        partial(image.write, "/etc/ssh/ssh_host_ed25519_key", own.read_text(), "0600")
    )
    image.write("/etc/ssh/ssh_host_ed25519_key", key, "0600")
    kept = ["/var/lib/cloud/instances/i/user-data.txt", "/run/cloud-init/combined.json"]
    for path in kept:
        image.write(path, key)
    image.write("/run/cloud-init/status.json", "{}")
    image.write("/var/log/cloud-init.log", key)
    told = image.run(program["path"])
    assert told.returncode == 1
    assert told.stdout.splitlines() == ["/var/log/cloud-init.log"]
    assert not (image.root / "var/lib/loopback-first-boot/done").exists()
    image.write("/var/log/cloud-init.log", "nothing of it\n")
    assert silent(image.run(program["path"]), "first boot") == []
    assert (image.root / "var/lib/loopback-first-boot/done").exists()
    assert (image.root / "run/cloud-init/status.json").exists()
    assert not any((image.root / path.lstrip("/")).exists() for path in kept)
