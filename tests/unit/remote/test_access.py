"""The way to a host without a stack: only to a key that somebody pinned."""

from __future__ import annotations

import subprocess

import pytest
from typer.testing import CliRunner

from loopback_iac.cli import app
from loopback_iac.cli.access import AccessError, read_own_identity, read_pinned_keys

ADDRESS = "198.18.1.11"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Two public host keys, made by OpenSSH."""
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for kind in ("ed25519", "ecdsa"):
        path = folder / kind
        argv = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)]
        subprocess.run(argv, check=True)
        made[kind] = path.with_suffix(".pub").read_text().strip()
    return made


def test_every_key_pinned_for_the_address_counts(keys, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(
        f"fra1,{ADDRESS} {keys['ed25519']}\n{ADDRESS} {keys['ecdsa']}\npar1 {keys['ecdsa']}\n"
    )
    assert set(read_pinned_keys(file, ADDRESS, 22).splitlines()) == set(keys.values())


def test_names_hashed_by_openssh_and_other_ports_are_found(keys, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(f"[{ADDRESS}]:2222 {keys['ed25519']}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    assert ADDRESS not in file.read_text()
    assert read_pinned_keys(file, ADDRESS, 2222) == keys["ed25519"]
    with pytest.raises(AccessError, match="holds no key of"):
        read_pinned_keys(file, ADDRESS, 22)


def test_a_revoked_key_is_not_pinned(keys, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(f"{ADDRESS} {keys['ecdsa']}\n@revoked {ADDRESS} {keys['ecdsa']}\n")
    with pytest.raises(AccessError, match="a host whose key nobody pinned is not talked to"):
        read_pinned_keys(file, ADDRESS, 22)


def test_without_any_key_it_says_how_to_give_one(monkeypatch, tmp_path):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(AccessError, match="no SSH agent runs\n  fix: --identity FILE, or SSH_AUTH"):
        read_own_identity(None)
    with pytest.raises(AccessError, match="No such file"):
        read_own_identity(tmp_path / "none")


def test_what_the_command_line_lacks_ends_with_exit_2(monkeypatch, tmp_path):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    words = ["drain", "fra1", "--address", ADDRESS, "--known-hosts", str(tmp_path / "none")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "No such file or directory" in done.stderr
    assert "--host-key" in done.stderr
    done = CliRunner().invoke(app, ["drain", "fra1", "--address", ADDRESS, "--host-key", "AAAA"])
    assert done.exit_code == 2
    assert "--host-key: got 'AAAA'" in done.stderr
