"""Which packages an update is about, as apt's simulation says it."""

from loopback_iac.agent.update import Update, parse_coming

SIMULATED = """\
The following packages will be upgraded:
  bird2 libc6 wireguard-tools
Inst libc6 [2.41-12] (2.41-12+deb13u1 Debian:13.2/stable [amd64])
Inst bird2 [2.17.5-0+deb13u1] (2.17.5-0+deb13u2 Debian-Security:13/stable-security [amd64]) []
Inst libnew (1.0-1 Debian:13.2/stable [amd64])
Inst procps [2:4.0.4-9] (2:4.0.4-10 Debian:13.2/stable, Other mirror:trixie [amd64])
Inst wireguard-tools [1.0-3] (1.0-4 Debian:13.2/stable, Other mirror:trixie [amd64])
Conf bird2 (2.17.5-0+deb13u2 Debian-Security:13/stable-security [amd64])
"""


def test_only_what_carries_traffic_is_named_with_both_versions():
    assert parse_coming(SIMULATED) == [
        Update("bird2", "2.17.5-0+deb13u1", "2.17.5-0+deb13u2", "amd64"),
        Update("wireguard-tools", "1.0-3", "1.0-4", "amd64"),
    ]


def test_nothing_to_update_is_an_empty_list():
    assert parse_coming("0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n") == []
