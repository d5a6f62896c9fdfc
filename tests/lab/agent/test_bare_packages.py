"""A PoP as a hoster delivers it: packages from a signed mirror, before any configuration.

The tests are one story on one host, in this order: refused mirrors leave it as it was, an
installation is cut off by a power failure and then by a full disk, the next enroll makes it whole,
and an apply turns it into a PoP.
"""

import json
import shutil
import subprocess

import pytest

from loopback_iac.lab.mirror import ensure_signing_key, publish
from loopback_iac.lab.namespaces import enter
from loopback_iac.render import packages_of

PACKAGES = list(packages_of("pop"))
DAEMONS = (
    "bird haproxy chrony prometheus-node-exporter prometheus-bird-exporter loopback-watch nftables"
)
# What enroll might touch: packages, their daemons, our files, the policy of maintainer scripts.
SNAPSHOT = (
    "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n'; apt-mark showhold;"
    " ls -A /etc/loopback /usr/local/sbin /usr/local/lib /usr/sbin/policy-rc.d* 2>&1;"
    " find /etc/systemd /etc/apt -type f -o -type l | sort; cat /root/.ssh/authorized_keys;"
    f" systemctl is-enabled {DAEMONS} 2>&1"
)
HALF = "dpkg-query -W -f '${db:Status-Status}\\n' | grep -cvx installed"


def running(bare) -> list[str]:
    """Daemons of the data plane that run."""
    told = bare.inside(f"systemctl is-active {DAEMONS} || true").split()
    return [name for name, state in zip(DAEMONS.split(), told, strict=True) if state == "active"]


@pytest.fixture
def mirror(bare):
    """The mirror's folder; signed and whole before and after, and the host knows no index yet."""
    folder = bare.lab.paths.mirror
    whole = folder.with_name("mirror-kept")
    shutil.copytree(folder, whole)
    yield folder
    for kept in whole.iterdir():
        shutil.copy2(kept, folder)
    shutil.rmtree(whole)
    bare.inside("rm -rf /var/lib/apt/lists/* /var/lib/loopback/packages")


def without_signature(bare, folder):
    signed = (folder / "InRelease").read_text()
    plain = signed.split("\n\n", 1)[1].split("-----BEGIN PGP SIGNATURE")[0]
    (folder / "InRelease").write_text(plain)


def with_another_key(bare, folder):
    ensure_signing_key(bare.lab.paths, "stranger")
    publish(bare.lab.paths, signed_by="stranger")


def with_an_altered_index(bare, folder):
    index = folder / "Packages"
    index.write_text(index.read_text().replace("Maintainer: Debian", "Maintainer: Edited", 1))


