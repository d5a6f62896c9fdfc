"""From a bare host to a PoP that announces: enroll, apply, confirm, report; and once more."""

import json
import time

# What a Debian package with a daemon looks like: debhelper's postinst starts it by this very call.
REPOSITORY = r"""
set -e; rm -rf /run/repo; mkdir -p /run/repo/p/DEBIAN /run/repo/p/usr/lib/systemd/system
cd /run/repo
cat > p/DEBIAN/control <<END
Package: eager
Version: 1
Architecture: all
Maintainer: t <t@t>
Description: starts at once
END
printf '[Service]\nExecStart=/bin/sleep 999\n' > p/usr/lib/systemd/system/eager.service
printf '#!/bin/sh\nset -e\ndeb-systemd-invoke start eager.service\n' > p/DEBIAN/postinst
chmod 755 p/DEBIAN/postinst
dpkg-deb --root-owner-group -b p eager.deb >/dev/null
{ dpkg-deb -f eager.deb; echo "Filename: ./eager.deb"; echo "Size: $(stat -c %s eager.deb)"
  echo "SHA256: $(sha256sum eager.deb | cut -d' ' -f1)"; } > Packages
echo 'deb [trusted=yes] file:/run/repo ./' > /etc/apt/sources.list.d/eager.list
"""


def test_enroll_twice_gives_the_same_facts_and_shows_no_private_key(edge):
    first, second = edge.enroll(), edge.enroll()
    assert first.returncode == second.returncode == 0, second.stderr
    assert first.stdout == second.stdout
    facts = json.loads(first.stdout)
    assert facts["os"] == "debian 13"
    assert facts["host"] == "par1"
    private = edge.inside("cat /etc/loopback/keys/wireguard-1.key").strip()
    assert edge.inside("stat -c %a:%U /etc/loopback/keys/wireguard-1.key").strip() == "600:root"
    derived = edge.inside("wg pubkey < /etc/loopback/keys/wireguard-1.key").strip()
    assert facts["wireguard"] == {"1": derived}
    assert private not in first.stdout + first.stderr
    assert edge.inside("apt-mark showhold").split() == [
        "bird2", "chrony", "haproxy", "nftables", "wireguard-go", "wireguard-tools",
    ]  # fmt: skip


def test_another_system_is_refused_by_name_and_left_alone(edge):
    edge.inside(
        'printf \'ID=ubuntu\\nVERSION_ID="24.04"\\nPRETTY_NAME="Ubuntu 24.04.1 LTS"\\n\' > /run/os'
        " && mount --bind /run/os /etc/os-release"
    )
    try:
        refused = edge.enroll(key_epochs=[1, 7])
    finally:
        edge.inside("umount /etc/os-release")
    assert refused.returncode == 1
    assert "Ubuntu 24.04.1 LTS" in refused.stderr
    assert "needs Debian 13" in refused.stderr
    assert "host: unchanged" in refused.stderr
    assert edge.inside("ls /etc/loopback/keys").split() == ["wireguard-1.key"]


def test_an_agent_that_was_altered_on_the_way_does_not_run(edge):
    refused = edge.enroll(agent_sha256="0" * 64)
    assert refused.returncode == 1
    assert "host: unchanged" in refused.stderr


def test_a_missing_package_is_installed_and_does_not_start(edge):
    """From a repository on the host itself; it would start a service when installed."""
    edge.inside(REPOSITORY + "printf '#!/bin/sh\\n# mine\\n' > /usr/sbin/policy-rc.d")
    try:
        enrolled = edge.enroll(packages=["eager", "bird2"])
        assert enrolled.returncode == 0, enrolled.stderr
        assert "installed eager" in enrolled.stderr
        assert edge.inside("dpkg-query -W -f '${db:Status-Status}' eager") == "installed"
        assert edge.inside("systemctl is-active eager || true").strip() == "inactive"
        # the host's own policy is back
        assert edge.inside("tail -qn1 /usr/sbin/policy-rc.d*") == "# mine\n"
    finally:
        edge.inside("rm /etc/apt/sources.list.d/eager.list /usr/sbin/policy-rc.d")
        edge.inside("dpkg --purge eager")


def test_an_unknown_package_is_refused_with_apts_words(edge):
    refused = edge.enroll(packages=["no-such-package-anywhere"])
    assert refused.returncode == 1
    assert "no-such-package-anywhere" in refused.stderr
    assert "host: unchanged" in refused.stderr


def test_a_first_apply_opens_the_gate_only_after_the_confirm(edge):
    bundle = edge.bundle()
    applied = edge.apply(bundle)
    assert applied.returncode == 0, applied.stderr
    result = json.loads(applied.stdout)
    assert result["state"] == "unconfirmed"
    assert result["changed"] == sorted(bundle["files"])
    time.sleep(2)
    assert edge.report()["gates"]["v4"]["reason"] == "the applied configuration is not confirmed"
    assert not edge.announced()
    confirmed = edge.confirm(bundle)
    assert confirmed.returncode == 0, confirmed.stderr
    edge.assert_serving(bundle)


def test_a_second_apply_changes_nothing(edge, baseline):
    before = edge.inside("stat -c %Y.%i /etc/bird/bird.conf; systemctl show bird -p MainPID")
    done = edge.apply(baseline)
    assert json.loads(done.stdout) == {
        "format": 1, "host": "par1", "digest": baseline["digest"],
        "changed": [], "state": "active", "drained": False,
    }  # fmt: skip
    assert (
        edge.inside("stat -c %Y.%i /etc/bird/bird.conf; systemctl show bird -p MainPID") == before
    )


def test_report_tells_what_runs(edge, baseline):
    report = edge.report()
    assert report["standing"] == f"serving {baseline['digest'][:12]}"
    assert report["bgp"] == {"t1": "up Established"}
    assert report["workers"] == {"web-https": 1}
    assert report["tunnels"]["lb-w1"]["present"] is True
    assert "203.0.113.10 443" in report["listening"]
    assert report["versions"]["bird"].startswith("2.17")
    assert edge.md5 not in json.dumps(report)


def test_routes_are_set_once_and_by_difference(edge, baseline):
    assert edge.inside("loopback-agent routes 2>&1") == ""
    edge.inside("ip rule del pref 1000; ip -6 addr del 2001:db8:100::10/128 dev lo")
    edge.inside("ip addr add 203.0.113.99/32 dev lo proto 250")
    told = edge.inside("loopback-agent routes 2>&1")
    assert told.splitlines() == [
        "ip addr del 203.0.113.99/32 dev lo",
        "ip rule add pref 1000 from 203.0.113.0/24 lookup 100",
        "ip addr add 2001:db8:100::10/128 dev lo proto 250",
    ]
    assert edge.inside("loopback-agent routes 2>&1") == ""
