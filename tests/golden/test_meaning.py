"""What the rendered cases mean. A golden alone proves sameness; these say what must be in it."""

from __future__ import annotations

import json
import re

import pytest

from tests.golden import case as golden
from tests.golden.bgp_tunnels import tunnelled_pop
from tests.golden.exits import egress_through_pops
from tests.golden.name_service import name_service
from tests.golden.reading import BIRD, HAPROXY, NFT, WATCH, export, servers, session, text


def two_pops(rendered):
    bird = text(rendered, "fra1", BIRD)
    assert bird.count("protocol bgp up_") == 4
    for name in ("up_t1_4", "up_t1_6", "up_t2_4", "up_t2_6"):
        body = session(bird, name)
        for line in (
            "ttl security on;",
            "authentication md5;",
            "local role customer;",
            "require roles on;",
            "graceful restart off;",
            "long lived graceful restart off;",
            "bfd { interval 50 ms; multiplier 3; };",
            "hold time 9;",
        ):
            assert f"  {line}\n" in body
        assert "export limit 1 action block;" in body
        # everything that is not the own aggregate is refused, and nothing else is accepted
        assert export(bird, name).rstrip().endswith("reject;")
        assert export(bird, name).count("accept;") == 1
    assert 'include "/run/loopback/gate/gate4-*.conf";' in bird.splitlines()
    assert "kernel table 100;" in bird
    assert "0.0.0.0/8" not in bird  # with a default route only there is no table to filter
    assert rendered["fra1"].secrets == ("md5-fra1-t1", "md5-fra1-t2")
    assert rendered["w1"].secrets == ()
    gate = json.loads(text(rendered, "fra1", WATCH))["announcements"]["v4"]
    assert gate["open"] == "route 203.0.113.0/24 unreachable;\n"
    assert "(65535,0)" in gate["deprefer"]
    assert gate["closed"].startswith("#")
    haproxy = text(rendered, "fra1", HAPROXY)
    assert "ssl" not in haproxy
    assert "crt" not in haproxy
    for line in servers(haproxy, "web.https").values():
        assert "send-proxy-v2 set-proxy-v2-tlv-fmt(0xE0) fra1" in line
        assert "fall 3 rise 3 observe layer4 error-limit 5 on-error mark-down" in line
    nft = text(rendered, "fra1", NFT)
    assert nft.index("tcp dport 22 counter drop") < nft.index("ct state established")
    assert "flush ruleset" not in nft
    assert "Table = off" in text(rendered, "w1", "/etc/wireguard/lb-fra1.conf")
    assert "PrivateKey" not in str(rendered)
    worker_paths = " ".join(rendered["w1"].files)
    for foreign in ("sysctl", "chrony", "sshd", "haproxy", "bird"):
        assert foreign not in worker_paths
    one, other = (text(rendered, h, p) for h, p in PAIR)
    assert re.search(r"AllowedIPs = (.*)", one)[1] == re.search(r"AllowedIPs = (.*)", other)[1]
    # a flow without an answer is the first to go when the connection table is full
    assert text(rendered, "fra1", NFT).count("udp dport { 3784, 4784 } notrack") == 2


PAIR = (("fra1", "/etc/wireguard/lb-w2.conf"), ("w2", "/etc/wireguard/lb-fra1.conf"))


def many_workers(rendered):
    haproxy = text(rendered, "fra1", HAPROXY)
    checks = [line for line in haproxy.splitlines() if " check inter " in line]
    assert len(checks) == 6  # one per worker, although two services share four of them
    assert all(f"track web.https/{w}" in s for w, s in servers(haproxy, "web.http").items())
    assert "inter 25ms" in servers(haproxy, "web.https")["w1"]
    far = servers(text(rendered, "par1", HAPROXY), "web.https")["w3"]
    assert "inter 49ms" in far  # twice 24.5 ms, so that a check has time to connect
    assert "weight 50" in servers(haproxy, "web.https")["w4"]
    watch = json.loads(text(rendered, "fra1", WATCH))
    assert watch["announcements"]["v4"]["services"] == ["http", "https"]  # smtp gates nothing
    assert "tcp dport 2222 counter drop" in text(rendered, "m2", NFT)
    assert "tcp dport 22 " not in text(rendered, "w3", NFT)  # SSH of a worker is not ours


