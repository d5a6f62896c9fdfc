"""What the lab puts on its hosts: sessions, seeds, silences, the stack file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from loopback_iac.engine.passphrase import Crypter
from loopback_iac.lab import machine
from loopback_iac.lab.faults import render_drops
from loopback_iac.lab.keys import ensure_keys, keep
from loopback_iac.lab.machine import check_machine
from loopback_iac.lab.paths import InstancePaths, LabError
from loopback_iac.lab.routing import FAR, NEAR, router_sessions
from loopback_iac.lab.seeds import SeedFile, render_seed, seed_digest, write_seed
from loopback_iac.lab.stackconfig import ensure_stack_config
from loopback_iac.lab.status import parse_sessions
from loopback_iac.lab.topology import demo

FLEET = demo()


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOPBACK_STATE", str(tmp_path))
    made = InstancePaths("unit")
    made.root.mkdir(parents=True)
    return made


@pytest.mark.parametrize("name", ["", "Lab", "1lab", "a-b", "a/b", "a" * 12])
def test_a_name_that_could_be_mistaken_for_anothers_is_refused(name):
    with pytest.raises(LabError, match="lab name: got"):
        InstancePaths(name)


def test_an_upstream_prefers_its_near_pop_and_gives_passwords_to_pops_only():
    md5 = {"fra1": "one", "par1": "two"}
    sessions = {s.name: s for s in router_sessions(FLEET, FLEET.host("t2"), md5)}
    assert set(sessions) == {"fra1_4", "fra1_6", "par1_4", "par1_6", "core_4", "core_6"}
    assert (sessions["par1_4"].preference, sessions["par1_4"].password) == (NEAR, "two")
    assert (sessions["fra1_6"].preference, sessions["fra1_6"].password) == (FAR, "one")
    assert sessions["core_4"].password == ""
    assert (sessions["fra1_6"].local, sessions["fra1_6"].neighbor) == (
        "2001:db8:ff:2::",
        "2001:db8:ff:2::1",
    )


def test_keys_are_kept_and_private(paths):
    first = ensure_keys(paths, FLEET)
    assert ensure_keys(paths, FLEET) == first
    assert len(set(first.md5.values())) == 2
    assert len(set(first.machine_ids.values())) == 11
    public = {"ca.pem", "known_hosts"}
    for path in [*paths.keys.iterdir(), paths.passphrase]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o644 if path.name in public else 0o600), path
    site = x509.load_pem_x509_certificate(first.site_certificate.encode())
    site.verify_directly_issued_by(x509.load_pem_x509_certificate(first.ca_certificate.encode()))
    names = site.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["www.example.net"]
    # the CA's key signs and is given to nobody
    assert first.site_certificate.count("PRIVATE KEY") == 2
    assert "PRIVATE KEY" not in first.ca_certificate


def test_a_key_lost_is_made_anew_and_the_others_stay(paths):
    first = ensure_keys(paths, FLEET)
    (paths.keys / "md5-fra1").unlink()
    second = ensure_keys(paths, FLEET)
    assert second.md5["fra1"] != first.md5["fra1"]
    assert second.md5["par1"] == first.md5["par1"]
    assert second.operator == first.operator


def test_a_kept_file_is_made_once(tmp_path):
    made = []

    def make():
        made.append("x")
        return f"text {len(made)}"

    assert keep(tmp_path / "f", make) == keep(tmp_path / "f", make) == "text 1"
    assert made == ["x"]


def test_the_stack_file_opens_with_the_passphrase_and_is_kept(paths):
    keys = ensure_keys(paths, FLEET)
    assert ensure_stack_config(paths, FLEET, keys)
    text = paths.stack_config.read_text()
    assert not ensure_stack_config(paths, FLEET, keys)
    assert paths.stack_config.read_text() == text
    stack = yaml.safe_load(text)
    crypter = Crypter.open(stack["encryptionsalt"], paths.passphrase.read_text())
    config = {k.removeprefix("loopback-edge:"): v for k, v in stack["config"].items()}
    assert crypter.decrypt(config["sshPrivateKey"]["secure"]) == keys.operator.private
    assert crypter.decrypt(config["md5-par1"]["secure"]) == keys.md5["par1"]
    for secret in (*keys.md5.values(), keys.fleet_secret, keys.operator.private.splitlines()[2]):
        assert secret not in text
    assert config["adminSources"] == ["198.18.251.2/32", "2001:db8:fb::2/128"]
    assert set(config["machines"]) == {"fra1", "par1", "w1", "w2", "h1", "i1"}
    assert set(config["pops"]) | set(config["workers"]) == {"fra1", "par1", "w1", "w2"}
    assert config["machines"]["w1"]["ipv6"] == "2001:db8:b::21"
    assert config["machines"]["w1"]["host_key"].startswith("ssh-ed25519 AAAA")
    assert config["links"]["par1"]["t2"] == {
        "kind": "transit",
        "asn": 64497,
        "interface": "t2",
        "local_v4": "192.0.2.7",
        "neighbor_v4": "192.0.2.6",
        "local_v6": "2001:db8:ff:3::1",
        "neighbor_v6": "2001:db8:ff:3::",
        "role_strict": True,
        "communities": {"blackhole": {"source": "the lab's own routers", "use": "blackhole"}},
    }


def test_a_pop_is_given_sshd_and_nothing_of_ours(paths):
    keys = ensure_keys(paths, FLEET)
    seed = render_seed(FLEET, FLEET.host("fra1"), keys)
    assert set(seed) == {
        "etc/hostname",
        "etc/machine-id",
        "etc/hosts",
        "etc/cloud/cloud-init.disabled",
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub",
        "root/.ssh/authorized_keys",
        "etc/systemd/system/multi-user.target.wants/ssh.service",
    }
    everything = "".join(file.text for file in seed.values())
    # the first line of the body says only what kind of key it is
    assert keys.operator.private.splitlines()[2] not in everything
    assert keys.md5["fra1"] not in everything


def test_a_disk_is_told_from_one_of_another_version(paths, tmp_path):
    keys = ensure_keys(paths, FLEET)
    seed = render_seed(FLEET, FLEET.host("w1"), keys)
    digest = seed_digest(seed, Path("image-1"))
    assert seed_digest(dict(reversed(seed.items())), Path("image-1")) == digest
    assert seed_digest(seed, Path("image-2")) != digest
    assert seed_digest(seed | {"etc/hosts": SeedFile("other")}, Path("image-1")) != digest


def test_a_seed_keeps_the_modes_of_the_directories_below(tmp_path):
    image, upper = tmp_path / "image", tmp_path / "up"
    (image / "root").mkdir(parents=True)
    (image / "root").chmod(0o700)
    upper.mkdir()
    seed = {"root/.ssh/authorized_keys": SeedFile("key", 0o600), "etc/unit": SeedFile(link="/x")}
    write_seed(seed, upper, image)
    modes = {
        str(path.relative_to(upper)): stat.S_IMODE(path.lstat().st_mode)
        for path in upper.rglob("*")
        if not path.is_symlink()
    }
    assert modes == {
        "root": 0o700,
        "root/.ssh": 0o700,
        "root/.ssh/authorized_keys": 0o600,
        "etc": 0o755,
    }
    assert (upper / "etc/unit").readlink() == Path("/x")


def test_a_silence_is_one_transaction_and_its_end_leaves_no_table():
    text = render_drops("c-fra", ["c-fra"], "drop")
    assert text.startswith("add table netdev silence_c_fra\ndelete table netdev silence_c_fra\n")
    assert 'hook egress devices = { "c-fra" }' in text
    assert "hook ingress" in text
    assert render_drops("c-fra", ["c-fra"], "").splitlines() == [
        "add table netdev silence_c_fra",
        "delete table netdev silence_c_fra",
    ]


def test_sessions_are_read_from_birds_table():
    text = """BIRD 2.17.5 ready.
Name       Proto      Table      State  Since         Info
svc1       RPKI       ---        up     2026-11-20 23:15:22.971  Established
fra1_4     BGP        ---        start  2026-11-20 23:14:52.945  Connect
par1_6     BGP        ---        start  2026-11-20 23:14:52.945  Active  Socket: refused
core_4     BGP        ---        up     2026-11-20 23:14:53.664  Established
"""
    assert parse_sessions(text) == {"fra1_4": False, "par1_6": False, "core_4": True}


def test_an_unfit_machine_is_refused_with_everything_it_lacks(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LabError) as refused:
        check_machine()
    assert "root: namespaces" in str(refused.value)
    assert "apt-get install iproute2 mmdebstrap nftables procps systemd" in str(refused.value)


def test_used_up_inotify_instances_are_told_with_the_way_out(tmp_path, monkeypatch):
    allowed = tmp_path / "max_user_instances"
    monkeypatch.setattr(machine, "_INOTIFY", allowed)
    allowed.write_text("1000000\n")
    assert machine.inotify_shortage() == ""
    allowed.write_text("0\n")
    assert "of 0 inotify instances are in use" in machine.inotify_shortage()
