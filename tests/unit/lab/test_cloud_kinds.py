"""What a bridged provider makes of inputs before any call: names, defaults, replacements."""

from __future__ import annotations

import re

import pytest

from loopback_iac.engine.values import UNKNOWN
from loopback_iac.lab.cloud.hetzner.keys import SshKeys
from loopback_iac.lab.cloud.hetzner.servers import Servers, hash_user_data
from loopback_iac.lab.cloud.kinds import (
    DEFAULTS,
    blur_outputs,
    check_shape,
    diff_inputs,
    fill_inputs,
    known,
)

SERVER, KEY = Servers.kind, SshKeys.kind
ORDER = {"serverType": "cx23", "image": "debian-13"}


def test_a_name_is_made_once_and_kept():
    first = fill_inputs(SERVER, "web", {}, ORDER)
    assert re.fullmatch(r"web-[0-9a-f]{7}", first["name"])
    assert "name" in first[DEFAULTS]
    again = fill_inputs(SERVER, "web", first, ORDER)
    assert again["name"] == first["name"]
    named = fill_inputs(SERVER, "web", first, {**ORDER, "name": "fra1"})
    assert (named["name"], "name" in named[DEFAULTS]) == ("fra1", False)


def test_numbers_that_came_as_text_are_numbers():
    filled = fill_inputs(SERVER, "w", {}, {**ORDER, "placementGroupId": "7", "firewallIds": ["8"]})
    assert (filled["placementGroupId"], filled["firewallIds"]) == (7, [8])
    assert check_shape(SERVER, filled) == []


@pytest.mark.parametrize(
    ("news", "place"),
    [({}, "serverType"), ({**ORDER, "nonsense": 1}, "nonsense"), ({**ORDER, "name": True}, "name"),
     ({**ORDER, "status": "x"}, "status")],
)  # fmt: skip
def test_what_the_schema_refuses_is_named(news, place):
    assert [key for key, _ in check_shape(SERVER, news)] == [place]


def test_only_the_older_half_deletes_a_named_thing_first():
    old = {**ORDER, "name": "fra1", "userData": "a", DEFAULTS: []}
    new = {**old, "userData": "b"}
    assert diff_inputs(SERVER, old, new).replaces == ["userData"]
    assert diff_inputs(SERVER, old, new).delete_first
    auto = {**new, DEFAULTS: ["name"]}
    assert not diff_inputs(SERVER, old, auto).delete_first
    key = {"name": "ops", "publicKey": "a", DEFAULTS: []}
    changed = diff_inputs(KEY, key, {**key, "publicKey": "b"})
    assert (changed.replaces, changed.delete_first) == (["publicKey"], False)
    renamed = diff_inputs(SERVER, old, {**old, "name": "fra2"})
    assert (renamed.replaces, renamed.delete_first) == ([], False)


def test_a_preview_knows_what_the_program_says_and_nothing_else():
    made = blur_outputs(SERVER, {**ORDER, DEFAULTS: []})
    assert (made["image"], made["ipv4Address"], made["location"]) == ("debian-13", UNKNOWN, UNKNOWN)
    changed = blur_outputs(SERVER, ORDER, {"ipv4Address": "198.18.32.2"})
    assert changed["ipv4Address"] == "198.18.32.2"
    assert known({"a": UNKNOWN, "b": [UNKNOWN], "c": 1}) == {"c": 1}


def test_the_state_has_a_digest_of_user_data():
    # printf '#cloud-config\n' | openssl sha1 -binary | base64
    assert hash_user_data("#cloud-config\n") == "wK9leoEi2xH7hUH5D+q3hxwsPXE="
