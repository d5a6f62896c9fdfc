"""Release: everything of ours is gone, what stood here before us stands again."""

import json

AGENT = "/usr/local/sbin/loopback-agent"


def test_release_takes_everything_of_ours_off(edge, serving_once):
    main = "(ip route show table main; ip -6 route show table main) | grep -v 'dev lo'"
    before = edge.inside(f"{main} | grep -v 'dev lb-w1'")
    given_up = edge.ssh(f"{AGENT} blackhole add 203.0.113.66")
    assert given_up.returncode == 0, given_up.stderr
    done = edge.ssh(f"{AGENT} release host=par1 instance=i-1 digest={serving_once['digest']}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "released"
    assert not edge.announced()
    assert edge.inside("ip rule | grep -c 'lookup 100' || true").strip() == "0"
    assert edge.inside("ip route show table 100 2>&1").strip() == ""
    assert "203.0.113.10" not in edge.inside("ip addr show dev lo")
    assert edge.inside("nft list tables | grep -c loopback || true").strip() == "0"
    assert "lb-w1" not in edge.inside("ls /sys/class/net")
    units = "bird haproxy loopback-watch loopback-nftables loopback-routes wg-quick@lb-w1"
    assert set(edge.inside(f"systemctl is-active {units} || true").split()) == {"inactive"}
    assert "enabled" not in edge.inside(f"systemctl is-enabled {units} 2>/dev/null || true").split()
    left = edge.inside(f"ls {' '.join(serving_once['files'])} 2>/dev/null || true").split()
    assert left == ["/etc/bird/bird.conf", "/etc/haproxy/haproxy.cfg"]  # Debian's own, as it was
    assert edge.inside("dpkg --verify bird2 haproxy") == ""
    assert edge.inside("stat -c %U:%G:%a /etc/bird/bird.conf") == "bird:bird:640\n"
    assert edge.inside(main) == before
    assert "blackhole" not in edge.inside("ls /var/lib/loopback")
    assert edge.report()["active"] is None


def test_a_second_release_finds_nothing(edge, serving_once):
    done = edge.ssh(f"{AGENT} release host=par1 digest={serving_once['digest']}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "kept"


def test_it_comes_back_after_a_release(edge, serving_once):
    edge.converge(serving_once)
    edge.assert_serving(serving_once)
