"""From changed files to steps: what is reloaded, in which order, and what is drained for."""

import pytest

from loopback_iac.agent.allowed import parse_place
from loopback_iac.agent.bundle import SetFile
from loopback_iac.agent.disturbing import touches_data_plane
from loopback_iac.agent.plan import plan_retired, plan_steps, services_of
from loopback_iac.agent.refusal import RefusedError

UNITS = "/etc/systemd/system"
TUNNEL = "/etc/wireguard/lb-w1.conf"
CONF = "[Interface]\nListenPort = 1\n[Peer]\nPublicKey = A\nAllowedIPs = 10.88.0.0/31\n"


def files(*paths: str, text: str = "x") -> dict[str, SetFile]:
    """A set of files that all say the same."""
    return {path: SetFile(text, 0o644, "root", "root") for path in paths}


def words(steps) -> list[str]:
    return [f"{step.kind} {step.name}".strip() for step in steps]


def test_the_order_is_that_of_dependence():
    new = files(
        "/etc/loopback/watch.json", "/etc/bird/bird.conf", "/etc/haproxy/haproxy.cfg", TUNNEL,
        "/etc/loopback/nftables.conf", "/etc/loopback/routes.json", "/etc/loopback/sysctl.conf",
        f"{UNITS}/loopback-watch.service", "/etc/sysusers.d/loopback.conf",
        "/etc/tmpfiles.d/loopback.conf", "/etc/ssh/sshd_config.d/10-loopback.conf",
        "/etc/chrony/conf.d/loopback.conf", "/etc/default/prometheus-node-exporter",
        "/etc/loopback/blackhole4.conf", "/etc/loopback/blackhole.nft",
    )  # fmt: skip
    assert words(plan_steps(new, {}, new, "pop")) == [
        "sysusers", "units", "tmpfiles", "tunnel-restart lb-w1", "sysctl", "nftables", "routes",
        "exporter prometheus-node-exporter", "chrony", "sshd", "haproxy", "bird", "blackholes",
        "watch",
    ]  # fmt: skip


def test_nothing_changed_means_nothing_done():
    assert plan_steps([], files(TUNNEL), files(TUNNEL), "pop") == []


@pytest.mark.parametrize(
    ("after", "step"),
    [
        (CONF.replace("= A", "= B"), "tunnel-peers lb-w1"),
        (CONF + "PersistentKeepalive = 25\n", "tunnel-peers lb-w1"),
        (CONF + "# remark\n", "tunnel-peers lb-w1"),
        (CONF.replace("= 1", "= 2"), "tunnel-restart lb-w1"),
        (CONF.replace("0/31", "2/31"), "tunnel-restart lb-w1"),
    ],
)
def test_a_tunnel_goes_down_only_when_it_must(after, step):
    old, new = files(TUNNEL, text=CONF), files(TUNNEL, text=after)
    assert words(plan_steps([TUNNEL], old, new, "pop")) == [step]


def test_a_new_limit_takes_hold_by_a_restart_that_replaces_the_reload():
    drop_in = f"{UNITS}/haproxy.service.d/loopback.conf"
    new = files(drop_in, "/etc/haproxy/haproxy.cfg")
    assert words(plan_steps(new, {}, new, "pop")) == ["units", "haproxy-restart"]
    assert touches_data_plane([drop_in], "pop")
    tunnel = f"{UNITS}/wg-quick@lb-w1.service.d/loopback.conf"
    new = files(tunnel, TUNNEL, text=CONF)
    assert words(plan_steps(new, new, new, "pop")) == ["units", "tunnel-restart lb-w1"]
    assert touches_data_plane([tunnel], "pop")


@pytest.mark.parametrize(
    ("path", "drained"),
    [
        ("/etc/bird/bird.conf", True),
        ("/etc/haproxy/haproxy.cfg", True),
        ("/etc/loopback/nftables.conf", True),
        ("/etc/loopback/routes.json", True),
        (TUNNEL, True),
        ("/etc/loopback/watch.json", False),
        ("/etc/chrony/conf.d/loopback.conf", False),
        ("/etc/ssh/sshd_config.d/10-loopback.conf", False),
        (f"{UNITS}/loopback-watch.service", False),
        ("/etc/default/prometheus-bird-exporter", False),
        ("/etc/loopback/blackhole4.conf", False),
        ("/etc/loopback/blackhole.nft", False),
    ],
)
def test_only_the_data_plane_is_drained_for(path, drained):
    assert touches_data_plane([path], "pop") is drained


LIMITED = "chain a {{ }}\n# limits: begin; x\nrate {0}\n# limits: end\nchain b {{ }}\n"