def drained_worker(rendered):
    haproxy = text(rendered, "fra1", HAPROXY)
    assert servers(haproxy, "web.https")["w2"].endswith("weight 0")
    assert set(servers(haproxy, "web.https.last")) == {"w1"}


def worker_behind_nat(rendered):
    at_pop, at_worker = (text(rendered, h, p) for h, p in PAIR)
    assert "Endpoint" not in at_pop
    assert "PersistentKeepalive" not in at_pop
    assert "Endpoint = 198.18.1.11:51822" in at_worker
    assert "PersistentKeepalive = 5" in at_worker
    assert "MTU = 1370" in at_pop
    assert "MTU = 1370" in at_worker
    nft = text(rendered, "fra1", NFT)
    assert 'udp dport 51822 accept comment "w2 is behind NAT"' in nft
    assert "ip saddr 198.18.11.21 udp dport 51821 accept" in nft


def worker_managed_through_pop(rendered):
    at_pop, at_worker = (text(rendered, h, NFT) for h in ("fra1", "w2"))
    assert 'iifname "lb-w2" tcp sport 2222 tcp flags & (syn | ack) != syn accept' in at_pop
    assert 'iifname "lb-fra1" fib daddr type local tcp dport 2222 accept' in at_worker
    assert 'iifname "lb-par1" fib' not in at_worker
    # the guard of its own SSH stands behind the tunnels' chain, and does not name the PoP
    assert at_worker.index("goto tunnels") < at_worker.index("tcp dport 2222 counter drop")
    sshd = "/etc/ssh/sshd_config.d/10-loopback.conf"
    assert "AllowTcpForwarding local\nPermitOpen 10.88.8.5:2222\n" in text(rendered, "fra1", sshd)
    assert "AllowTcpForwarding no\n" in text(rendered, "par1", sshd)
    assert 'udp dport 51822 accept comment "w2 is behind NAT"' in at_pop


def host_behind_bastion(rendered):
    at_pop, at_worker = (text(rendered, h, NFT) for h in ("fra1", "w1"))
    assert "elements = { 10.1.2.3/32, 192.0.2.200/32, 198.51.100.0/28 }" in at_pop
    assert "192.0.2.200/32" in text(rendered, "fra1", "/etc/ssh/sshd_config.d/10-loopback.conf")
    # inside what the operators have: nft refuses a set of intervals that overlap
    assert "ip saddr { 198.51.100.0/28 } tcp dport 22 accept" in at_worker
    assert "192.0.2.200" not in text(rendered, "par1", NFT)


def md5_waived(rendered):
    bird = text(rendered, "fra1", BIRD)
    assert "password" not in session(bird, "up_t1_4")
    assert "password" in session(bird, "up_t2_4")
    assert "bfd {" not in session(bird, "up_t2_4")
    assert "hold time 30;" in session(bird, "up_t2_4")
    assert rendered["fra1"].secrets == ("md5-fra1-t2",)
    nft = text(rendered, "fra1", NFT)
    assert "ip saddr 192.0.2.0 ip daddr 192.0.2.1 udp dport 3784 accept" in nft
    assert "ip saddr 192.0.2.4 ip daddr 192.0.2.5 udp" not in nft


def multihop_private_asn(rendered):
    bird = text(rendered, "fra1", BIRD)
    body = session(bird, "up_cloud_4")
    assert "neighbor 169.254.169.254 as 64515;" in body
    assert "multihop 2;" in body
    assert "ttl security" not in body
    assert "direct;" not in body
    assert "igp table nexthop4_1;" in body
    assert "route 0.0.0.0/0 via 198.18.1.1;" in bird
    assert "protocol bfd" not in bird
    assert "udp dport 4784" not in text(rendered, "fra1", NFT)


