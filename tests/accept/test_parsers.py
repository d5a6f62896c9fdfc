"""Every file of every golden fleet goes through the parser of the daemon that will read it."""

from __future__ import annotations

import dataclasses

import pytest

from loopback_iac.render import HostFiles
from tests.accept import parsers
from tests.golden import case as golden


@pytest.mark.parametrize("name", golden.names(rejected=False))
def test_every_daemon_accepts(image, name):
    for host, files in golden.render(golden.load(name)).items():
        assert parsers.complaints(image, files) == [], host


BROKEN = {
    "/etc/bird/bird.conf": ("protocol device {", "protocol devices {"),
    "/etc/haproxy/haproxy.cfg": ("error-limit 5", "error-limits 5"),
    "/etc/loopback/nftables.conf": ("policy drop;", "policy dropp;"),
    "/etc/wireguard/lb-w1.conf": ("AllowedIPs", "AllowIPs"),
    "/etc/ssh/sshd_config.d/10-loopback.conf": ("MaxAuthTries 3", "MaxAuthTries three"),
    "/etc/chrony/conf.d/loopback.conf": ("cmdport 0", "cmdports 0"),
    "/etc/systemd/system/loopback-watch.service": ("Restart=always", "Restart=forever"),
    "/etc/systemd/system/haproxy.service.d/loopback.conf": ("LimitNOFILE=", "LimitNOFILES="),
    "/etc/sysusers.d/loopback.conf": ("u loopback-watch", "z loopback-watch"),
    "/etc/loopback/sysctl.conf": ("net.ipv4.tcp_syncookies", "net.ipv4.tcp_biscuits"),
    "/etc/default/prometheus-node-exporter": ("--web.listen", "--wep.listen"),
}


@pytest.mark.parametrize("path", sorted(BROKEN))
def test_a_broken_file_is_refused(image, path):
    """The acceptance above can fail: one wrong word in each kind of file is noticed."""
    files = golden.render(golden.load("two-pops"))["fra1"]
    right, wrong = BROKEN[path]
    text = files.files[path].text
    assert right in text
    broken = dataclasses.replace(files.files[path], text=text.replace(right, wrong, 1))
    assert parsers.complaints(image, HostFiles({**files.files, path: broken}, files.packages))
