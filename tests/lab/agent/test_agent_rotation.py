"""Rotation of tunnel keys on one PoP: three applies, what they leave behind, what they refuse."""

from __future__ import annotations

import json

import pytest

WATCH, SYSCTL = "/etc/loopback/watch.json", "/etc/loopback/sysctl.conf"
OLD, NEW = "/etc/wireguard/lb-w1.conf", "/etc/wireguard/lc-w1.conf"
DROP_IN = "/etc/systemd/system/wg-quick@{}.service.d/loopback.conf"
KEYS = "/etc/loopback/keys"
# The far end of either tunnel as an address of the host itself: it answers, or not, as we like.
FAR = {"lb-w1": "10.88.0.1/32", "lc-w1": "10.80.0.1/32"}


def bundle(edge, *epochs: int, **other) -> dict:
    """The hand-written bundle with the tunnels of these epochs; the first carries traffic."""
    texts = {path: entry["text"] for path, entry in edge.bundle()["files"].items()}
    names = {1: "lb-w1", 2: "lc-w1"}
    watch = json.loads(texts[WATCH])
    watch["tunnels"] = [names[epoch] for epoch in sorted(epochs)]
    watch["tunnels_beside"] = [names[epoch] for epoch in epochs[1:]]
    changes = {WATCH: json.dumps(watch)}
    changes |= {DROP_IN.format(names[e]): f"[Unit]\nDescription=of epoch {e}\n" for e in epochs}
    if 2 in epochs:
        new = texts[OLD].replace("10.88.", "10.80.").replace("51821", "52845")
        changes[NEW] = new.replace("wireguard-1", "wireguard-2")
    if 1 not in epochs:
        changes |= {OLD: None, SYSCTL: texts[SYSCTL].replace("lb-w1", "lc-w1")}
    made = edge.bundle(changes, **other)
    for path, entry in made["files"].items():
        if path.startswith("/etc/wireguard/"):
            entry["mode"] = "0600"
    return made


@pytest.fixture
def both_keys(edge, baseline):
    """Keys of both epochs on the host; at the end it serves the baseline with the first one's."""
    enrolled = edge.enroll(key_epochs=[1, 2])
    assert enrolled.returncode == 0, enrolled.stderr
    yield json.loads(enrolled.stdout)["wireguard"]
    for address in FAR.values():
        edge.inside(f"ip addr del {address} dev lo 2>/dev/null || true")
    edge.take_off()
    edge.enroll()
    edge.converge(baseline)
    edge.assert_serving(baseline)
    assert edge.inside(f"ls {KEYS}").split() == ["wireguard-1.key"]


def standing(edge) -> tuple[list[str], list[str], list[str]]:
    """Interfaces, enabled units and private keys of tunnels."""
    links = [link["ifname"] for link in json.loads(edge.inside("ip -json link"))]
    enabled = edge.inside("ls /etc/systemd/system/multi-user.target.wants").split()
    return (
        sorted(name for name in links if name.startswith(("lb-", "lc-"))),
        sorted(name for name in enabled if name.startswith("wg-quick@")),
        edge.inside(f"ls {KEYS}").split(),
    )


def test_three_steps_leave_nothing_of_the_old_epoch(edge, both_keys):
    edge.converge(bundle(edge, 1, 2))
    assert standing(edge) == (
        ["lb-w1", "lc-w1"],
        ["wg-quick@lb-w1.service", "wg-quick@lc-w1.service"],
        ["wireguard-1.key", "wireguard-2.key"],
    )
    assert edge.inside("wg show lc-w1 public-key").strip() == both_keys["2"]
    # started before and not since: the tunnel that carries traffic is left alone throughout
    asked = "systemctl show -p ActiveEnterTimestampMonotonic wg-quick@{}"
    before = [edge.inside(asked.format(tunnel)) for tunnel in FAR]
    moved = edge.converge(bundle(edge, 2, 1))
    assert moved["changed"] == [WATCH]
    assert [edge.inside(asked.format(tunnel)) for tunnel in FAR] == before
    enrolled = edge.enroll(key_epochs=[2])
    assert json.loads(enrolled.stdout)["wireguard"] == {"2": both_keys["2"]}
    assert len(standing(edge)[2]) == 2  # in use until the last step is confirmed
    last = bundle(edge, 2)
    applied = edge.apply(last)
    assert applied.returncode == 0, applied.stderr
    assert len(standing(edge)[2]) == 2  # and needed to go back
    assert edge.confirm(last).returncode == 0
    assert standing(edge) == (["lc-w1"], ["wg-quick@lc-w1.service"], ["wireguard-2.key"])
    left = edge.inside("ls /etc/wireguard /etc/systemd/system; systemctl --failed --no-legend")
    assert "lb-w1" not in left
    assert edge.inside(asked.format("lc-w1")) == before[1]
    assert set(edge.report()["tunnels"]) == {"lc-w1"}


def test_a_jump_is_refused_and_a_step_that_is_rolled_back_keeps_its_keys(edge, both_keys):
    for start, jump in (((1,), (2,)), ((1,), (2, 1)), ((1, 2), (2,))):
        edge.converge(bundle(edge, *start))
        edge.enroll(key_epochs=[1, 2])  # the key of an epoch that no tunnel used is gone
        refused = edge.apply(bundle(edge, *jump))
        assert refused.returncode == 1, jump
        assert "set key_epochs to [1, 2], then [2, 1], then [2]" in refused.stderr
        assert "host: unchanged" in refused.stderr
    edge.converge(bundle(edge, 2, 1))
    assert edge.apply(bundle(edge, 2)).returncode == 0
    edge.ssh("/usr/local/sbin/loopback-agent rollback")
    assert standing(edge)[0] == ["lb-w1", "lc-w1"]
    assert standing(edge)[2] == ["wireguard-1.key", "wireguard-2.key"]
    assert edge.inside("wg show lb-w1 public-key").strip() == both_keys["1"]


def test_traffic_is_not_moved_to_a_silent_tunnel(edge, both_keys):
    edge.converge(bundle(edge, 1, 2))
    edge.inside(f"ip addr add {FAR['lb-w1']} dev lo")
    moved = bundle(edge, 2, 1)
    refused = edge.apply(moved)
    assert refused.returncode == 1
    assert "lc-w1 carries nothing while lb-w1 does" in refused.stderr
    assert "host: unchanged" in refused.stderr
    edge.inside(f"ip addr add {FAR['lc-w1']} dev lo")
    edge.converge(moved)
