"""What a fleet whose PoPs are name servers has to have in its files."""

from __future__ import annotations

import json

from tests.golden import case as golden
from tests.golden.reading import BIRD, HAPROXY, NFT, WATCH, text

KNOT, NSD = "/etc/knot/knot.conf", "/etc/nsd/nsd.conf"


def name_service(rendered):
    """An address in prefixes of its own, answers as their gate, and ingress left alone."""
    for pop, path in (("fra1", KNOT), ("par1", NSD)):
        watch = json.loads(text(rendered, pop, WATCH))
        named = {n: a["names"] for n, a in watch["announcements"].items() if "names" in a}
        assert named == {"names4": ["198.51.100.53"], "names6": ["2001:db8:153::53"]}
        assert watch["name_service"]["unit"] == path.split("/")[2]
        # what gates ingress is not touched by names, nor the other way round
        assert all(watch["announcements"][n]["services"] == [] for n in named)
        assert watch["announcements"]["v4"]["services"] == ["https"]
        assert (
            "198.51.100.53" in json.loads(text(rendered, pop, "/etc/loopback/routes.json"))["vips"]
        )
        assert not {KNOT, NSD} - {path} & rendered[pop].files.keys()
        assert f"tsig-{pop}" in rendered[pop].secrets
        guards(text(rendered, pop, NFT))
    knot, nsd = text(rendered, "fra1", KNOT), text(rendered, "par1", NSD)
    assert "nsid: fra1" in knot
    assert 'nsid: "ascii_par1"' in nsd
    assert "listen: [198.51.100.53@53, 2001:db8:153::53@53, 198.18.1.11@53" in knot
    assert "ip-address: 198.51.100.53" in nsd
    # an address that may come later than the daemon
    assert "ip-freebind: yes" in nsd
    before = golden.render(golden.load("two-pops"))
    assert text(rendered, "fra1", HAPROXY) == text(before, "fra1", HAPROXY)
    assert all(rendered[w].files == before[w].files for w in ("w1", "w2"))
    assert "knot" in rendered["fra1"].packages
    assert "nsd" in rendered["par1"].packages
    assert "export limit 2 action block;" in text(rendered, "fra1", BIRD)


def guards(nft: str) -> None:
    """Questions to the anycast address alone, untracked; NOTIFY from the primary alone."""
    opened = [line.strip() for line in nft.splitlines() if " dport 53 " in line]
    assert opened[:2] == [
        "ip daddr @names4 meta l4proto { tcp, udp } th dport 53 accept",
        "ip6 daddr @names6 meta l4proto { tcp, udp } th dport 53 accept",
    ]
    assert all("saddr 198.18.250.53 " in o or "saddr 2001:db8:fa::53 " in o for o in opened[2:])
    assert len(opened) == 4
    own = next(line for line in nft.splitlines() if "198.51.100.0/24" in line)
    assert "203.0.113.0/24" in own  # the set of what conntrack leaves alone
    assert nft.index("@own4 notrack") < nft.index("@names4")
