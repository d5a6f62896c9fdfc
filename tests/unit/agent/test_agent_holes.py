"""Files of addresses that are given up: one own address per line, whoever wrote the file."""

import pytest

from loopback_iac.agent import holes
from loopback_iac.agent.bundle import HostSet, SetFile
from loopback_iac.agent.checks import check_memory, check_staged
from loopback_iac.agent.holes import Hole, check_elements, parse_holes
from loopback_iac.agent.refusal import RefusedError


def test_a_line_is_an_address_and_its_reason():
    text = "route 203.0.113.66/32 blackhole; # a flood; # of 20 November\n"
    assert list(parse_holes(text, 4, "declared")) == [
        Hole("203.0.113.66", "a flood; # of 20 November", "declared")
    ]
    text = "route 2001:DB8:100:0::66/128 blackhole;\n"
    assert list(parse_holes(text, 6, "by hand")) == [Hole("2001:db8:100::66", "", "by hand")]
    check_elements("add element inet loopback blackholed4 { 203.0.113.66 }\n")


@pytest.mark.parametrize(
    "line",
    [
        "route 203.0.113.0/24 blackhole;",
        "route 203.0.113.66/32 unreachable;",
        "route 203.0.113.66/32 blackhole; } protocol static {",
        "route 203.0.113.66/128 blackhole;",
        "route 2001:db8:100::66/128 blackhole;",
        'include "/etc/shadow";',
        "",
    ],
)
def test_a_line_that_says_anything_else_is_refused(line):
    with pytest.raises(RefusedError, match=r"line 2: .* gives up no single IPv4 address"):
        list(parse_holes(f"route 203.0.113.66/32 blackhole;\n{line}\n", 4, "declared"))


def test_a_file_somebody_else_wrote_is_named_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr(holes, "DECLARED", str(tmp_path / "declared"))
    monkeypatch.setattr(holes, "BY_HAND", str(tmp_path / "hand"))
    (tmp_path / "declared4.conf").write_text("route 203.0.113.66/32 blackhole;\n")
    assert holes.read_holes() == [Hole("203.0.113.66", "", "declared")]
    (tmp_path / "hand6.conf").write_text("route ::/0 blackhole;\n")
    with pytest.raises(RefusedError, match=r"/hand6\.conf, line 1: .* no single IPv6") as refused:
        holes.read_holes()
    assert "take the line out" in refused.value.fix


@pytest.mark.parametrize(
    "line",
    [
        "flush ruleset",
        "add element inet loopback blackholed4 { 203.0.113.0/24 }",
        "add element inet loopback blackholed6 { 203.0.113.66 }",
        "add element inet loopback admin4 { 203.0.113.66 }",
        "add element inet loopback blackholed4 { 203.0.113.66 }; flush ruleset",
    ],
)
def test_an_element_of_another_set_is_refused(line):
    with pytest.raises(RefusedError, match="line 1"):
        check_elements(line + "\n")


@pytest.mark.parametrize("name", ["blackhole4.conf", "blackhole6.conf", "blackhole.nft"])
def test_a_bundle_with_such_a_line_is_refused_before_the_swap(tmp_path, name):
    path = f"/etc/loopback/{name}"
    staged = HostSet("d" * 64, "pop", {path: SetFile("flush ruleset\n", 0o644, "root", "root")})
    with pytest.raises(RefusedError, match=rf"the agent refuses {path}"):
        check_staged(str(tmp_path), staged)


def test_more_connections_than_memory_are_refused_with_both_numbers():
    config = "frontend a\n  maxconn 20000\nfrontend b\n  maxconn 5000\n"
    assert check_memory(config, 4 << 20) is None
    told = check_memory(config, 1 << 20)
    assert told is not None
    assert told.startswith("25000 connections may need 878 MiB; this host has 1024 MiB")
