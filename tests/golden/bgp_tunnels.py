"""What the case `tunnelled-pop` means."""

from __future__ import annotations

import json

from tests.golden.reading import BIRD, NFT, WATCH, export, session, text


def tunnelled_pop(rendered):
    """Own addresses reach the Internet through tunnels, whose outer packets never enter one."""
    fra1, par1 = (text(rendered, pop, BIRD) for pop in ("fra1", "par1"))
    for line in ('interface "up-t2";', "direct;", "ttl security on;", "local role customer;"):
        assert f"  {line}\n" in session(fra1, "up_t2_6")
    assert "bfd { interval 300 ms; multiplier 3; };" in session(fra1, "up_t2_6")
    assert "bfd { interval 50 ms; multiplier 3; };" in session(fra1, "up_t1_6")  # on a link
    assert "bfd { interval 200 ms;" in session(par1, "up_carrier_4")
    assert "kernel table 100;" in par1  # looked into by own prefixes alone
    # an own router: no carrier's customer, and it hands blackholes on
    assert "role" not in session(par1, "up_own_4")
    assert "65281" not in export(par1, "up_own_4")
    assert "bgp_community.add((65535, 65281));" in export(fra1, "up_t2_4")
    tunnels_to_routers(rendered)
    nft = text(rendered, "fra1", NFT)
    assert "ip saddr 192.0.2.18 udp dport 51820 accept" in nft
    inside = 'iifname "up-t2" ip saddr 100.64.0.0 ip daddr 100.64.0.1'
    assert f"{inside} tcp dport 179 accept" in nft
    assert f"{inside} udp dport 3784 accept" in nft
    assert "oifname !=" not in nft  # it has a link as well
    for segment in (
        'iifname "up-t2" ip daddr @own4 tcp flags syn tcp option maxseg size set 1380',
        'iifname "up-t2" ip6 daddr @own6 tcp flags syn tcp option maxseg size set 1360',
        "ip saddr @own4 tcp flags syn tcp option maxseg size set 1380",
    ):
        assert segment in nft
    nft = text(rendered, "par1", NFT)
    assert "ip saddr @own4 tcp flags syn tcp option maxseg size set 1280" in nft  # the narrowest
    only = 'saddr @own4 oifname != { "up-carrier", "up-own" } counter drop'
    assert nft.index(only) < nft.index("fib saddr type local accept")


def tunnels_to_routers(rendered):
    t2, carrier, own = (
        text(rendered, host, f"/etc/wireguard/up-{name}.conf")
        for host, name in (("fra1", "t2"), ("par1", "carrier"), ("par1", "own"))
    )
    assert "Address = 100.64.0.1/31, 2001:db8:fe::1/127\n" in t2
    assert "Address = 172.20.1.2/30, 2001:db8:fe:1::2/126\n" in carrier
    assert "Address = 172.20.2.9/29\n" in own  # .8 is no address of a host
    assert "AllowedIPs = 0.0.0.0/0, ::/0\n" in t2
    assert "AllowedIPs = 0.0.0.0/0\n" in own
    assert "MTU = 1420\n" in t2
    assert "MTU = 1320\n" in carrier
    assert "Endpoint = [2001:db8:ff:11::]:51821\n" in carrier
    assert all("Table = off\n" in each for each in (t2, carrier, own))
    drop_in = "/etc/systemd/system/wg-quick@{}.service.d/loopback.conf"
    assert "Before=bird.service" in text(rendered, "fra1", drop_in.format("up-t2"))
    assert "Before" not in text(rendered, "fra1", drop_in.format("lb-w1"))
    watch = json.loads(text(rendered, "par1", WATCH))
    assert watch["upstream_tunnels"] == ["up-carrier", "up-own"]
    assert watch["tunnels"] == ["lb-w1", "lb-w2"]
    settings = text(rendered, "par1", "/etc/loopback/sysctl.conf")
    assert "-net.ipv4.conf.up-own.rp_filter = 0\n" in settings
    assert ",51820-51822,4500\n" in settings
