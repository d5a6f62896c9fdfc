"""What the agent refuses before it changes anything; the host serves on and the text says so."""

import json

import pytest

BIRD, HAPROXY = "/etc/bird/bird.conf", "/etc/haproxy/haproxy.cfg"
NFT, SSHD = "/etc/loopback/nftables.conf", "/etc/ssh/sshd_config.d/10-loopback.conf"
TUNNEL = "/etc/wireguard/lb-w1.conf"


def refuse(edge, serving, bundle, *words):
    """The apply is refused, says the words, and says that the host is unchanged."""
    done = edge.apply(bundle)
    assert done.returncode == 1, done.stdout
    for word in (*words, f"host: unchanged, serving {serving['digest'][:12]}"):
        assert word.lower() in done.stderr.lower(), done.stderr


ROUTES, WATCH = "/etc/loopback/routes.json", "/etc/loopback/watch.json"
SYSCTL, CHRONY = "/etc/loopback/sysctl.conf", "/etc/chrony/conf.d/loopback.conf"
UNIT = "/etc/systemd/system/loopback-watch.service"
# what is asked, file, right text, wrong text, words of the complaint
BROKEN = {
    "bird": (BIRD, "protocol device {", "protocol devise {", "bird refuses", "syntax error"),
    "haproxy": (HAPROXY, "mode tcp", "mode tpc", "haproxy refuses", "unknown"),
    "nft": (NFT, "policy drop", "policy dorp", "nft refuses", "dorp"),
    "sshd": (SSHD, "PasswordAuthentication", "PasswordAuthentification", "sshd refuses", "1:"),
    "wg": (TUNNEL, "vsJ1oQ7r", "vsJ1", "wg refuses", "Key is not the correct length"),
    "sysctl": (SYSCTL, "all.rp_filter", "all.rp_fitler", "line 1", "rp_fitler"),
    "routes": (ROUTES, '"203.0.113.10"', '"203.0.114.10"', "203.0.114.10"),
    "watch": (WATCH, '"all"', '"some"', "mode 'some'"),
    "chrony": (CHRONY, "minsources 1", "minsauces 1", "chronyd refuses"),
    "unit": (UNIT, "ExecStart=", "ExecStrat=", "systemd-analyze"),
}


@pytest.mark.parametrize("daemon", BROKEN)
def test_a_file_its_daemon_refuses_changes_nothing(edge, serving, daemon):
    path, right, wrong, *words = BROKEN[daemon]
    text = edge.bundle()["files"][path]["text"]
    assert right in text
    refuse(edge, serving, edge.bundle({path: text.replace(right, wrong)}), path, *words)


def test_a_path_outside_the_list_is_refused(edge, serving):
    for path in ("/etc/passwd", "/etc/loopback/../passwd", "/etc/wireguard/lb-x/../../shadow"):
        refuse(edge, serving, edge.bundle({path: "x\n"}), path, "not a path this agent writes")
    own = "/etc/systemd/system/loopback-recover.service"
    refuse(edge, serving, edge.bundle({own: "x\n"}), "not a path this agent writes")


def test_an_unknown_mark_and_a_missing_secret_are_refused(edge, serving):
    text = edge.bundle()["files"][BIRD]["text"]
    for wrong, words in (
        (text.replace("@{secret:", "@{vault:"), "is no mark the agent knows"),
        (text.replace("md5-par1", "md5-other"), "needs the secret 'md5-other'"),
    ):
        refuse(edge, serving, edge.bundle({BIRD: wrong}), BIRD, words)


def test_a_secret_that_would_leave_its_quotes_is_refused_and_not_shown(edge, serving):
    value = 'abc"; protocol static evil { ipv4; }'
    bundle = edge.bundle(secrets={"md5-par1": value})
    done = edge.apply(bundle)
    assert done.returncode == 1
    assert "position 4" in done.stderr
    assert "evil" not in done.stderr + done.stdout


def test_a_mode_that_would_show_a_secret_is_refused(edge, serving):
    bundle = edge.bundle()
    bundle["files"][BIRD]["mode"] = "0644"
    refuse(edge, serving, bundle, BIRD, "0640 root bird")


def test_a_bundle_for_another_host_is_refused(edge, serving):
    refuse(edge, serving, edge.bundle(host="fra1"), "'fra1'", "enrolled as pop 'par1'")


