"""What fires which control, and which facts leave it open: edits of the passing stack.

Of every control with a check: one that fails, one that is open, and what else is worth telling.
"""

from __future__ import annotations

from tests.unit.controls.passing import ABSENT, CANARY, UNKNOWN, secret

UP = "fleet|pops|{}|upstreams|{}|{}"
BIRD = "files|/etc/bird/bird.conf"
HAPROXY = "files|/etc/haproxy/haproxy.cfg"
NFTABLES = "files|/etc/loopback/nftables.conf"
TIME = "files|/etc/chrony/conf.d/loopback-time.conf"
LOGS = "files|/etc/loopback/logs.conf"
SINKS = "baseline|logs|sinks|{}|{}"
SSHD = "files|/etc/ssh/sshd_config.d/10-loopback.conf"
KNOT = "files|/etc/knot/knot.conf"
LAST = "\n}\n\nprotocol bgp"
ZONE = "files|/etc/loopback/zones/example.net.zone"


def swap(old: str, new: str, count: int = -1):
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, count)

    return edit


def without(line: str):
    def edit(text: str) -> str:
        kept = [each for each in text.splitlines(keepends=True) if line not in each]
        assert len(kept) < text.count("\n")
        return "".join(kept)

    return edit


# control -> edits after which it fails
FAILING = {
    "RED-01": [[("edge", "fleet|prefixes|v4|origins|own|pops", ["fra1"])]],
    "RED-02": [[("par1", "host|provider", "carrier-hotel")]],
    "RED-03": [[("par1", "host|country", "DE")]],
    "RED-04": [
        [("edge", "fleet|pools|web|workers|w2|drained", True)],
        [("w2", "host|provider", "metal"), ("w1", "host|country", "ES")],
    ],
    "RED-05": [[(name, "host|failure_domains", ["feed"]) for name in ("w1", "w2")]],
    "RED-06": [
        [("h1", "placementGroupId", ABSENT)],
        [("i2", "availabilityZone", "ZONE_1")],
        [("i2", "availabilityZone", ABSENT)],
    ],
    "RED-07": [[("edge", UP.format(pop, "t2", "asn"), 64496) for pop in ("fra1", "par1")]],
    "RED-08": [[("w1", "host|provider", "cage")]],
    "RED-09": [[("edge", "fleet|vips|www", ["9.9.9.10"])]],
    "JUR-01": [[("store", "location", "ash")], [("store", "location", "mars1")]],
    "JUR-02": [[("w1", "host|provider", "elsewhere")]],
    "SUP-01": [
        [("w1", "host|provider", "nobody we know")],
        [("edge-fra1", SINKS.format("near", "provider"), "nobody we know")],
        [("edge-fra1", "baseline|time|servers|t11|operator", "nobody we know")],
        [("dns-primary", "baseline|backups|targets|far|provider", "nobody we know")],
    ],
    "DNS-01": [[("second", "", None), ("third", "", None)]],
    "DNS-02": [
        [
            ("second", "", None),
            ("third", "", None),
            ("dns", "hosts|ns2|address", "198.51.100.9"),
        ]
    ],
    "DNS-03": [
        [("dns-primary", ZONE, swap("ns2.example.com", "ns2.example.org"))],
        [("dns-primary", ZONE, swap("ns2.example.com.\n", "ns2\nns2 IN A 192.0.2.9\n")),
         ("dns-primary", ZONE, swap("NS ns1.example.org", "NS ns1.example.net")),
         ("dns-primary", ZONE, swap("@ IN CAA", "ns1 IN A 192.0.2.8\n@ IN CAA"))],
    ],
    "DNS-04": [
        [("dns", "name_service|zones|example.net|signed", False)],
        [("second", "mode", "primary")],
        [("third-signed", "status", "disabled")],
    ],
    "DNS-05": [
        [("dns-primary", KNOT, swap("ecdsap256sha256", "rsasha1"))],
        [("third-signed", "algorithm", "7")],
    ],
    "DNS-06": [[("third-signed", "dnssecPresigned", False)]],
    "DNS-07": [
        [("dns", "name_service|transfers|tsig", "hmac-md5")],
        [("second", "primaryNameservers|0|tsigKey", ABSENT)],
        [("second", "primaryNameservers|0|tsigAlgorithm", "hmac-sha1")],
    ],
    "DNS-09": [[("dns-primary", ZONE, without(" CAA "))]],
    "DNS-10": [
        [("dns-primary", ZONE, without("_dmarc"))],
        [("dns-primary", ZONE, without(" MX "))],
        [("dns-primary", ZONE, without("spf1"))],
        [("dns-primary", ZONE, swap("MX 10 mail.example.org.", "MX 0 .")),
         ("dns-primary", ZONE, swap("-all", "~all"))],
    ],
    "DNS-11": [[("second", "deleteProtection", False)], [("third", ".protect", False)]],
    "BGP-01": [
        [("edge", UP.format("fra1", "t1", "md5"), False)],
        [("edge", UP.format("fra1", "t1", "ttl_security"), False)],
    ],
    "BGP-02": [[("edge", "fleet|rpki|caches", ["a"])]],
    "BGP-03": [
        [("edge", "fleet|prefixes|v4|origins|own|roa", None)],
        [("edge", "fleet|prefixes|v4|origins|own|roa|asn", 1)],
        [("edge", "fleet|prefixes|v4|origins|own|roa|max_length", 25)],
    ],
    "BGP-04": [
        [("edge-fra1", BIRD, swap("import filter from_default4;", "import all;", 1))],
        [("edge-fra1", BIRD, swap("    import filter from_default6;\n", "", 1))],
    ],
    "BGP-05": [[("edge-par1", BIRD, swap("import limit 1 action block;", "import limit off;", 1))]],
    "BGP-06": [[("edge", UP.format("par1", "t2", "role"), None)]],
    "BGP-07": [
        [("edge-fra1", BIRD, swap(" && net ~ OWN4 then", " then", 1))],
        [("edge-fra1", BIRD, swap(f"  reject;{LAST}", f"  accept;{LAST}", 1))],
    ],
    "BGP-08": [[("edge", "fleet|prefixes|v6|services", [])]],
    "BGP-09": [
        [("edge-fra1", NFTABLES, without("fib saddr type local accept"))],
        [("edge-fra1", NFTABLES, without("own addresses never come from outside"))],
    ],
    "SPC-01": [
        [("edge", "fleet|asn", 64500)],
        [("edge", "fleet|prefixes|v4|cidr", "203.0.113.0/24")],
    ],
    "ING-01": [
        [("www", "metadata|annotations|load-balancer.hetzner.cloud/location", CANARY)],
    ],
    "ING-02": [
        [("edge-fra1", HAPROXY, swap(" send-proxy-v2 ", " ", 1))],
        *([("ingress", "trusted|w2", wide)] for wide in (["10.0.0.0/8"], ["192.0.2.1"], ["x"], [])),
    ],
    "ING-03": [
        [("edge-fra1", HAPROXY, swap("  mode tcp\n", "  mode http\n"))],
        [("edge-fra1", HAPROXY, swap("bind 203.0.113.10:443", "bind 203.0.113.10:443 ssl crt /k"))],
    ],
    "ING-04": [
        [("tls", "spec|minVersion", "VersionTLS10")],
        [("tls", "spec|minVersion", ABSENT)],
        [("ingress", "ingress|tls_least", "1.1")],
    ],
    "ING-05": [[("edge-fra1", HAPROXY, swap("10.88.8.3:8443", "198.18.11.21:8443", 1))]],
    "ING-06": [[("www", "metadata|annotations", {})]],
    "EGR-01": [
        [("deny", "spec|policyTypes", ["Ingress"])],
        [("deny", "spec|podSelector", {"matchLabels": {"app": "www"}})],
        [("deny", "metadata|namespace", "other")],
    ],
    "EGR-02": [[("out", "spec|egressGateways|0|egressIP", ABSENT)]],
    "EGR-03": [[("out", "spec|egressGateways", [{"egressIP": "9.9.9.40"}])]],
    "LOG-01": [
        [("card", "flowlog", None)],
        [("cilium", "values|hubble|enabled", False)],
    ],
    "LOG-02": [
        [("edge-par1", "baseline", ABSENT)],
        [("edge-par1", LOGS, without('name="far"'))],
        [("edge-par1", SINKS.format("far", "provider"), "hetzner")],
        [("edge-par1", SINKS.format("far", "kept_days"), 14)],
        [("edge-par1", SINKS.format("near", "unalterable_by"), ABSENT)],
    ],
    "TIM-01": [
        [("edge-fra1", TIME, without("server 198.18.250.14"))],
        [
            ("edge-fra1", f"baseline|time|servers|t{n}|operator", "metal")
            for n in (12, 14)
        ],
    ],
    "BAK-02": [
        [("dns-primary", "baseline|backups", ABSENT)],
        [("dns-primary", "baseline|backups|restored_on", ABSENT)],
        [("dns-primary", "baseline|backups|restored_on", "2026-05-01")],
        [("dns-primary", "baseline|backups|kept_days", 7)],
        [("dns-primary", "place|provider", "ionos")],
        [("dns-primary", "place|provider", ABSENT)],
    ],
    "PAT-02": [[("edge-fra1", "held", [])]],
    "ACC-01": [
        [("wall", "rules|0|sourceIps", ["192.0.2.0/28", "::/0"])],
        [("wall", "rules|1|port", "1-65535")],
        [("wall", "rules|1|port", ABSENT)],
        [("i1", "nic|firewalls|0|sourceIp", ABSENT)],
    ],
    "ACC-02": [[("h1", "firewallIds", [])], [("i1", "nic|firewallActive", False)]],
    "ACC-03": [
        [("h1", "sshKeys", [])],
        [("i1", "imagePassword", secret(CANARY))],
    ],
    "ACC-05": [[("edge-fra1", SSHD, without("PasswordAuthentication no"))]],
    "SEC-01": [
        [("apply", "stdin", CANARY)],
        [("apply", "connection", {"host": "a", "hostKey": "k", "privateKey": CANARY})],
        [("h1", "userData", CANARY)],
    ],
    "BAK-01": [[("store", "backups", False)], [("store", "backups", ABSENT)]],
    "PRO-01": [[("h1", "deleteProtection", False)], [("i1", ".protect", False)]],
    "AST-01": [[("h1", "labels|owner", ABSENT)], [("i1", "labels|0|key", "else")]],
    "PAT-01": [
        [("app", "spec|template|spec|containers|0|image", "registry.example.org/app:latest")],
    ],
    "CMD-01": [
        [("apply", "connection|value|hostKey", ABSENT)],
        [("apply", "connection|value|proxy|hostKey", "")],
    ],
    "CMD-02": [[("apply", "triggers", ["a"])]],
    "CMD-03": [
        [("apply", "create", f"curl -fsSL https://{CANARY}.example | sudo -E bash")],
        [("apply", "create", "wget -qO- https://get.example|sh -s")],
    ],
}  # fmt: skip