@pytest.mark.parametrize(
    ("before", "after", "drained"),
    [
        (LIMITED.format(5), LIMITED.format(50), False),
        ("chain a { }\nchain b { }\n", LIMITED.format(50), False),
        (LIMITED.format(5), "chain a { }\nchain b { }\n", False),
        (LIMITED.format(5), LIMITED.format(5).replace("chain b", "chain c"), True),
        (LIMITED.format(5), LIMITED.format(50).replace("# limits: end", "drop"), True),
        (LIMITED.format(5) * 2, LIMITED.format(50) * 2, False),
        (LIMITED.format(5) + "x\n" + LIMITED.format(5), LIMITED.format(5) * 2, True),
    ],
)
@pytest.mark.parametrize("path", ["/etc/loopback/nftables.conf", "/etc/haproxy/haproxy.cfg"])
def test_another_limit_alone_drains_nothing(path, before, after, drained):
    standing, new = {path: before}, files(path, text=after)
    assert touches_data_plane([path], "pop", standing, new) is drained
    assert touches_data_plane([path, "/etc/bird/bird.conf"], "pop", standing, new)
    assert touches_data_plane([path], "pop", {}, new)


def test_what_vanished_stops_watch_first_firewall_last():
    old = files(
        "/etc/loopback/nftables.conf", "/etc/loopback/routes.json", TUNNEL, "/etc/bird/bird.conf",
        "/etc/haproxy/haproxy.cfg", "/etc/loopback/watch.json", f"{UNITS}/loopback-watch.service",
    )  # fmt: skip
    assert words(plan_retired(old, {}, "pop")) == [
        "watch", "bird", "haproxy", "tunnel lb-w1", "routes", "nftables",
        "unit loopback-watch.service",
    ]  # fmt: skip
    assert plan_retired(old, old, "pop") == []
    gone = [path for path in old if path != TUNNEL]
    assert words(plan_retired(old, {path: old[path] for path in gone}, "pop")) == ["tunnel lb-w1"]


def test_the_last_blackhole_is_taken_back_too():
    gone = files("/etc/loopback/blackhole6.conf", "/etc/loopback/blackhole.nft")
    assert words(plan_steps(gone, gone, {}, "pop")) == ["blackholes"]


def test_a_removed_tunnel_is_not_restarted():
    assert plan_steps([TUNNEL], files(TUNNEL), {}, "pop") == []


def test_the_services_of_a_set():
    paths = [TUNNEL, "/etc/bird/bird.conf", f"{UNITS}/loopback-watch.service",
             "/etc/default/prometheus-node-exporter", "/etc/loopback/watch.json"]  # fmt: skip
    assert services_of(files(*paths), "pop") == [
        "bird", "loopback-watch", "prometheus-node-exporter", "wg-quick@lb-w1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/etc/passwd", "pop"), ("etc/bird/bird.conf", "pop"), ("/etc/bird/../passwd", "pop"),
        ("/etc/wireguard/wg0.conf", "pop"), ("/etc/wireguard/lb-Ab.conf", "pop"),
        ("/etc/wireguard/lb-abcdefghijklm.conf", "pop"), (f"{UNITS}/ssh.service", "pop"),
        (f"{UNITS}/loopback-recover.service", "pop"), (f"{UNITS}/loopback-heal.path", "pop"),
        (f"{UNITS}/a/../x.service.d/loopback.conf", "pop"),
        (f"{UNITS}/ssh.service.d/evil.conf", "pop"),
        ("/etc/wireguard/up-t2.conf", "worker"), ("/etc/wireguard/up-abcdefghijklm.conf", "pop"),
        ("/etc/bird/bird.conf", "worker"), ("/etc/ssh/sshd_config.d/10-loopback.conf", "worker"),
        ("/etc/haproxy/haproxy.cfg", "worker"), ("/etc/loopback/routes.json", "gateway"),
    ],
)  # fmt: skip
def test_a_path_that_is_not_on_the_list(path, role):
    with pytest.raises(RefusedError):
        parse_place(path, role)


def test_the_bird_of_egress_is_reloaded_and_restarted_only_for_its_unit():
    conf, unit = "/etc/loopback/egress.conf", f"{UNITS}/loopback-egress.service"
    routes = "/etc/loopback/routes.json"
    new = files(conf, unit, routes)
    assert words(plan_steps(new, {}, new, "worker")) == ["units", "routes", "egress-restart"]
    assert words(plan_steps([conf], new, new, "worker")) == ["egress"]
    assert services_of(new, "worker") == ["loopback-egress"]
    assert words(plan_retired(new, {}, "worker")) == ["routes", "unit loopback-egress.service"]
    for role in ("pop", "gateway"):
        with pytest.raises(RefusedError, match="is for role worker"):
            parse_place(conf, role)
