"""What workers that leave by the PoPs have to have in their files, and the PoPs in theirs."""

from __future__ import annotations

import json
import re

from tests.golden.reading import BIRD, NFT, export, session, text

EGRESS = "/etc/loopback/egress.conf"
BOTH, LAST = ["203.0.113.64", "203.0.113.65"], "203.0.113.70"


def egress_through_pops(rendered):
    """Who may have an address is believed by every PoP; it stands on the first of them."""
    routes = {w: json.loads(text(rendered, w, "/etc/loopback/routes.json")) for w in ("w1", "w2")}
    assert routes["w1"]["vips"] == BOTH
    assert routes["w2"] == {
        "format": 1, "prefixes": [f"{a}/32" for a in (*BOTH, LAST)], "vips": [LAST],
    }  # fmt: skip
    assert rendered["w1"].packages == (
        "bird2",
        "iproute2",
        "nftables",
        "python3",
        "wireguard-tools",
    )
    for pop in ("fra1", "par1"):
        bird, nft = text(rendered, pop, BIRD), text(rendered, pop, NFT)
        believed = {
            w: re.search(rf"filter from_out_{w}_1 {{\n  if net ~ \[ (.*) \] && (.*) then", bird)
            for w in ("w1", "w2")
        }
        assert believed["w1"][1] == ", ".join(f"{a}/32" for a in BOTH)
        assert believed["w2"][1] == ", ".join(f"{a}/32" for a in (*BOTH, LAST))
        assert believed["w1"][2] == "bgp_next_hop = from"
        # a way out for workers, and nothing of theirs for carriers
        assert "import limit 2 action block;" in session(bird, "out_w1_1")
        assert "out_" not in export(bird, "up_t1_4")
        assert f'iifname "lb-w1" oifname != @tunnels ip saddr {{ {", ".join(BOTH)} }} accept' in nft
        forward = nft[nft.index("chain forward") : nft.index("chain output")]
        assert "policy drop" in forward
        assert forward.count("accept") == 4
        assert "net.ipv4.ip_forward = 1" in text(rendered, pop, "/etc/loopback/sysctl.conf")
    for worker, peer in (("w1", "fra1"), ("w2", "par1")):
        near = text(rendered, worker, f"/etc/wireguard/lb-{peer}.conf")
        far = text(rendered, peer, f"/etc/wireguard/lb-{worker}.conf")
        assert re.search(r"AllowedIPs = .*, 0\.0\.0\.0/0$", near, re.MULTILINE)
        assert "0.0.0.0/0" not in far
        assert f"{BOTH[0]}/32" in far
    # the nearer PoP first: as declared, then by name
    liked = {
        w: re.findall(r"from_out_(\w+)_1 {[^}]*bgp_local_pref = (\d+)", text(rendered, w, EGRESS))
        for w in ("w1", "w2")
    }
    assert liked["w1"] == [("fra1", "200"), ("par1", "199")]
    assert liked["w2"] == [("fra1", "199"), ("par1", "200")]