def full_table(rendered):
    bird = text(rendered, "fra1", BIRD)
    assert "import filter from_full4;" in session(bird, "up_t1_4")
    assert "import filter from_default4;" in session(bird, "up_t2_4")
    assert "import limit 1200000 action block;" in session(bird, "up_t1_4")
    assert "export limit 6 action block;" in session(bird, "up_t1_4")  # 1 prefix + 5 blackholes
    assert "export limit 1 action block;" in session(bird, "up_t2_4")
    filter_text = re.search(r"filter from_full4 {\n(.*?)^}", bird, re.MULTILINE | re.DOTALL)[1]
    assert "203.0.113.0/24+ ] then reject;" in filter_text  # own prefix never comes back
    assert "\n    203.0.113.0/24+" not in filter_text  # and is no bogon
    assert "10.0.0.0/8+" in filter_text
    ranges = re.search(r"bgp_path ~ \[ (.*?) \]", filter_text)[1]
    for known in (64496, 64497, 64500):
        assert not any(inside(known, part) for part in ranges.split(", "))
    for strange in (0, 23456, 64512, 65535, 4200000000):
        assert any(inside(strange, part) for part in ranges.split(", "))
    assert "roa_check(rpki4, net, bgp_path.last_nonaggregated) = ROA_INVALID" in filter_text
    assert bird.count("protocol rpki") == 2
    assert 'proto = "blackhole4"' in export(bird, "up_t1_4")
    assert "blackhole" not in export(bird, "up_t2_4")
    blackholed(rendered)
    assert "bgp_large_community.add((64496, 0, 80));" in export(bird, "up_t1_4")
    assert "rpki" not in text(rendered, "par1", BIRD)
    internal = session(text(rendered, "par1", BIRD), "up_t2_4")
    assert "local role" not in internal


def blackholed(rendered):
    bird = text(rendered, "fra1", BIRD)
    # longer than our prefixes: single addresses of ours, from the two protocols that may
    assert "define SINGLE4 = [ 203.0.113.0/24{32,32} ];" in bird
    assert "define SINGLE6 = [ 2001:db8:100::/48{128,128} ];" in bird
    assert 'proto = "byhand4") && net ~ SINGLE4 then' in export(bird, "up_t1_4")
    assert "bgp_community.add((65535, 666));" in export(bird, "up_t1_4")  # RFC 7999 unless said
    assert "bgp_community.add((65535, 65281));" in export(bird, "up_t1_4")
    # an own router hands it on to its carriers, so it is not told to keep it
    to_own = export(text(rendered, "par1", BIRD), "up_t2_4")
    assert "bgp_community.add((64497, 666));" in to_own
    assert "65281" not in to_own
    holes = {h: text(rendered, h, "/etc/loopback/blackhole4.conf") for h in ("fra1", "par1")}
    assert holes["fra1"].startswith("route 203.0.113.66/32 blackhole; # unused and scanned\n")
    assert "203.0.113.67" in holes["fra1"]
    assert "203.0.113.67" not in holes["par1"]
    sets = text(rendered, "fra1", "/etc/loopback/blackhole.nft")
    assert "add element inet loopback blackholed6 { 2001:db8:100::66 }" in sets
    # no change of bird.conf or nftables.conf: giving an address up drains nothing
    assert "203.0.113.66" not in bird + text(rendered, "fra1", NFT)
    watch = json.loads(text(rendered, "fra1", WATCH))["blackhole"]
    assert watch == {"budget": 5, "refusing": ["t2"], "sessions": {"up_t1_4": 4, "up_t1_6": 6}}


def inside(asn, part):
    low, _, high = part.partition("..")
    return int(low) <= asn <= int(high or low)


def v4_only(rendered):
    bird = text(rendered, "fra1", BIRD)
    assert "ipv6" not in bird
    assert "_6" not in bird
    assert "bind [" not in text(rendered, "fra1", HAPROXY)
    assert "own6" not in text(rendered, "fra1", NFT)
    assert "Endpoint = 198.18.1.11:51821" in text(rendered, "w1", "/etc/wireguard/lb-fra1.conf")


def v6_only(rendered):
    bird = text(rendered, "fra1", BIRD)
    assert "ipv4" not in bird
    assert "_4" not in bird
    assert "bind [2001:db8:100::10]:443 v6only" in text(rendered, "fra1", HAPROXY)
    assert "Endpoint = [2001:db8:1::11]:51821" in text(
        rendered, "w1", "/etc/wireguard/lb-fra1.conf"
    )
    exporter = text(rendered, "fra1", "/etc/default/prometheus-node-exporter")
    assert exporter.startswith('ARGS="--web.listen-address=[2001:db8:1::11]:9100 ')
    assert "ip saddr @admin4" not in text(rendered, "fra1", NFT)


