"""Small pure parts: the packed file, listeners, rules, HAProxy's table, the peer's address."""

import ast
import base64
import io
import sys
import zipfile

import pytest

from loopback_iac.agent import BOOT, agent_sha256, build, enroll
from loopback_iac.agent.checks import _in_turns
from loopback_iac.agent.converge import allows
from loopback_iac.agent.echo import _request, peer_address
from loopback_iac.agent.haproxy import parse_denied, parse_workers
from loopback_iac.agent.listeners import covered
from loopback_iac.agent.main import main
from loopback_iac.agent.packing import compile_agent, is_whole
from loopback_iac.agent.refusal import RefusedError, render_refusal
from loopback_iac.agent.routes import parse_routes, plan_rules


def test_the_agent_is_one_file_with_the_same_bytes_each_time():
    agent = build()
    assert agent == build()
    assert agent.startswith(b"#!/usr/bin/python3 -ISB\n")
    assert len(agent_sha256(agent)) == 64
    with zipfile.ZipFile(io.BytesIO(agent)) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert all(name.endswith(".py") for name in names)
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_bytecode_that_was_damaged_is_known_for_it():
    compiled = compile_agent(build(), "/agent.pyz")
    assert is_whole(compiled)
    with zipfile.ZipFile(io.BytesIO(compiled)) as archive:
        sources = {name for name in archive.namelist() if name.endswith(".py")}
        assert set(archive.namelist()) == sources | {f"{name}c" for name in sources}
        places = [entry.header_offset + 100 for entry in archive.infolist()[::16]]
    for place in (0, *places, len(compiled) - 30, len(compiled) - 10):
        damaged = bytearray(compiled)
        damaged[place] ^= 0xFF
        assert not is_whole(bytes(damaged)), place
    assert not any(map(is_whole, (b"", b"PK", compiled[:-1000])))


def test_the_agent_needs_nothing_but_the_standard_library():
    with zipfile.ZipFile(io.BytesIO(build())) as archive:
        for name in archive.namelist():
            for node in ast.walk(ast.parse(archive.read(name))):
                found = []
                if isinstance(node, ast.Import):
                    found = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    found = [node.module or ""]
                roots = {module.split(".")[0] for module in found}
                assert roots <= set(sys.stdlib_module_names) | {"loopback_agent"}, name


def test_the_bootstrap_fits_between_single_quotes():
    assert "'" not in BOOT
    ast.parse(BOOT)


def test_a_refusal_says_what_how_and_where_the_host_stands():
    told = RefusedError("it broke", fix="mend it")
    assert render_refusal("apply", told, "serving abc") == (
        "loopback-agent apply: it broke\n  fix: mend it\n  host: unchanged, serving abc\n"
    )
    told = RefusedError("it broke", host="rolled back; serving abc")
    assert render_refusal("apply", told, "x").endswith("host: rolled back; serving abc\n")


def test_a_wildcard_listener_covers_its_own_family():
    wanted = {("203.0.113.10", 443), ("2001:db8::10", 443), ("203.0.113.10", 80)}
    everywhere = {("0.0.0.0", 443)}  # noqa: S104 -- compared, not bound
    assert covered(wanted, everywhere) == {("203.0.113.10", 443)}
    assert covered(wanted, {("::", 443)}) == {("2001:db8::10", 443)}
    assert covered(wanted, {("203.0.113.10", 80)}) == {("203.0.113.10", 80)}
    assert covered({("2001:0db8::0010", 443)}, {("2001:db8::10", 443)}) == {
        ("2001:0db8::0010", 443)
    }


def test_reachable_workers_are_counted_per_backend():
    head = "# pxname,svname,bck,status,weight"
    rows = ["web,w1,0,UP,100", "web,w2,0,DOWN,100", "web,w3,0,UP 1/3,100", "web,w1b,1,no check,1",
            "web,w4,0,UP,0", "api,w1,0,MAINT,1", "raw,w1,0,no check,1"]  # fmt: skip
    assert parse_workers("\n".join([head, *rows, ""])) == {"web": 2, "api": 0, "raw": 1}
    assert parse_workers("") is None
    assert parse_workers("Unknown command\n") is None


def test_denied_connections_are_told_per_frontend_and_silence_is_no_zero():
    head = "# pxname,svname,dcon"
    assert parse_denied(f"{head}\nhttps,FRONTEND,7\nsmtp,FRONTEND,\n") == {"https": 7, "smtp": 0}
    assert parse_denied("") is None


FOUND = [
    {"priority": 0, "src": "all", "table": "local"},
    {"priority": 1000, "src": "203.0.113.0", "srclen": 24, "table": "100"},
    {"priority": 1000, "src": "198.51.100.0", "srclen": 24, "table": "100"},
    {"priority": 1001, "src": "all", "dst": "203.0.113.0", "dstlen": 24, "table": "101"},
    {"priority": 32766, "src": "all", "table": "main"},
]


def test_rules_change_by_their_difference_and_only_ours():
    stale, fresh = plan_rules(["203.0.113.0/24"], FOUND)
    assert stale == ["pref 1000 from 198.51.100.0/24", "pref 1001 to 203.0.113.0/24"]
    assert fresh == ["pref 1001 to 203.0.113.0/24 lookup 100"]
    assert plan_rules(["203.0.113.0/24"], [*FOUND[:2], FOUND[3] | {"table": "100"}]) == ([], [])


