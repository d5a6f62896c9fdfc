"""`loopback dns`: what stands on which stream, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loopback_iac.cli import app

DOCS = Path(__file__).parents[3] / "docs/zones"
ZONE, YAML = str(DOCS / "example.net.zone"), str(DOCS / "example.net.yaml")


def run(*words):
    return CliRunner().invoke(app, ["dns", *map(str, words)])


def test_the_zones_of_the_documents_are_good_and_the_same():
    assert run("check-zone", ZONE).stdout == "example.net. 12 RRsets, 13 records\n"
    assert run("check-zone", YAML).exit_code == 0
    same = run("diff", ZONE, YAML)
    assert (same.exit_code, same.stdout) == (0, "")


def test_what_is_wrong_stands_on_stderr_with_file_and_line(tmp_path):
    file = tmp_path / "bad.zone"
    file.write_text("$TTL 3600\n@ NS ns1\nx CNAME y\nx A 192.0.2.1\n")
    done = run("check-zone", file, "--zone", "example.net")
    assert done.exit_code == 1
    assert f"at: {file}:3   rule: cname-coexistence" in done.stderr
    assert "alias-dangling" in done.stderr  # told, and no reason by itself
    found = json.loads(run("check-zone", file, "--zone", "example.net", "--json").stdout)
    assert {"cname-coexistence", "apex-ns-few"} <= {p["rule"] for p in found["problems"]}
    assert {p["rule"] for p in found["advice"]} == {"alias-dangling"}


def test_advice_alone_is_no_failure(tmp_path):
    file = tmp_path / "example.net.zone"
    file.write_text(Path(ZONE).read_text() + "gone CNAME nowhere\n")
    done = run("check-zone", file)
    assert done.exit_code == 0
    assert "alias-dangling" in done.stderr


def test_operators_are_asked_for_by_name(tmp_path):
    file = tmp_path / "example.net.zone"
    file.write_text(Path(ZONE).read_text() + f"x SSHFP 4 2 {'ab' * 32}\n")
    done = run("check-zone", file, "--operator", "hetzner:api", "--operator", "ionos")
    assert done.exit_code == 1
    assert "hetzner has no type SSHFP" in done.stderr
    assert "not known: ionos (transfer): presigned is unknown" in done.stderr
    assert run("check-zone", file, "--operator", "route53").exit_code == 2


def test_includes_stay_in_the_folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out.zone").write_text("o A 192.0.2.1\n")
    (tmp_path / "in/more.zone").write_text("m A 192.0.2.1\n")
    file = tmp_path / "in/z.zone"
    file.write_text("$ORIGIN example.net.\n$TTL 60\n$INCLUDE more.zone\n")
    assert run("convert", file, "--to", "zonefile").stdout.endswith("m IN A 192.0.2.1\n")
    file.write_text("$ORIGIN example.net.\n$TTL 60\n$INCLUDE ../out.zone\n")
    done = run("convert", file, "--to", "zonefile")
    assert done.exit_code == 1
    assert "include-missing" in done.stderr


def test_formats_turn_into_each_other(tmp_path):
    other = tmp_path / "example.net.yaml"
    other.write_text(run("convert", ZONE, "--to", "octodns").stdout)
    assert run("diff", ZONE, other).stdout == ""
    assert run("convert", ZONE, "--to", "bind").exit_code == 2


def test_a_dangerous_difference_ends_with_one_until_it_is_acknowledged(tmp_path):
    new = tmp_path / "new.zone"
    text = Path(ZONE).read_text().replace("        IN MX    10 mail\n", "")
    new.write_text(text)
    done = run("diff", ZONE, new)
    assert done.exit_code == 1
    assert done.stdout == "- example.net. 3600 MX 10 mail.example.net.\n"
    (danger,) = json.loads(run("diff", ZONE, new, "--json").stdout)["dangers"]
    words = danger["fix"].split('"')[1]
    assert run("diff", ZONE, new, "--acknowledge", words).exit_code == 0


@pytest.mark.parametrize("name", ["none.zone", "latin.zone"])
def test_a_file_that_is_no_text_is_a_usage_error(tmp_path, name):
    (tmp_path / "latin.zone").write_bytes(b"\xff\xfe")
    done = run("check-zone", tmp_path / name)
    assert done.exit_code == 2
    assert "fix: name a file of UTF-8 text" in done.stderr