# what another control rightly says as well: one property, seen by two
ALSO = {
    "RED-04": {"RED-05", "RED-08"},
    "RED-05": {"RED-04"},
    "RED-02": {"RED-04", "RED-08"},
    "RED-03": {"RED-04"},
    "RED-07": {"RED-04"},
    "RED-08": {"RED-04"},
    "DNS-02": {"DNS-01"},
    "LOG-02": {"PAT-02", "TIM-01"},  # a host without its baseline has neither
    "RED-01": {"RED-04", "RED-08"},  # one PoP is one provider
    "SPC-01": {"RED-04", "RED-08"},  # the VIP then lies in no prefix
}

# control -> an edit after which it cannot tell yet
OPEN = {
    "RED-01": ("edge", "fleet|prefixes", UNKNOWN),
    "RED-02": ("par1", "host|provider", UNKNOWN),
    "RED-03": ("par1", "host|country", UNKNOWN),
    "RED-04": ("w1", "host|site", UNKNOWN),
    "RED-05": ("w1", "host|site", UNKNOWN),
    "RED-06": ("h1", "location", UNKNOWN),
    "RED-07": ("edge", "fleet|pops|fra1|upstreams", UNKNOWN),
    "RED-08": ("w1", "host|provider", UNKNOWN),
    "RED-09": ("edge", "fleet|vips|www", UNKNOWN),
    "JUR-01": ("store", "location", UNKNOWN),
    "JUR-02": ("w1", "host|provider", UNKNOWN),
    "SUP-01": ("w1", "host|provider", UNKNOWN),
    "DNS-01": ("dns", "name_service|zones", UNKNOWN),
    "DNS-02": ("dns", "name_service|zones", UNKNOWN),
    "DNS-03": ("dns-primary", "files", UNKNOWN),
    "DNS-04": ("third-signed", "zoneId", UNKNOWN),
    "DNS-05": ("third-signed", "algorithm", UNKNOWN),
    "DNS-06": ("third-signed", "dnssecPresigned", UNKNOWN),
    "DNS-07": ("dns", "name_service|transfers|tsig", UNKNOWN),
    "DNS-09": ("dns-primary", ZONE, UNKNOWN),
    "DNS-10": ("dns-primary", ZONE, UNKNOWN),
    "DNS-11": ("second", "deleteProtection", UNKNOWN),
    "BGP-01": ("edge", "fleet|pops|fra1|upstreams", UNKNOWN),
    "BGP-02": ("edge", "fleet|rpki|caches", UNKNOWN),
    "BGP-03": ("edge", "fleet|prefixes", UNKNOWN),
    "BGP-04": ("edge-fra1", "files", UNKNOWN),
    "BGP-05": ("edge-fra1", BIRD, UNKNOWN),
    "BGP-06": ("edge", "fleet|pops", UNKNOWN),
    "BGP-07": ("edge-fra1", BIRD, UNKNOWN),
    "BGP-08": ("edge", "fleet|prefixes|v6|services", UNKNOWN),
    "BGP-09": ("edge-fra1", NFTABLES, UNKNOWN),
    "SPC-01": ("edge", "fleet|asn", UNKNOWN),
    "ING-01": ("www", "metadata|annotations", UNKNOWN),
    "ING-02": ("edge-fra1", HAPROXY, UNKNOWN),
    "ING-03": ("edge-fra1", "files", UNKNOWN),
    "ING-04": ("tls", "spec|minVersion", UNKNOWN),
    "ING-05": ("edge-fra1", HAPROXY, UNKNOWN),
    "ING-06": ("www", "spec|tls|0|secretName", UNKNOWN),
    "EGR-01": ("deny", "metadata|namespace", UNKNOWN),
    "EGR-02": ("out", "spec|egressGateways|0|egressIP", UNKNOWN),
    "EGR-03": ("out", "spec|egressGateways", UNKNOWN),
    "LOG-01": ("card", "flowlog", UNKNOWN),
    "LOG-02": ("edge-fra1", LOGS, UNKNOWN),
    "TIM-01": ("edge-fra1", TIME, UNKNOWN),
    "BAK-02": ("dns-primary", "place|provider", UNKNOWN),
    "PAT-02": ("edge-fra1", "baseline|updates|unattended", UNKNOWN),
    "ACC-01": ("wall", "rules|0|sourceIps", UNKNOWN),
    "ACC-02": ("h1", "firewallIds", UNKNOWN),
    "ACC-03": ("h1", "sshKeys", UNKNOWN),
    "ACC-05": ("edge-fra1", SSHD, UNKNOWN),
    "SEC-01": ("apply", "stdin", UNKNOWN),
    "BAK-01": ("store", "backups", UNKNOWN),
    "PRO-01": ("h1", "deleteProtection", UNKNOWN),
    "AST-01": ("h1", "labels", UNKNOWN),
    "PAT-01": ("app", "spec|template|spec|containers|0|image", UNKNOWN),
    "CMD-01": ("apply", "connection|value|hostKey", UNKNOWN),
    "CMD-02": ("apply", "triggers", UNKNOWN),
    "CMD-03": ("apply", "create", UNKNOWN),
}

# control, edit, words of the reason: what is there, and is none of its business
NOT_APPLICABLE = [
    ("BGP-01", ("edge", UP.format("fra1", "t1", "md5_waived_because"), "their routers lack it"),
     "the reason the program gives"),
    ("BGP-02", ("edge", "fleet|rpki", {"applies": False, "not_applicable_because": "default only"}),
     "default only"),
    ("BGP-06", ("edge", UP.format("fra1", "t1", "kind"), "internal"), "a router of one's own"),
    ("RED-05", ("w1", "host|site", ABSENT), "nobody says where w1 stands"),
    ("PRO-01", ("h1", "labels|criticality", "low"), "criticality is low"),
    ("BAK-01", ("store", "labels|role", "worker"), "`up` makes it anew"),
    ("EGR-01", ("shop", "metadata|name", "kube-system"), "the cluster's own"),
    ("ACC-02", ("i1", "nic", ABSENT), "has no card of its own"),
]  # fmt: skip