def test_a_single_address_is_known_again_though_ip_leaves_out_its_length():
    there = [
        {"priority": 1000, "src": "203.0.113.64", "table": "100"},
        {"priority": 1001, "src": "all", "dst": "203.0.113.64", "table": "100"},
    ]
    assert plan_rules(["203.0.113.64/32"], there) == ([], [])
    assert plan_rules([], there)[0] == [
        "pref 1000 from 203.0.113.64/32",
        "pref 1001 to 203.0.113.64/32",
    ]


def test_routes_need_every_vip_inside_a_prefix():
    text = b'{"format": 1, "prefixes": ["203.0.113.0/24"], "vips": ["203.0.113.10"]}'
    assert parse_routes(text).vips == ("203.0.113.10/32",)
    for wrong in (text.replace(b"113.10", b"114.10"), text.replace(b"0/24", b"1/24"), b"{}", b"x"):
        with pytest.raises(RefusedError):
            parse_routes(wrong)


def test_a_hosted_prefix_has_vips_and_no_rules_of_ours():
    text = b'{"format": 1, "hosted": ["198.51.100.0/24"], "prefixes": ["203.0.113.0/24"], '
    text += b'"vips": ["198.51.100.10", "203.0.113.10"]}'
    found = parse_routes(text)
    assert found.vips == ("198.51.100.10/32", "203.0.113.10/32")
    stale, fresh = plan_rules(found.prefixes, FOUND)
    # whatever stood for it goes: its answers leave by the hoster's own default route
    assert "pref 1000 from 198.51.100.0/24" in stale
    assert not [line for line in fresh if "198.51.100.0" in line]
    with pytest.raises(RefusedError):
        parse_routes(text.replace(b"198.51.100.0/24", b"198.51.101.0/24"))
    with pytest.raises(RefusedError):
        parse_routes(text.replace(b'["198.51.100.0/24"]', b'"198.51.100.0/24"'))


def test_an_address_mapped_into_ipv6_is_judged_as_itself():
    sources = ("198.18.251.0/24", "2001:db8::/48")
    assert allows(sources, "198.18.251.2")
    assert allows(sources, "::ffff:198.18.251.2")
    assert allows(sources, "2001:db8::5")
    assert not allows(sources, "198.18.252.2")
    assert not allows(sources, "fe80::1%eth0")


def test_the_peer_is_the_other_end_of_the_pair():
    assert peer_address(["10.88.0.0/31"]) == "10.88.0.1"
    assert peer_address(["10.88.0.1/31"]) == "10.88.0.0"
    assert peer_address(["10.88.0.1"]) is None  # as `ip` tells one end of a point-to-point link
    assert peer_address([]) is None


def test_an_echo_request_carries_a_right_checksum():
    packet = _request(0x1234, 7)
    total = sum(int.from_bytes(packet[at : at + 2], "big") for at in range(0, len(packet), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF


@pytest.mark.parametrize("verb", ["drain", "update"])
@pytest.mark.parametrize("words", ["soon", "-5", "nan", "1e9"])
def test_what_is_no_number_of_seconds_is_refused_before_anything_happens(capsys, verb, words):
    assert main([verb, words]) == 2
    assert f"{words!r} is no number of seconds\n  host: unchanged\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "programs",
    [
        {"agent": "aaaa"},
        {"agent-ab": "aaaa"},
        {"../x": "aaaa"},
        {"a-b": 1},
        {"a-b": "no base64!"},
        ["a-b"],
        {"A": ""},
    ],
)
def test_a_program_that_cannot_be_kept_is_refused_before_anything_changes(programs):
    with pytest.raises(RefusedError, match="program"):
        enroll._parse_programs(programs)


def test_programs_are_kept_whole_and_go_with_the_request_that_had_them(tmp_path, monkeypatch):
    monkeypatch.setattr(enroll, "AGENTS", str(tmp_path))
    for name in ("agent-0123456789ab.pyz", "agent-abcdefabcdef.pyz"):
        (tmp_path / name).write_bytes(b"the agent's own")
    for given in ({"dns-check": "b25l"}, {"dns-check": "dHdv"}, {"other": "b25l"}, {}):
        enroll._install_programs(enroll._parse_programs(given))
        found = {p.name: p.read_bytes() for p in tmp_path.iterdir() if "agent" not in p.name}
        assert found == {f"{n}.pyz": base64.b64decode(text) for n, text in given.items()}
    assert len(list(tmp_path.iterdir())) == 2


def test_all_checks_run_and_of_those_that_refuse_the_first_is_told():
    begun = []

    def check(at, refuses):
        def run():
            begun.append(at)
            if refuses:
                raise RefusedError(str(at))

        return run

    _in_turns([check(at, refuses=False) for at in range(9)])
    assert sorted(begun) == list(range(9))
    with pytest.raises(RefusedError, match=r"^3$"):
        _in_turns([check(at, refuses=at in (3, 4)) for at in range(90)])
    _in_turns([])