def ready_port(rendered):
    haproxy = text(rendered, "fra1", HAPROXY)
    assert haproxy.count("option httpchk GET /ping\n  http-check expect status 200\n") == 1
    for line in servers(haproxy, "web.https").values():
        assert " check port 8082 " in line
        assert "check-send-proxy" not in line
        assert " rise 30 " in line  # of 100 ms each
    assert all(" track web.https/" in line for line in servers(haproxy, "web.http").values())
    guard = text(rendered, "w1", NFT)
    assert "{ 8080, 8082, 8443 } counter drop" in guard
    assert "{ 8080, 8082, 8443 } accept" in guard


def limits(rendered):
    nft = text(rendered, "fra1", NFT)
    https = re.search(r"chain new-https {\n(.*?)\n\t}", nft, re.DOTALL)[1]
    # counted first, so that what was dropped can be compared with what came
    assert https.splitlines()[0].strip() == 'counter name "new-https"'
    assert "ip saddr limit rate over 50/second burst 100 packets" in https
    assert "ip6 saddr & ffff:ffff:ffff:ffff:: limit rate over 50/second" in https  # a /64
    assert "rate over 2000/second burst 2000 packets" in nft  # the burst is a second's worth
    # only the packet that opens a connection is looked at: what is established is never dropped
    assert nft.count("tcp flags & (fin | syn | rst | ack) == syn") == 2
    assert nft.index("vmap @new4") < nft.index("@listen4 accept")
    # without limits: counted, never dropped, and no memory of clients
    smtp = re.search(r"chain new-smtp {\n(.*?)\n\t}", nft, re.DOTALL)[1]
    assert smtp.strip() == 'counter name "new-smtp"'
    assert "203.0.113.25 . 25 : jump new-smtp" in nft
    assert "clients6-https" in nft
    haproxy = text(rendered, "fra1", HAPROXY)
    assert "reject if { sc0_conn_cur gt 200 }" in haproxy
    assert haproxy.count("stick-table") == 1


def metrics_sources(rendered):
    nft = text(rendered, "fra1", NFT)
    assert "elements = { 198.18.250.0/24 }" in nft
    ports = "{ 8405, 9100, 9324 } accept"
    assert f"ip saddr @metrics4 tcp dport {ports}" in nft
    assert f"ip6 saddr @metrics6 tcp dport {ports}" in nft
    # metrics and nothing else; without any, the operators' networks alone
    assert len(re.findall(r"saddr @metrics[46]", nft)) == 2
    assert "@metrics" not in text(golden.render(golden.load("two-pops")), "fra1", NFT)


def keys_expanded(rendered):
    """Old tunnels to the last byte, new ones beside them in every respect."""
    before = golden.render(golden.load("two-pops"))
    for host in rendered:
        for path in before[host].files:
            if path.startswith("/etc/wireguard/"):
                assert text(rendered, host, path) == text(before, host, path)
        new = {p for p in rendered[host].files if p.startswith("/etc/wireguard/lc-")}
        assert len(new) == 2
    assert text(rendered, "fra1", HAPROXY) == text(before, "fra1", HAPROXY)
    one, other = (
        text(rendered, "fra1", "/etc/wireguard/lc-w1.conf"),
        text(rendered, "w1", "/etc/wireguard/lc-fra1.conf"),
    )
    assert "wireguard-2.key" in one
    assert "wireguard-1.key" not in one + other
    assert re.search(r"AllowedIPs = (.*)", one)[1] == re.search(r"AllowedIPs = (.*)", other)[1]
    assert re.search(r":(\d+)$", one, re.MULTILINE)[1] in other
    assert '"lb-w1", "lc-w1", "lb-w2", "lc-w2"' in text(rendered, "fra1", NFT)
    assert '"lb-fra1", "lc-fra1"' in text(rendered, "w1", NFT)
    assert json.loads(text(rendered, "fra1", WATCH))["tunnels_beside"] == ["lc-w1", "lc-w2"]
    assert "51820-51822,52844-52846\n" in text(rendered, "fra1", "/etc/loopback/sysctl.conf")


