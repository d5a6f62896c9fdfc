"""Which tunnel carries traffic, what may change at once, and which private key is still in use."""

import json
from itertools import pairwise

import pytest

from loopback_iac.agent import keys
from loopback_iac.agent.bundle import SetFile
from loopback_iac.agent.keys import epochs_of, forget_keys
from loopback_iac.agent.refusal import RefusedError
from loopback_iac.agent.rotation import Carrier, Move, carriers, plan_moves
from loopback_iac.agent.watchfile import WATCH

CONF = "[Interface]\nPostUp = wg set %i private-key /etc/loopback/keys/wireguard-{}.key\n[Peer]\n"


def host_files(*epochs: int, peers: tuple[str, ...] = ("w1", "w-2")) -> dict[str, SetFile]:
    """Files of a host whose first epoch carries the traffic."""
    names = {f"{'lb' if e % 2 else 'lc'}-{peer}": e for e in epochs for peer in peers}
    beside = [name for name, epoch in names.items() if epoch != epochs[0]]
    watch = {"format": 1, "role": "worker", "tunnels": list(names), "tunnels_beside": beside}
    texts = {f"/etc/wireguard/{name}.conf": CONF.format(epoch) for name, epoch in names.items()}
    texts[WATCH] = json.dumps(watch)
    return {path: SetFile(text, 0o600, "root", "root") for path, text in texts.items()}


def test_the_carrier_is_the_tunnel_that_does_not_stand_beside():
    assert carriers(host_files(2, 1)) == {"w1": Carrier("lc-w1", 2), "w-2": Carrier("lc-w-2", 2)}
    assert epochs_of(host_files(2, 1)) == {"lb-w1": 1, "lb-w-2": 1, "lc-w1": 2, "lc-w-2": 2}
    assert carriers({}) == {}


@pytest.mark.parametrize(
    "way",
    [[(1,), (1, 2), (2, 1), (2,), (2, 3), (3, 2), (3,)], [(1,), (1, 2), (1,)],
     [(2, 1), (1, 2), (1,)], [(2, 1), (2, 3)]],
)  # fmt: skip
def test_expand_and_contract_is_let_through(way):
    for before, after in pairwise(way):
        moved = {move.old.epoch: move.new.epoch
                 for move in plan_moves(host_files(*before), host_files(*after))}  # fmt: skip
        assert moved == ({before[0]: after[0]} if before[0] != after[0] else {})


@pytest.mark.parametrize(
    ("before", "after"),
    [((1,), (2,)), ((1,), (2, 1)), ((1, 2), (2,)), ((1,), (3,)), ((2, 1), (1,)), ((1, 2), (3, 2))],
)
def test_a_jump_is_refused_with_the_way_round_it(before, after):
    with pytest.raises(RefusedError, match="in one step") as refused:
        plan_moves(host_files(*before), host_files(*after))
    one, other = before[0], after[0] if abs(after[0] - before[0]) == 1 else before[0] + 1
    assert f"[{one}, {other}], then [{other}, {one}], then [{other}]" in refused.value.fix


def test_peers_that_come_or_go_move_nothing():
    all_new = host_files(2, peers=("w3",))
    assert plan_moves(host_files(1), all_new) == []
    assert plan_moves({}, host_files(1)) == plan_moves(host_files(1), {}) == []
    move = plan_moves(host_files(1, 2), host_files(2, 1, peers=("w1",)))
    assert move == [Move(Carrier("lb-w1", 1), Carrier("lc-w1", 2))]


@pytest.mark.parametrize(
    ("used", "left"), [({1, 2}, {1, 2}), ({2}, {2}), ({2, 3}, {2}), (set(), {1, 2})]
)
def test_a_key_goes_only_when_no_tunnel_uses_it(tmp_path, monkeypatch, used, left):
    monkeypatch.setattr(keys, "KEYS", str(tmp_path))
    for name in ("wireguard-1.key", "wireguard-2.key", "notes.txt"):
        (tmp_path / name).write_text("x")
    gone = forget_keys(used)
    assert {p.name for p in tmp_path.iterdir()} == {
        "notes.txt",
        *(f"wireguard-{e}.key" for e in left),
    }
    assert gone == [f"{tmp_path}/wireguard-{epoch}.key" for epoch in sorted({1, 2} - left)]
