"""Addresses of a card, as the kernel has them: each test in a network namespace of its own."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from loopback_iac.agent.addresses import read_addresses
from loopback_iac.agent.gateway import Fixed, read_run, repeat
from loopback_iac.agent.gatewaycard import GroupCard, drop_strays
from loopback_iac.agent.gatewayfile import LAYER_2, ROUTED, Group, Node, Timing
from loopback_iac.agent.gatewaystatus import Status, read_status
from loopback_iac.agent.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
CLONE_NEWNET = 0x40000000  # sched.h; os.unshare is of Python 3.12
OWN, MOVING = "203.0.113.2", ("203.0.113.5", "2001:db8:100::5")


def inside(act: Callable[[], T]) -> T:
    """Of a process's threads each may have a network of its own."""

    def enter() -> None:
        assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0, ctypes.get_errno()
        ip("link add lan0 type veth peer name lan1", "link set lan1 up", "link set lan0 up")
        ip(f"address add {OWN}/24 dev lan0")

    with ThreadPoolExecutor(1, initializer=enter) as pool:
        return pool.submit(act).result()


def ip(*lines: str) -> None:
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True)


def card(interface: str = "", announced: str = ROUTED) -> GroupCard:
    nodes = (Node("w1", OWN), Node("w2", "203.0.113.3"))
    return GroupCard(Group("g", MOVING, interface, announced, nodes, (), Timing(4.0)), "w1")


def there() -> set[str]:
    return {f"{held.address}/{held.prefix}" for held in read_addresses() if held.device == "lan0"}


def test_what_is_put_on_is_taken_off():
    def act() -> None:
        before = there()
        assert card().keep()
        assert there() - before == {f"{MOVING[0]}/32", f"{MOVING[1]}/128"}
        assert not card().keep()
        card().drop()
        assert there() == before

    inside(act)


def test_what_another_hand_put_on_is_taken_off_whatever_its_prefix():
    def act() -> None:
        before = there()
        ip(f"address add {MOVING[0]}/24 dev lan0", f"address add {MOVING[1]}/64 dev lan0")
        ip(f"address add {MOVING[0]} peer 203.0.113.77/32 dev lan0")
        assert card().is_on()
        card().keep()
        card().drop()
        assert there() == before

    inside(act)


def first_of_its_network(promote: int) -> None:
    """The card has it before its own address, which hangs on it."""
    ip(f"address del {OWN}/24 dev lan0")
    Path("/proc/sys/net/ipv4/conf/all/promote_secondaries").write_text(str(promote))
    ip(f"address add {MOVING[0]}/24 dev lan0", f"address add {OWN}/24 dev lan0")


def test_the_hosts_own_address_does_not_go_with_it():
    def act() -> None:
        first_of_its_network(promote=0)
        with pytest.raises(RefusedError, match=rf"{MOVING[0]}/24 stays on lan0: .*{OWN}"):
            card().drop()
        assert f"{OWN}/24" in there()

    inside(act)


def test_where_the_kernel_promotes_the_next_it_is_taken_off():
    def act() -> None:
        first_of_its_network(promote=1)
        card().drop()
        assert {a for a in there() if "." in a} == {f"{OWN}/24"}

    inside(act)


def test_a_card_that_puts_it_back_has_not_let_it_go(monkeypatch):
    """What stands for a daemon of the host that is quicker."""

    def act() -> None:
        ip(f"address add {MOVING[0]}/24 dev lan0")
        monkeypatch.setattr("loopback_iac.agent.gatewaycard.take_address", lambda _: None)
        with pytest.raises(RefusedError, match=f"{MOVING[0]}/24 on lan0"):
            card().drop()

    inside(act)


def test_strays_are_ours_alone():
    def act() -> None:
        ip("address add 203.0.113.9/32 dev lan0")
        before = there()
        card().keep()
        drop_strays(())
        assert there() == before

    inside(act)


def test_a_card_that_is_not_there_is_named():
    with pytest.raises(RefusedError, match="egress7"):
        inside(card("egress7", LAYER_2).keep)


def test_a_group_of_this_node_alone_says_what_it_found():
    def act() -> None:
        group = Group("g", MOVING, "egress7", ROUTED, (Node("w1", OWN),), (), Timing(4.0))
        fixed = Fixed(group, "w1")
        assert not fixed.status.holds
        found = once(fixed)
        assert (found.holds, found.trouble) == (False, "this host has no card egress7")
        ip("link set lan1 down", "link set lan1 name egress7")
        found = once(fixed)
        assert (found.holds, found.settled, found.trouble) == (True, True, "")
        ip("link del egress7")
        assert not once(fixed).holds

    inside(act)


def once(fixed: Fixed) -> Status:
    """As it stands after one round."""

    def stop(trouble: str) -> None:
        fixed.note(trouble)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repeat(fixed.keep, 0.0, "g", stop)
    return fixed.status


def test_a_complaint_is_said_once_until_it_is_another(capsys):
    words = iter(["no card", "no card", "", "no card", "full", "full"])

    def act() -> None:
        word = next(words, None)
        if word is None:
            raise KeyboardInterrupt
        if word:
            raise RefusedError(word)

    with pytest.raises(KeyboardInterrupt):
        repeat(act, 0.0, "partners")
    said = capsys.readouterr().err.splitlines()
    assert said == ["partners: no card", "partners: no card", "partners: full"]


KEEPER = """\
import sys
from loopback_iac.agent.gateway import gateway
gateway(sys.argv[1], sys.argv[1] + ".wish")
"""


def test_a_keeper_of_a_lone_node_notes_its_run_and_what_stands(tmp_path):
    """The process as its unit starts it, but for systemd."""
    group = {"name": "g", "addresses": MOVING, "interface": "lan0", "announced": LAYER_2,
             "nodes": [{"name": "w1", "address": OWN}], "policies": [], "lease_s": 4}  # fmt: skip
    tree = {"format": 1, "node": "w1", "server": "https://127.0.0.1", "authority": "",
            "namespace": "", "agent": "http://127.0.0.1", "groups": [group]}  # fmt: skip
    (tmp_path / "gateway.json").write_text(json.dumps(tree))

    def act() -> None:
        for run in ("one", "two"):
            words = {"RUNTIME_DIRECTORY": str(tmp_path), "INVOCATION_ID": run}
            argv = [sys.executable, "-c", KEEPER, str(tmp_path / "gateway.json")]
            with subprocess.Popen(argv, env={**os.environ, **words}) as keeper:
                try:
                    await_run(keeper, tmp_path, run)
                    assert set(MOVING) <= {held.address for held in read_addresses()}
                finally:
                    keeper.kill()

    inside(act)


def await_run(keeper: subprocess.Popen[bytes], folder: Path, run: str) -> None:
    """Until this run says that the group stands."""
    while True:
        assert keeper.poll() is None
        status = read_status(str(folder / "status.json")) or {}
        if read_run(str(folder)) == run and "g" in status and status["g"].holds:
            return
        time.sleep(0.05)
