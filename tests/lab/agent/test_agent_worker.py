"""A worker: tunnels and the guard of our ports, nothing else of the host is touched."""

import hashlib
import json

HOST, ADDRESS = "w1", "198.18.11.21"
AGENT = "/usr/local/sbin/loopback-agent"
UNIT = (
    "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/sbin/nft -f {}\n"
    "[Install]\nWantedBy=multi-user.target\n"
)
SETTINGS = "sysctl -a 2>/dev/null | grep -E '^net.ipv4.conf.(all|eth0)'"
UNTOUCHED = f"{SETTINGS}; systemctl is-active chrony || true"
GUARD = "/etc/loopback/nftables.conf"
FILES = {
    "/etc/sysusers.d/loopback.conf": 'u loopback-watch - "Loopback health gate"\n',
    "/etc/tmpfiles.d/loopback.conf": "d /run/loopback/gate 0755 loopback-watch loopback-watch -\n",
    "/etc/loopback/sysctl.conf": "net.ipv4.conf.lb-par1.rp_filter = 0\n",
    GUARD: (
        "destroy table inet loopback\ntable inet loopback {\n\tchain guard {\n"
        "\t\ttype filter hook prerouting priority raw; policy accept;\n"
        '\t\tiifname != "lb-par1" tcp dport 8443 drop\n\t}\n}\n'
    ),
    "/etc/loopback/watch.json": json.dumps(
        {"format": 1, "host": HOST, "role": "worker", "tunnels": ["lb-par1"]}
    ),
    "/etc/systemd/system/loopback-nftables.service": UNIT.format(GUARD),
    "/etc/systemd/system/loopback-sysctl.service": UNIT.replace(
        "/usr/sbin/nft -f {}", "/usr/lib/systemd/systemd-sysctl /etc/loopback/sysctl.conf"
    ),
    "/etc/systemd/system/loopback-watch.service": (
        f"[Service]\nExecStart={AGENT} watch\nUser=loopback-watch\nRestart=always\n"
        "RestartSec=100ms\n[Install]\nWantedBy=multi-user.target\n"
    ),
    "/etc/wireguard/lb-par1.conf": (
        "[Interface]\nAddress = 10.88.0.1/31\nListenPort = 51821\nTable = off\n"
        "PostUp = wg set %i private-key /etc/loopback/keys/wireguard-1.key\n"
        "[Peer]\nPublicKey = vsJ1oQ7r0l1kG9s0o3jJYx3m1V1o8Xq0H1cN6m0o7VY=\n"
        "AllowedIPs = 10.88.0.0/31\n"
    ),
}


def bundle_of(files: dict[str, str]) -> dict:
    """A worker's bundle."""
    entries = {
        path: {"text": text, "mode": "0600" if "wireguard" in path else "0644",
               "owner": "root", "group": "root"}
        for path, text in files.items()
    }  # fmt: skip
    bundle = {
        "format": 1, "host": HOST, "role": "worker", "files": entries, "secrets": {},
        "admin_sources": ["198.18.251.2/32"], "ssh_port": 22, "drain_s": 0, "confirm_s": 30,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(bundle, sort_keys=True).encode()).hexdigest()
    return bundle | {"digest": digest}


def test_a_worker_is_enrolled_applied_healed_and_released(edge):
    ssh = [*edge.ssh_words[:-1], f"root@{ADDRESS}"]

    def on_worker(command: str, text: str = ""):
        return edge.lab.exec("ops", [*ssh, command], text)

    def did(command: str, text: str = "") -> str:
        done = on_worker(command, text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    request = edge.request(host=HOST, role="worker", packages=["nftables", "wireguard-tools"])
    before = did(UNTOUCHED)
    facts = json.loads(did(edge.enroll_text(HOST), json.dumps(request)))
    assert set(facts["wireguard"]) == {"1"}

    bundle = bundle_of(FILES)
    words = f"host={HOST} instance=i-9 digest={bundle['digest']}"
    applied = json.loads(did(f"{AGENT} apply {words}", json.dumps(bundle)))
    assert (applied["state"], applied["drained"]) == ("unconfirmed", False)
    assert json.loads(did(f"{AGENT} confirm {words}"))["state"] == "active"

    report = json.loads(did(f"{AGENT} report"))
    assert set(report["files"].values()) == {"as applied"}
    assert report["tunnels"]["lb-par1"]["present"] is True
    assert (report["bgp"], report["workers"], report["gates"]) == (None, None, {})
    assert did("sysctl -n net.ipv4.conf.lb-par1.rp_filter") == "0\n"

    far = FILES | {"/etc/loopback/sysctl.conf": "net.ipv4.ip_forward = 1\n"}
    foreign = bundle_of(far)
    refused = on_worker(
        f"{AGENT} apply host={HOST} instance=i-9 digest={foreign['digest']}", json.dumps(foreign)
    )
    assert refused.returncode == 1
    assert "on a worker only net.ipv*.conf.<our tunnel> is ours" in refused.stderr

    number = "cat /sys/class/net/lb-par1/ifindex 2>/dev/null || true"
    tunnel = did(number)
    did("pkill -KILL wireguard-go")
    edge.eventually(lambda: did(number) not in ("", tunnel))

    assert json.loads(did(f"{AGENT} release {words}"))["state"] == "released"
    assert "lb-par1" not in did("ls /sys/class/net")
    assert did("nft list tables") == ""
    after = did(UNTOUCHED)
    assert after == before