def keys_moved(rendered):
    """Only where HAProxy looks, and what the watch knows of it."""
    before = golden.render(golden.load("keys-expanded"))
    for host in rendered:
        assert rendered[host].files.keys() == before[host].files.keys()
        changed = {p for p, f in rendered[host].files.items() if f != before[host].files[p]}
        assert changed == ({HAPROXY, WATCH} if host in ("fra1", "par1") else {WATCH})
    assert json.loads(text(rendered, "w1", WATCH))["tunnels_beside"] == ["lb-fra1", "lb-par1"]
    assert " 10.80.8.3:8443 " in servers(text(rendered, "fra1", HAPROXY), "web.https")["w1"]


def keys_contracted(rendered):
    """Nothing of the old epoch is left in any file."""
    before = golden.render(golden.load("keys-moved"))
    for host in rendered:
        every = "".join(file.text for file in rendered[host].files.values())
        assert not re.search(r"lb-(fra1|par1|w1|w2)|wireguard-1\.key|10\.88\.\d+\.\d+/31", every)
        assert "beside" not in every
    assert text(rendered, "fra1", HAPROXY) == text(before, "fra1", HAPROXY)
    # an identity, not an address: the same in every epoch
    assert "router id 10.88.8.0;" in text(rendered, "fra1", BIRD)


def prefix_origins(rendered):
    """Each PoP announces what has an origin there; what the provider originates is left to it."""
    fra1, par1 = (text(rendered, pop, BIRD) for pop in ("fra1", "par1"))
    assert "define OWN4 = [ 198.51.100.0/24, 203.0.113.0/24 ];" in fra1
    assert "define OWN4 = [ 203.0.113.0/24 ];" in par1
    assert "export limit 2 action block;" in session(fra1, "up_t1_4")
    assert "export limit 1 action block;" in session(par1, "up_t1_4")
    gates = {
        pop: set(json.loads(text(rendered, pop, WATCH))["announcements"])
        for pop in ("fra1", "par1")
    }
    # ordered, and in no gate: nothing can announce it before it has a ROA
    assert gates == {"fra1": {"pool4", "v4", "v6"}, "par1": {"v4", "v6"}}
    assert "2001:db8:200::" not in fra1 + par1
    routes = {
        pop: json.loads(text(rendered, pop, "/etc/loopback/routes.json"))
        for pop in ("fra1", "par1")
    }
    assert "hosted" not in routes["fra1"]
    assert routes["par1"]["hosted"] == ["198.51.100.0/24"]
    assert "198.51.100.0/24" not in routes["par1"]["prefixes"]
    assert routes["fra1"]["vips"] == routes["par1"]["vips"]
    # by name: inside what is allocatable, and beside what was written by hand
    assert {"198.51.100.77", "198.51.100.99"} <= set(routes["fra1"]["vips"])
    out = export(fra1, "up_t1_4")
    assert re.search(
        r"if net = 198\.51\.100\.0/24 then {\n +bgp_community\.add\(\(64496, 100\)\)", out
    )
    assert "    bgp_community.add((64496, 1));\n" in out
    drained = out[out.index("if GSHUT") :]
    assert "bgp_large_community.add((64496, 0, 9));" in drained
    assert "bgp_large_community.add((64496, 0, 9));" in export(fra1, "up_t1_6")
    assert "(64496, 100)" not in export(fra1, "up_t1_6") + export(fra1, "up_t2_4")


MEANINGS = {
    f.__name__.replace("_", "-"): f
    for f in (
        two_pops,
        many_workers,
        drained_worker,
        worker_behind_nat,
        worker_managed_through_pop,
        host_behind_bastion,
        md5_waived,
        multihop_private_asn,
        full_table,
        v4_only,
        v6_only,
        limits,
        ready_port,
        metrics_sources,
        keys_expanded,
        keys_moved,
        keys_contracted,
        prefix_origins,
        tunnelled_pop,
        name_service,
        egress_through_pops,
    )
}


@pytest.mark.parametrize("name", golden.names(rejected=False))
def test_means(name):
    MEANINGS[name](golden.render(golden.load(name)))


def test_no_settings_that_cried_wolf_in_the_lab():
    for name in golden.names(rejected=False):
        for files in golden.render(golden.load(name)).values():
            for path, file in files.files.items():
                assert "error-limit 1 " not in file.text, path
                assert "graceful restart on" not in file.text, path
                assert "flush ruleset" not in file.text, path
                assert "inter 0" not in file.text, path
