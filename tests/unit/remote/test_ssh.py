"""Asking and draining hosts over real SSH, inside a network namespace: how a host can fail us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from loopback_iac.remote.ssh import Answer, Expected, Identity, IdentityError, ask_hosts

ASK = """
import dataclasses, json, sys
from loopback_iac.remote.ssh import Expected, Identity, Jump, ask_hosts
given = json.load(sys.stdin)
hosts = [Expected(**{**h, "bastion": Jump(**h["bastion"]) if "bastion" in h else None})
         for h in given["hosts"]]
answers = ask_hosts(hosts, ("report",), Identity(**given["identity"]), given["deadline_s"])
print(json.dumps({host: dataclasses.asdict(a) for host, a in answers.items()}))
"""
DRAIN = """
import json, sys
from loopback_iac.remote.drain import DrainError, drain_pop, undrain_pop
from loopback_iac.remote.ssh import Expected, Identity
given = json.load(sys.stdin)
pop, identity = Expected(**given["hosts"][0]), Identity(**given["identity"])
try:
    if given["verb"] == "drain":
        done = drain_pop(pop, given["others"], identity, 60.0, 0)
    else:
        done = undrain_pop(pop, identity, 60.0)
except DrainError as cause:
    print(json.dumps(str(cause)))
else:
    raise SystemExit(str(done))
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ssh")
    made = {name: asyncssh.generate_private_key("ssh-ed25519") for name in ("host", "me", "other")}
    for name, key in made.items():
        key.write_private_key(directory / name)
        key.write_public_key(directory / f"{name}.pub")
    return directory


