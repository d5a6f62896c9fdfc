"""What an arbiter tells a member, and what that one says to its LAN; tests/lab has real cards."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.agent.hold import parse_hold, parse_key, render_announcement
from loopback_iac.agent.refusal import RefusedError
from loopback_iac.agent.words import (
    MOST_BYTES,
    Word,
    derive_key,
    make_challenge,
    parse_word,
    read_line,
    render_word,
)
from loopback_iac.lab.cloud.ionos.api import parse_announcement
from loopback_iac.render import hold_key

KEY = derive_key("token", "m1")
WORD = Word("198.18.48.9", "m1", "1")


def test_a_word_is_good_for_one_challenge_and_one_member():
    first, second = make_challenge(), make_challenge()
    assert first != second
    line = render_word(KEY, first, WORD)
    assert parse_word(KEY, first, line) == WORD
    assert parse_word(KEY, second, line) is None
    assert parse_word(derive_key("token", "m2"), first, line) is None
    assert parse_word(KEY, first, line.replace(b'"m1"', b'"m2"')) is None


@given(st.binary(max_size=200))
def test_what_the_arbiter_did_not_say_is_no_word(line):
    assert parse_word(KEY, b"0123\n", line) is None


def test_a_signed_line_of_another_shape_is_no_word():
    challenge = make_challenge()
    line = render_word(KEY, challenge, WORD)
    assert parse_word(KEY, challenge, line)
    strange = type("Strange", (), {"_asdict": lambda _: {"holder": "m1"}})()
    assert parse_word(KEY, challenge, render_word(KEY, challenge, strange)) is None


def test_a_line_is_read_in_parts_and_to_its_end_alone():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for part in (b"one ", b"line\nand more"):
            theirs.sendall(part)
        assert read_line(ours) == b"one line\n"
        theirs.sendall(b"x" * MOST_BYTES)
        assert len(read_line(ours)) == MOST_BYTES + 1
        theirs.close()
        assert read_line(ours) == b"\n"


def test_the_program_and_the_arbiter_make_the_same_key():
    assert bytes.fromhex(hold_key("token", "m1")) == KEY
    assert parse_key(hold_key("token", "m1").encode() + b"\n") == KEY


def test_an_announcement_is_gratuitous_arp():
    mac = bytes.fromhex("020100000101")
    request, reply = render_announcement(mac, "198.18.48.9")
    for frame, operation in ((request, 1), (reply, 2)):
        assert frame[:14] == b"\xff" * 6 + mac + b"\x08\x06"
        assert int.from_bytes(frame[20:22], "big") == operation
        assert parse_announcement(frame) == "198.18.48.9"
    assert parse_announcement(request[:-4] + bytes([198, 18, 48, 1])) == ""
    assert parse_announcement(request[:30]) == ""


FILE = {"format": 1, "name": "m1", "own": "198.18.48.5", "address": "198.18.48.9"}


@pytest.mark.parametrize("changed", [{"own": "2001:db8::1"}, {"address": "www"}, {"name": None}])
def test_a_file_that_does_not_fit_is_refused(changed):
    assert parse_hold(json.dumps(FILE).encode()).own == "198.18.48.5"
    kept = {key: value for key, value in (FILE | changed).items() if value is not None}
    with pytest.raises(RefusedError, match=r"hold\.json does not fit format 1"):
        parse_hold(json.dumps(kept).encode())


@pytest.mark.parametrize("content", [b"secret", b"00ff"])
def test_a_key_that_is_none_is_refused(content):
    with pytest.raises(RefusedError, match="hold-key is"):
        parse_key(content)
