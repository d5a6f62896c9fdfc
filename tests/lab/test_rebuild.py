"""The state is lost and the hosts stand: the same program and configuration take them up again."""

from __future__ import annotations

import json

HOSTS = ("fra1", "par1", "w1", "w2")
DAEMONS = ("bird", "haproxy", "loopback-watch")


def public_keys(lab, host):
    """WireGuard's own public keys on a host, by interface."""
    said = lab.exec(host, ["wg", "show", "all", "public-key"]).stdout
    return dict(line.split() for line in said.splitlines())


def processes(lab, host):
    """Main process ids of what carries traffic on a PoP."""
    argv = ["systemctl", "show", "--value", "--property", "MainPID", *DAEMONS]
    return lab.exec(host, argv).stdout.split()


def test_a_lost_state_is_made_anew_from_hosts_that_keep_serving(fleet, tmp_path):
    fleet.await_whole()
    lab, state = fleet.lab, tmp_path / "state"
    keys = {host: public_keys(lab, host) for host in HOSTS}
    before = {host: processes(lab, host) for host in ("fra1", "par1")}
    assert all(len(one) == 2 for one in keys.values())
    done = fleet.loopback("up", "--yes", "--json", "--state-dir", str(state))
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert set(result["counts"]) == {"create"}
    assert {host: public_keys(lab, host) for host in HOSTS} == keys
    assert {host: processes(lab, host) for host in before} == before
    for client, vip in (("c-fra", "203.0.113.10"), ("c-par", "[2001:db8:100::10]")):
        assert fleet.ask(client, vip)
    # the new state and the one that was set aside say the same of every host
    again = fleet.loopback("plan", "--json", "--state-dir", str(state))
    assert set(json.loads(again.stdout)["counts"]) == {"same"}, again.stderr[-3000:]
    former = fleet.loopback("plan", "--json")
    assert set(json.loads(former.stdout)["counts"]) == {"same"}, former.stderr[-3000:]
    fleet.await_whole()
