"""`loopback dns check` and `ds-gate`: what is refused before anybody is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from loopback_iac.cli import app
from loopback_iac.remote.dns_look import DIFFERENT

ZONE = str(Path(__file__).parents[3] / "docs/zones/example.net.zone")


def run(*words):
    return CliRunner().invoke(app, ["dns", *map(str, words)])


@pytest.mark.parametrize(
    "word",
    [
        "192.0.2.1",
        "ns1=",
        "=192.0.2.1",
        "ns1=ns1.example.net",
        "ns1=192.0.2.1:0",
        "ns1=[::1]:99999",
    ],
)
def test_a_server_is_a_name_and_an_address(word):
    for words in (["check", ZONE], ["ds-gate", "example.net"]):
        done = run(*words, "--server", word)
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"--server {word}: need NAME[/POP]=ADDRESS[:PORT]" in done.stderr
        assert "fix: write it like ns1.example.net/fra1=192.0.2.53" in done.stderr


@pytest.mark.parametrize("line", ["", "name", "md5:name:AAAA", "name:secret!", "a:b:c:d"])
def test_a_key_that_cannot_be_read_is_refused_and_not_shown(tmp_path, line):
    (tmp_path / "key").write_text(line)
    done = run("check", ZONE, "--server", "ns1=192.0.2.1", "--tsig-file", tmp_path / "key")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "need [ALGORITHM:]NAME:SECRET" in done.stderr or "expected [ALGORITHM:]" in done.stderr
    assert "secret!" not in done.output


def test_other_words_are_refused(tmp_path):
    for words, text in (
        (["--by", "luck"], "need one of all, queries, transfer"),
        (["--ds", "12345 13"], "is no data of DS"),
        (["--tsig-file", tmp_path / "none"], "name a file that can be read"),
        (["--parent", "localhost"], "need NAME[/POP]=ADDRESS[:PORT]"),
    ):
        done = run("check", ZONE, "--server", "ns1=192.0.2.1", *words)
        assert (done.exit_code, done.stdout) == (2, ""), words
        assert text in done.stderr, words
    assert run("check", ZONE).exit_code == 2


def test_a_zone_file_that_is_none_is_told_from_a_difference(tmp_path):
    (tmp_path / "example.net.zone").write_text("$ORIGIN example.net.\n@ SOA a.\n")
    done = run("check", tmp_path / "example.net.zone", "--server", "ns1=192.0.2.1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.exit_code != DIFFERENT
