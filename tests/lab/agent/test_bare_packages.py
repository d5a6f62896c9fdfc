"""A PoP as a hoster delivers it: packages from a signed mirror, before any configuration.

The tests are one story on one host, in this order: refused mirrors leave it as it was, an
installation is cut off by a full disk and then by a power failure, the next enroll makes it whole,
an apply turns it into a PoP, and newer packages come.
"""

import json
import re
import shutil
import subprocess

import pytest

from loopback_iac.lab.mirror import ensure_signing_key, publish
from loopback_iac.lab.namespaces import enter
from loopback_iac.render import packages_of

AGENT = "/usr/local/sbin/loopback-agent"
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


LISTS = "/var/lib/apt/lists/lock"
OTHER_APT = (
    f"import fcntl, os, time; f = open('{LISTS}', 'w'); fcntl.lockf(f, fcntl.LOCK_EX);"
    " open('/run/held', 'w'); [time.sleep(0.1) for _ in iter(lambda: os.path.exists('/run/go'), 1)]"
)


def test_an_apt_that_runs_on_a_fresh_host_is_waited_for(bare, mirror):
    """Whoever does not wait has no index and knows no package; this one finds the altered one."""
    with_an_altered_package(bare, mirror)
    bare.inside(f'systemd-run -q --collect python3 -c "{OTHER_APT}"')
    bare.eventually(lambda: bare.lab.exec("par1", ["test", "-e", "/run/held"]).returncode == 0)
    bare.inside(
        "systemd-run -q --collect --on-active=2 --timer-property=AccuracySec=100ms touch /run/go"
    )
    refused = bare.enroll(packages=PACKAGES)
    assert refused.returncode == 1
    assert "Hash Sum mismatch" in refused.stderr


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


def test_a_host_without_room_below_usr_is_refused_before_anything_is_unpacked(bare, mirror):
    """apt says how much it needs and goes on all the same; what it says is read and heeded."""
    before = bare.inside(SNAPSHOT + "; true")
    bare.inside(
        "mkdir -p /mnt/small && mount -t tmpfs -o size=9M none /mnt/small"
        " && mkdir /mnt/small/upper /mnt/small/work && mount -t overlay"
        " -o lowerdir=/usr,upperdir=/mnt/small/upper,workdir=/mnt/small/work none /usr"
    )
    try:
        refused = bare.enroll(packages=PACKAGES)
    finally:
        bare.inside("umount --lazy /usr /mnt/small")  # what it started meanwhile stands on it
    assert refused.returncode == 1, refused.stderr
    assert re.search(r"the packages need \d\d+ MB below /usr, [0-9] MB are free", refused.stderr)
    assert "fix: free space there" in refused.stderr
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


HANG = "pre-invoke=test $DPKG_HOOK_ACTION != unpack || { touch /run/here; sleep 600; }"


@pytest.fixture(scope="module")
def old_bird(bare) -> str:
    return bare.inside("dpkg-query -W -f '${Version}' bird2")


def test_an_unattended_upgrade_leaves_what_carries_traffic_alone(bare, old_bird, repack):
    publish(bare.lab.paths, [repack(bare.lab.paths.mirror, "bird2", "+lab1")])
    upgraded = bare.inside("apt-get -q update && apt-get -y -q upgrade")
    assert "kept back:\n  bird2\n" in upgraded
    assert bare.inside("dpkg-query -W -f '${Version}' bird2") == old_bird


def test_a_mirror_nobody_vouches_for_does_not_read_as_nothing_to_update(bare, mirror):
    before = bare.withdrawals()
    (mirror / "InRelease").write_text("Suite: trixie\n")
    refused = bare.ssh(f"{AGENT} update 0")
    assert refused.returncode == 1
    assert "host: unchanged, serving" in refused.stderr
    assert bare.withdrawals() == before


def test_an_update_that_is_killed_leaves_the_pop_out_and_the_next_one_finishes_it(bare, old_bird):
    bare.inside(f"echo '{HANG}' > /etc/dpkg/dpkg.cfg.d/hang")
    argv = [*enter(bare.lab.paths, "ops"), *bare.ssh_words, f"{AGENT} update 0"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as asked:
        bare.eventually(lambda: bare.lab.exec("par1", ["test", "-e", "/run/here"]).returncode == 0)
        announced = bare.announced()
        meanwhile = bare.apply(bare.bundle({"/etc/chrony/conf.d/loopback.conf": "minsources 2\n"}))
        bare.inside("rm /etc/dpkg/dpkg.cfg.d/hang; systemctl kill -s KILL loopback-update")
        said = asked.stderr.read()
    assert not announced  # out of traffic before the first package was touched
    assert "another apply, update" in meanwhile.stderr
    assert "the update was killed before it ended" in said
    assert "drained by update" in said
    assert bare.report()["drain"] == ["update"]
    assert bare.inside("find /usr/sbin -name 'policy-rc.d*'") == ""
    pid = bare.inside("systemctl show bird -p MainPID")
    done = bare.ssh(f"{AGENT} update 0")
    assert done.returncode == 0, done.stderr
    assert bare.gate() == "open"  # it waited, though it was not this one that took the PoP out
    assert json.loads(done.stdout)["updated"] == {"bird2": [old_bird, f"{old_bird}+lab1"]}
    assert bare.inside("systemctl show bird -p MainPID") != pid
    assert "bird2" in bare.inside("apt-mark showhold").split()
    bare.assert_serving(bare.bundle())
    again = json.loads(bare.ssh(f"{AGENT} update 0").stdout)
    assert (again["state"], again["drained"]) == ("current", False)


def test_an_update_that_does_not_prove_goes_back_to_the_old_package(bare, repack):
    old = bare.inside("dpkg-query -W -f '${Version}' haproxy")
    broken = repack(bare.lab.paths.mirror, "haproxy", "+lab2", "usr/sbin/haproxy")
    publish(bare.lab.paths, [broken])
    refused = bare.ssh(f"{AGENT} update 0")
    assert refused.returncode == 1
    assert f"the update to haproxy {old}+lab2 failed" in refused.stderr
    assert f"host: back on haproxy {old}, serving" in refused.stderr
    assert bare.inside("dpkg-query -W -f '${Version}' haproxy") == old
    assert "haproxy" in bare.inside("apt-mark showhold").split()
    bare.assert_serving(bare.bundle())


def test_without_a_way_back_the_pop_stays_out_and_says_so(bare):
    old = bare.inside("dpkg-query -W -f '${Version}' haproxy")
    for package in bare.lab.paths.mirror.glob(f"haproxy_{old}_*"):
        package.unlink()
    publish(bare.lab.paths)
    bare.inside("rm /var/lib/loopback/packages/haproxy_*")
    refused = bare.ssh(f"{AGENT} update 0")
    assert refused.returncode == 1
    assert "the old package of haproxy is in no mirror any more" in refused.stderr
    assert f"host: withdrawn, with haproxy {old}+lab2" in refused.stderr
    assert "drained by update" in refused.stderr
    assert not bare.announced()