@pytest.mark.parametrize("trap", ["file", "folder"])
def test_a_symlink_in_the_way_is_refused_and_its_target_untouched(edge, serving, trap):
    path = "/etc/chrony/conf.d/loopback.conf" if trap == "file" else "/etc/chrony/conf.d"
    edge.inside("mkdir -p /run/victim && echo keep > /run/victim/loopback.conf")
    target = "/run/victim/loopback.conf" if trap == "file" else "/run/victim"
    edge.inside(f"mv {path} {path}.aside && ln -s {target} {path}")
    try:
        text = {"/etc/chrony/conf.d/loopback.conf": "minsources 2\n"}
        refuse(edge, serving, edge.bundle(text), path, "symlink")
        assert edge.inside("cat /run/victim/loopback.conf") == "keep\n"
    finally:
        edge.inside(f"rm {path} && mv {path}.aside {path}")


@pytest.mark.parametrize(
    "folder", ["/run/loopback/stage", "/var/lib/loopback/sets", "/etc/chrony/conf.d"]
)
def test_a_full_disk_is_refused_before_anything_is_changed(edge, serving, folder):
    """A small tmpfs over one of the three places, filled to the brim."""
    edge.inside(
        f"mkdir -p {folder} && cp -a {folder} /run/aside"
        f" && mount -t tmpfs -o size=64k none {folder}"
        f" && cp -a /run/aside/. {folder} && (head -c 60000 /dev/zero > {folder}/.filler || true)"
    )
    try:
        text = {"/etc/chrony/conf.d/loopback.conf": "minsources 2\n"}
        refuse(edge, serving, edge.bundle(text), "no room", folder, "bytes free")
    finally:
        edge.inside(f"umount {folder}; rm -rf /run/aside")


def test_a_write_that_fails_while_the_copies_are_laid_out_changes_nothing(edge, serving):
    """Room enough, but one of three folders is read-only: no copy stays, no drain begins."""
    before = edge.withdrawals()
    texts = edge.bundle()["files"]
    remark = {path: texts[path]["text"] + "# 2\n" for path in (BIRD, HAPROXY, SSHD)}
    edge.inside("mount --bind /etc/ssh/sshd_config.d /etc/ssh/sshd_config.d")
    edge.inside("mount -o remount,bind,ro /etc/ssh/sshd_config.d")
    try:
        refuse(edge, serving, edge.bundle(remark), SSHD, "read-only")
    finally:
        edge.inside("umount /etc/ssh/sshd_config.d")
    assert edge.inside("find /etc -name '*loopback-new*'") == ""
    assert edge.withdrawals() == before


def test_a_firewall_that_would_lock_this_connection_out_is_refused(edge, serving):
    text = edge.bundle()["files"][NFT]["text"].replace("198.18.251.2", "198.18.251.77")
    bundle = edge.bundle({NFT: text}, admin_sources=["198.18.251.77/32"])
    refuse(edge, serving, bundle, "198.18.251.2", "none of admin_sources", NFT)
    bundle = edge.bundle({NFT: text.replace("251.77", "251.2") + "\n"}, ssh_port=2222)
    refuse(edge, serving, bundle, "came to port 22", "2222")


def test_no_admin_sources_at_all_is_refused(edge, serving):
    refuse(edge, serving, edge.bundle(admin_sources=[]), "admin_sources is empty")


def test_sshd_that_would_let_nobody_in_is_refused(edge, serving):
    for line in ("PermitRootLogin no", "PubkeyAuthentication no", "Port 2222"):
        refuse(
            edge,
            serving,
            edge.bundle({SSHD: f"{line}\n"}),
            SSHD,
            "sshd" if "Port" in line else line.split()[0],
        )


def test_a_flush_of_foreign_tables_is_refused(edge, serving):
    text = edge.bundle()["files"][NFT]["text"]
    for line in ("flush ruleset\n", "table inet other { }\n"):
        refuse(
            edge, serving, edge.bundle({NFT: line + text}), "only the table inet loopback is ours"
        )


def test_what_is_no_bundle_is_refused(edge, serving):
    for text in ("", "{", "[]", json.dumps({"format": 2})):
        done = edge.ssh(edge.words("apply", serving), text)
        assert done.returncode == 1
        assert "host: unchanged, serving" in done.stderr
