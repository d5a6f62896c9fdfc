"""The line that lets a machine join: whole or refused, and only for who may have the name."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import zlib
from ipaddress import ip_address

import pytest

from loopback_iac.cli.access import AccessError
from loopback_iac.cli.join import find_door, parse_deploy_key, render_line
from loopback_iac.model import parse_fleet, parse_host
from loopback_iac.render import Door, Joining, render_join, render_worker
from tests.golden import case as golden

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc"
TUNNEL = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
DOOR = Door("edge", "fra1", 1, ip_address("198.18.1.11"), {1: TUNNEL, 2: TUNNEL})
HOSTS = {
    "par1": {
        "role": "pop",
        "fleet": "edge",
        "node_id": 2,
        "address": "2001:db8:2::11",
        "public_keys": {"1": TUNNEL},
        "bastion": None,
    },
    "fra1": {
        "role": "pop",
        "fleet": "edge",
        "node_id": 1,
        "address": "198.18.1.11",
        "public_keys": {"1": TUNNEL, "2": TUNNEL},
        "bastion": None,
    },
    "w1": {"role": "worker", "node_id": 1},
}


def test_the_line_fits_a_terminal_and_says_when_it_does_not_arrive_whole():
    line = render_line(render_join(DOOR, Joining("n1", 3, 1500, KEY)))
    assert "\n" not in line
    assert len(line) < 4096
    text = re.search(r't="([^"]+)"', line).group(1)
    program, request = json.loads(zlib.decompress(base64.b64decode(text)))
    compile(program, "join", "exec")
    assert request["host"] == "n1"
    assert "PrivateKey" not in json.dumps(request)
    for damaged in (line.replace(text, text[:-9]), line.replace(text, text.swapcase())):
        done = subprocess.run(["sh", "-c", damaged], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "damaged on its way" in done.stderr
        assert "machine: unchanged" in done.stderr


def test_its_tunnels_are_the_files_that_the_first_up_renders():
    case = golden.load("worker-managed-through-pop")
    fleet = parse_fleet(golden.NAME, case.fleet, golden.TODAY)
    hosts = {name: parse_host(name, tree) for name, tree in case.hosts.items()}
    keys = {(name, 1): key for name, key in case.keys.items()}
    rendered = render_worker(fleet, "w2", hosts, keys).files
    door = Door(golden.NAME, "fra1", 1, hosts["fra1"].address, {1: case.keys["fra1"]})
    request = render_join(door, Joining("w2", 2, 1500, KEY))
    assert request["tunnels"] == {"lb-fra1": rendered["/etc/wireguard/lb-fra1.conf"].text}
    assert request["sources"] == ["10.80.0.0/12"]


def test_the_first_pop_is_the_door_unless_another_is_named():
    assert find_door(HOSTS, "n1", 3, None) == DOOR
    par1 = find_door(HOSTS, "n1", 3, "par1")
    assert (par1.pop, str(par1.address), dict(par1.public_keys)) == (
        "par1", "2001:db8:2::11", {1: TUNNEL},
    )  # fmt: skip
    assert find_door(HOSTS, "w1", 1, None) == DOOR  # once more, for a machine set up anew


@pytest.mark.parametrize(
    ("words", "changed", "said"),
    [
        (("n1", 1, None), {}, "worker w1 has node_id 1"),
        (("w1", 3, None), {}, "worker w1 has node_id 1"),
        (("n1", 1024, None), {}, "got node_id 1024\n  fix: a number up to 1023"),
        (("N 1", 3, None), {}, "lower-case letters"),
        (("a-name-of-16-let", 3, None), {}, "at most 12"),
        (("n1", 3, "ams1"), {}, "no PoP 'ams1'; there are fra1, par1"),
        (("n1", 3, None), {"public_keys": None}, "does not say what fra1's tunnels need"),
        (("n1", 3, None), {"bastion": {"address": "192.0.2.200"}}, "SSH jumps once"),
    ],
)
def test_what_cannot_join_is_refused(words, changed, said):
    facts = {k: v for k, v in (HOSTS["fra1"] | changed).items() if v is not None}
    with pytest.raises(AccessError, match=re.escape(said)):
        find_door(HOSTS | {"fra1": facts}, *words)


def test_the_deploy_key_is_given_by_its_public_half(tmp_path):
    file = tmp_path / "key.pub"
    file.write_text(f"{KEY} deploy@ci\n")
    assert parse_deploy_key(file) == KEY
    file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(AccessError, match="give the public half"):
        parse_deploy_key(file)
