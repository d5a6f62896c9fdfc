"""What has to be installed before files of ours make sense."""

PACKAGES = {
    "pop": (
        "bird2",
        "chrony",
        "haproxy",
        "iproute2",
        "nftables",
        "prometheus-bird-exporter",
        "prometheus-node-exporter",
        "python3",
        "wireguard-tools",
    ),
    "worker": ("iproute2", "nftables", "python3", "wireguard-tools"),
    "egress": ("bird2",),
    "member": ("iproute2", "python3"),
    "gateway": ("iproute2", "nftables", "python3"),
    "arbiter": ("ca-certificates", "python3"),
    "knot": ("knot", "python3"),
    "nsd": ("nsd", "python3"),
    "baseline": (
        "ca-certificates",
        "chrony",
        "openssh-client",
        "python3",
        "rsyslog",
        "rsyslog-openssl",
        "rsyslog-relp",
    ),
    "updates": ("python3", "unattended-upgrades"),
    "primary": (
        "iproute2",
        "knot",
        "nftables",
        "openssl",
        "prometheus-node-exporter",
        "python3",
        "python3-cryptography",
        "python3-dnspython",
    ),
}

HELD = frozenset({"bird2", "chrony", "haproxy", "nftables", "wireguard-go", "wireguard-tools"})
"""What the agent holds as it installs it: `loopback update` brings it, no unattended upgrade."""


def packages_of(*roles: str) -> tuple[str, ...]:
    """Debian packages that the files of a host's roles need, sorted."""
    return tuple(sorted({package for role in roles for package in PACKAGES[role]}))