@pytest.fixture(scope="module")
def namespace(keys):
    name = f"lbd-ssh{os.getpid()}"
    enter = ["nsenter", f"--net=/run/netns/{name}"]
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run([*enter, "ip", "link", "set", "lo", "up"], check=True)
        far_end = Path(__file__).parent / "far_end.py"
        server = subprocess.Popen(
            [*enter, sys.executable, str(far_end), str(keys / "host"), str(keys / "me.pub")],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout.readline() == "listening\n"
            yield enter
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def host(keys, name="fra1", *, key="host", **changed) -> dict:
    pinned = (keys / f"{key}.pub").read_text().strip()
    known = {"role": "pop", "address": "127.0.0.1", "host_key": pinned, "digest": "ab" * 32}
    return {"host": name} | known | changed


def ask(namespace, keys, hosts, key="me", deadline_s=60.0) -> dict[str, Answer]:
    told = run(namespace, keys, ASK, key, hosts=hosts, deadline_s=deadline_s)
    return {name: Answer(**tree) for name, tree in told.items()}


def run(namespace, keys, program: str, key="me", **given) -> Any:
    identity = {"private_key": (keys / key).read_text()}
    done = subprocess.run(
        [*namespace, sys.executable, "-c", program],
        input=json.dumps({"identity": identity} | given),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_hosts_are_asked_over_both_families_and_get_the_agents_command(namespace, keys):
    hosts = [host(keys), host(keys, "par1", address="::1")]
    answers = ask(namespace, keys, hosts)
    said = '{"asked": "/usr/local/sbin/loopback-agent report"}'
    assert answers == {"fra1": Answer(said), "par1": Answer(said)}


def behind(keys, name="n1", *, key="host", **changed) -> dict:
    """A host behind a bastion; whether it is reached shows in who talks to whom."""
    pinned = (keys / f"{key}.pub").read_text().strip()
    jump = {"address": "127.0.0.1", "host_key": pinned, "user": "leads-on"}
    return host(keys, name, address="::1", bastion=jump | changed)


def test_a_host_behind_a_bastion_is_asked_through_it(namespace, keys):
    answers = ask(namespace, keys, [behind(keys), host(keys)])
    assert answers["n1"] == answers["fra1"]
    assert not answers["n1"].unreachable


def test_of_two_ends_the_one_that_fails_is_named(namespace, keys):
    hosts = [
        behind(keys, "pinned", key="other"),
        behind(keys, "silent", ssh_port=23),
        behind(keys, "closed", user="root"),
        behind(keys, "beyond") | {"ssh_port": 23},
        behind(keys, "itself") | {"host_key": (keys / "other.pub").read_text()},
    ]
    told = {name: a.unreachable for name, a in ask(namespace, keys, hosts).items()}
    jump = "its bastion 127.0.0.1: "
    assert told["pinned"] == f"{jump}it shows another host key than the one that is pinned"
    assert told["silent"] == f"{jump}127.0.0.1 port 23: Connection refused"
    assert told["closed"].startswith("its bastion does not lead to ::1 port 22: ")
    assert told["beyond"].startswith("its bastion does not lead to ::1 port 23: ")
    assert told["itself"] == "it shows another host key than the one that is pinned"
    assert (
        "it refuses this key" in ask(namespace, keys, [behind(keys)], key="other")["n1"].unreachable
    )


def test_another_host_key_is_never_talked_to(namespace, keys):
    answer = ask(namespace, keys, [host(keys, key="other")])["fra1"]
    assert "another host key" in answer.unreachable
    assert answer.stdout == ""


def test_any_of_several_pinned_keys_is_the_host(namespace, keys):
    pinned = "".join((keys / f"{name}.pub").read_text() for name in ("other", "host"))
    assert not ask(namespace, keys, [host(keys, host_key=pinned)])["fra1"].unreachable


def test_no_pinned_key_means_nobody_is_trusted(namespace, keys):
    answer = ask(namespace, keys, [host(keys, host_key="")])["fra1"]
    assert "another host key" in answer.unreachable


def test_a_key_that_is_not_allowed_is_named_as_the_reason(namespace, keys):
    answer = ask(namespace, keys, [host(keys)], key="other")["fra1"]
    assert answer.unreachable == "it refuses this key for user root"


def test_one_host_that_hangs_delays_nobody_beyond_the_deadline(namespace, keys):
    hosts = [host(keys, "hung", user="hangs"), host(keys, "well")]
    answers = ask(namespace, keys, hosts, deadline_s=8.0)
    assert answers["hung"].unreachable == "no answer within 8 s"
    assert answers["well"].exit_status == 0


def test_a_host_where_nobody_listens_is_unreachable(namespace, keys):
    answer = ask(namespace, keys, [host(keys, ssh_port=23)])["fra1"]
    assert answer.unreachable == "127.0.0.1 port 23: Connection refused"


def test_a_refusal_of_the_agent_is_an_answer(namespace, keys):
    answer = ask(namespace, keys, [host(keys, user="refuses")])["fra1"]
    assert answer.exit_status == 1
    assert "never enrolled" in answer.stderr


def test_an_endless_answer_is_cut(namespace, keys):
    answer = ask(namespace, keys, [host(keys, user="floods")], deadline_s=60.0)["fra1"]
    assert "longer than" in answer.unreachable


def test_a_key_that_is_none_is_refused_without_showing_it():
    with pytest.raises(IdentityError) as caught:
        ask_hosts([], ("report",), Identity(private_key="-----BEGIN nonsense"), 1)
    assert "nonsense" not in str(caught.value)
    assert "nonsense" not in repr(Identity(private_key="nonsense"))


def test_a_key_with_a_passphrase_goes_through_an_agent(tmp_path):
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "key")]
    subprocess.run(made, check=True)
    with pytest.raises(IdentityError, match=r"ssh-add"):
        ask_hosts([], ("report",), Identity(private_key=(tmp_path / "key").read_text()), 1)


def test_the_only_pop_there_is_is_drained_only_when_nobody_asks_for_others(namespace, keys):
    pops = [host(keys, user="announces")]
    refused = run(namespace, keys, DRAIN, hosts=pops, verb="drain", others=[])
    assert "no other PoP is known to announce (there is none)" in refused
    drained = run(namespace, keys, DRAIN, hosts=pops, verb="drain", others=None)
    assert "drain is noted, but it still announces: serving; v4 is open (fine)" in drained
    assert "fix: `loopback drain fra1` again, or `systemctl stop bird`" in drained


def test_undrain_says_who_else_drains_and_what_ends_it(namespace, keys):
    pops = [host(keys, user="is-shut")]
    told = run(namespace, keys, DRAIN, hosts=pops, verb="undrain")
    assert "undrain is noted, but it announces nothing yet" in told
    assert "fix: it is drained by update: `loopback update fra1`" in told


def test_a_pinned_key_that_is_none_is_that_hosts_problem():
    broken = Expected("fra1", "pop", "192.0.2.1", "no key", "ab" * 32)
    assert ask_hosts([broken], ("report",), Identity(), 1)["fra1"].unreachable
