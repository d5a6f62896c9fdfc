"""The health gate: what closes it, what only de-prefers, and what never withdraws anything."""

import time

BIRD, WATCH = "/etc/bird/bird.conf", "/etc/loopback/watch.json"
AGENT = "/usr/local/sbin/loopback-agent"


def test_a_killed_haproxy_withdraws_and_returns(edge, serving):
    before = edge.withdrawals()
    edge.inside("systemctl kill -s KILL haproxy")
    edge.eventually(lambda: edge.withdrawals() == before + 1)
    edge.eventually(edge.announced)
    edge.eventually(lambda: edge.gate() == "open")


def test_a_killed_bird_comes_back_withdrawn_until_health_has_lasted(edge, serving):
    said = "journalctl -u loopback-watch -o cat"
    before = len(edge.inside(said))
    edge.inside("systemctl kill -s KILL bird; systemctl start bird")
    edge.eventually(lambda: "v4 is closed" in edge.inside(said)[before:])
    edge.eventually(lambda: edge.gate() == "open")
    edge.eventually(edge.announced)


def test_a_restart_of_the_watch_withdraws_nothing(edge, serving):
    before = edge.withdrawals()
    changes = edge.bird_at_t1("show route 203.0.113.0/24 all")
    for _ in range(3):
        edge.inside("systemctl kill -s KILL loopback-watch")
        time.sleep(0.5)
    edge.inside("systemctl stop loopback-watch")
    time.sleep(0.5)
    assert edge.announced()
    edge.inside("systemctl restart loopback-watch")
    time.sleep(1)
    assert edge.withdrawals() == before
    assert edge.bird_at_t1("show route 203.0.113.0/24 all") == changes  # same age: never touched


def test_a_reload_of_haproxy_withdraws_nothing(edge, serving):
    before = edge.withdrawals()
    for _ in range(4):
        edge.inside("systemctl reload haproxy")
        time.sleep(0.3)
    assert edge.withdrawals() == before
    assert edge.gate() == "open"


def test_an_agent_upgrade_withdraws_nothing(edge, serving):
    before = edge.withdrawals()
    edge.inside(
        "ln -sf /usr/local/lib/loopback/agent-of-yesterday.pyz /usr/local/sbin/loopback-agent"
    )
    assert edge.enroll().returncode == 0
    assert edge.inside("systemctl is-active loopback-watch") == "active\n"
    time.sleep(1)
    assert edge.withdrawals() == before


def test_no_reachable_worker_depreferences_and_never_withdraws(edge, serving):
    before = edge.withdrawals()
    edge.inside("systemctl stop stand-in-worker")
    edge.eventually(lambda: edge.gate() == "deprefer")
    edge.eventually(lambda: "(65535,0)" in edge.bird_at_t1("show route 203.0.113.0/24 all"))
    edge.start_worker()
    edge.eventually(lambda: edge.gate() == "open")
    assert edge.withdrawals() == before


def test_a_frozen_haproxy_is_no_reason_to_withdraw(edge, serving):
    """It answers no check for two seconds: that says nothing about health."""
    before = edge.withdrawals()
    edge.inside("systemctl kill -s STOP haproxy")
    try:
        edge.eventually(lambda: "does not answer" in edge.report()["gates"]["v4"]["reason"])
        assert edge.announced()
    finally:
        edge.inside("systemctl kill -s CONT haproxy")
    assert edge.withdrawals() == before


def test_a_closed_gate_holds_when_birds_configuration_is_broken(edge, serving):
    """An edit broke bird.conf: the running BIRD cannot read the gates, and still withdraws."""
    edge.inside(f"cp -a {BIRD} /run/bird.conf.aside && echo 'no such line' >> {BIRD}")
    try:
        edge.inside("systemctl stop haproxy")
        edge.eventually(lambda: not edge.announced())
    finally:
        edge.inside(f"cp -a /run/bird.conf.aside {BIRD}; systemctl start haproxy")
    edge.eventually(lambda: edge.gate() == "open")
    edge.eventually(edge.announced)


def test_drain_prefers_others_first_then_withdraws_and_survives(edge, serving):
    before = edge.withdrawals()
    edge.inside(f"nohup {AGENT} drain 6 >/run/drain.log 2>&1 &")
    edge.eventually(lambda: edge.gate() == "deprefer")
    assert edge.withdrawals() == before
    edge.eventually(lambda: edge.gate() == "closed")
    edge.eventually(lambda: not edge.announced())
    edge.inside("systemctl restart loopback-watch bird")
    time.sleep(1)
    assert edge.gate() == "closed"
    edge.lab.power_off("par1")
    edge.lab.power_on("par1")
    edge.start_worker()
    edge.eventually(lambda: "up Established" in edge.report()["bgp"].values())
    assert edge.gate() == "closed"
    assert edge.report()["drain"] == ["operator"]
    assert "200 OK" in edge.inside("curl -s -i --max-time 5 http://203.0.113.10:443/ | head -1")
    back = edge.ssh(f"{AGENT} undrain")
    assert back.returncode == 0, back.stderr
    assert edge.gate() == "open"


def test_a_data_plane_change_drains_first_and_returns_after_the_confirm(edge, serving):
    path = "/etc/haproxy/haproxy.cfg"
    bundle = edge.bundle({path: edge.bundle()["files"][path]["text"] + "# new\n"})
    before = edge.withdrawals()
    applied = edge.apply(bundle)
    assert applied.returncode == 0, applied.stderr
    assert '"drained": true' in applied.stdout
    assert not edge.announced()
    assert edge.withdrawals() == before + 1
    assert edge.confirm(bundle).returncode == 0
    assert edge.gate() == "open"  # confirm returns once the PoP serves: the next one may go
    edge.converge(serving)


def test_a_vanished_tunnel_is_set_up_again(edge, serving):
    number = "cat /sys/class/net/lb-w1/ifindex 2>/dev/null || true"
    before = edge.inside(number)
    edge.inside("pkill -KILL wireguard-go")
    edge.eventually(lambda: edge.inside(number) not in ("", before))
    assert edge.announced()
    key = edge.inside("cat /etc/loopback/keys/wireguard-1.key")
    edge.eventually(lambda: edge.inside("wg show lb-w1 private-key || true") == key)


def test_the_watch_has_no_privileges(edge, serving):
    pid = edge.inside("systemctl show loopback-watch -p MainPID --value").strip()
    status = edge.inside(f"cat /proc/{pid}/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert edge.inside(f"stat -c %U /proc/{pid}") == "loopback-watch\n"
