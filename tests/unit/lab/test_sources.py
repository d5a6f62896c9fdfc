"""The machine's apt sources, read and turned to the hosts' suite."""

from __future__ import annotations

from loopback_iac.lab.sources import DEFAULTS, parse_classic, parse_deb822, render_mirrors

CLASSIC = """
# a comment
deb http://mirror.example/debian bookworm main contrib # ours
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] https://u:p@m.example/s bookworm-security main
deb https://tools.example/apt stable main
"""
DEB822 = """\
Types: deb deb-src
# http://snapshot.example/ignored
URIs: http://one.example/debian
 http://two.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: http://inline.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_classic_lines_keep_their_keyring_and_their_password():
    assert render_mirrors(parse_classic(CLASSIC), "bookworm") == [
        "deb http://mirror.example/debian trixie main",
        "deb [signed-by=/usr/share/keyrings/k.gpg] https://u:p@m.example/s trixie-security main",
    ]


def test_stanzas_give_every_uri_and_suite_and_skip_what_is_off():
    keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    assert render_mirrors(parse_deb822(DEB822), "bookworm") == [
        f"deb {keyring} http://one.example/debian trixie main",
        f"deb {keyring} http://one.example/debian trixie-updates main",
        f"deb {keyring} http://two.example/debian trixie main",
        f"deb {keyring} http://two.example/debian trixie-updates main",
        "deb http://inline.example/debian trixie main",
    ]


def test_a_machine_without_debian_mirrors_gets_the_public_ones():
    assert render_mirrors([], "bookworm") == list(DEFAULTS)
    # Ubuntu, say: its mirrors hold no Debian
    assert render_mirrors(parse_classic("deb http://a.example/ubuntu noble main"), "") == list(
        DEFAULTS
    )
    backports = parse_classic("deb http://a.example/debian bookworm-backports main")
    assert render_mirrors(backports, "bookworm") == list(DEFAULTS)