def with_an_altered_package(bare, folder):
    package = next(folder.glob("haproxy_*.deb"))
    content = bytearray(package.read_bytes())
    content[len(content) // 2] ^= 1
    package.write_bytes(content)


@pytest.mark.parametrize(
    ("tampered", "complaint"),
    [
        (without_signature, "sign"),
        (with_another_key, "sign"),
        (with_an_altered_index, "Hash Sum mismatch"),
        (with_an_altered_package, "Hash Sum mismatch"),
    ],
)
def test_a_mirror_nobody_vouches_for_is_refused_and_the_host_unchanged(
    bare, mirror, tampered, complaint
):
    before = bare.inside(SNAPSHOT + "; true")
    tampered(bare, mirror)
    refused = bare.enroll(packages=PACKAGES)
    assert refused.returncode == 1, refused.stderr
    assert complaint in refused.stderr
    assert "host: unchanged, serving nothing of ours yet" in refused.stderr
    assert "check the host's apt sources" in refused.stderr
    assert bare.inside(SNAPSHOT + "; true") == before


def test_a_host_without_room_for_the_packages_is_refused_unchanged(bare, mirror):
    before = bare.inside(SNAPSHOT + "; true")
    bare.inside(
        "mkdir -p /var/lib/loopback/packages"
        " && mount -t tmpfs -o size=1M none /var/lib/loopback/packages"
    )
    try:
        refused = bare.enroll(packages=PACKAGES)
    finally:
        bare.inside("umount /var/lib/loopback/packages")
    assert refused.returncode == 1, refused.stderr
    assert "enough free space in /var/lib/loopback/packages" in refused.stderr
    assert "host: unchanged" in refused.stderr
    assert bare.inside(SNAPSHOT + "; true") == before


def test_a_disk_that_fills_up_in_mid_installation_is_said_and_nothing_runs(bare):
    """Room for everything but HAProxy's files of errors: the rest is unpacked, nothing more."""
    bare.inside("mkdir /etc/haproxy && mount -t tmpfs -o size=8k none /etc/haproxy")
    try:
        refused = bare.enroll(packages=PACKAGES)
    finally:
        bare.inside("umount /etc/haproxy")
    assert refused.returncode == 1, refused.stderr
    assert "No space left on device" in refused.stderr
    assert "half-installed: bird2, chrony" in refused.stderr
    assert "then enroll again: it finishes" in refused.stderr
    assert int(bare.inside(HALF)) > 10
    assert running(bare) == []


def test_a_power_failure_in_mid_installation_leaves_nothing_running(bare):
    """dpkg is stopped by a hook of its own where it would configure what it unpacked."""
    hook = "pre-invoke=test $DPKG_HOOK_ACTION != configure || { touch /run/here; sleep 600; }"
    bare.inside(f"echo '{hook}' > /etc/dpkg/dpkg.cfg.d/hang")
    argv = [*enter(bare.lab.paths, "ops"), *bare.ssh_words, bare.enroll_text("par1")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, text=True) as enroll:
        enroll.stdin.write(json.dumps(bare.request(packages=PACKAGES)))
        enroll.stdin.close()
        bare.eventually(lambda: bare.lab.exec("par1", ["test", "-e", "/run/here"]).returncode == 0)
        bare.lab.power_off("par1")
        enroll.kill()
    bare.lab.power_on("par1")
    bare.inside("rm /etc/dpkg/dpkg.cfg.d/hang")
    assert int(bare.inside(HALF)) > 10
    assert bare.inside("cat /usr/sbin/policy-rc.d").startswith("#!/bin/sh\n# loopback-agent")
    assert running(bare) == []


def test_the_next_enroll_makes_it_whole_and_starts_nothing(bare):
    enrolled = bare.enroll(packages=PACKAGES)
    assert enrolled.returncode == 0, enrolled.stderr
    assert bare.inside(HALF + " || true").strip() == "0"
    listed = bare.inside("dpkg-query -W -f '${Package}\\n'").split()
    assert set(PACKAGES) <= set(listed)
    assert running(bare) == []
    assert bare.inside("find /usr/sbin -name 'policy-rc.d*'") == ""
    # what traffic goes through is held; what was fetched of it stays, the rest is gone
    held = bare.inside("apt-mark showhold").split()
    assert held == ["bird2", "chrony", "haproxy", "nftables", "wireguard-go", "wireguard-tools"]
    kept = bare.inside("ls /var/lib/loopback/packages | grep deb$ | cut -d_ -f1").split()
    assert kept == ["bird2", "chrony", "haproxy", "nftables", "wireguard-tools"]


def test_a_reboot_between_enroll_and_apply_starts_nothing_that_serves(bare):
    bare.lab.power_off("par1")
    bare.lab.power_on("par1")
    # Debian's own configuration of chrony asks for the time and serves nobody
    assert set(running(bare)) <= {"chrony"}


def test_the_bare_host_becomes_a_pop(bare):
    bare.start_worker()
    bundle = bare.bundle()
    bare.converge(bundle)
    bare.assert_serving(bundle)
    assert {"bird", "haproxy", "chrony"} <= set(running(bare))
