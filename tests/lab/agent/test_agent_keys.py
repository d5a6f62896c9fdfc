"""The deploy key and sshd over real SSH: the library's commands pass, a shell does not."""

import json
import subprocess

import pytest

AGENT = "/usr/local/sbin/loopback-agent"
SSHD = "/etc/ssh/sshd_config.d/10-loopback.conf"
AUTHORIZED = "/root/.ssh/authorized_keys"


@pytest.fixture
def deploy(edge, tmp_path):
    """A second key that may log in, and how to use it."""
    key = tmp_path / "deploy"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    edge.inside(f"cp -a {AUTHORIZED} /run/keys.aside && echo '{public}' >> {AUTHORIZED}")
    own = edge.ssh_words
    edge.deploy_words = [*own[:1], "-i", str(key), *own[3:]]
    yield public
    edge.inside(f"cp -a /run/keys.aside {AUTHORIZED}")


def test_a_restricted_key_runs_the_librarys_commands_only(edge, serving, deploy):
    def by_key(command: str, text: str = ""):
        return edge.lab.exec("ops", [*edge.deploy_words, command], text)

    assert by_key("echo shell").stdout == "shell\n"
    assert edge.enroll(deploy_key=deploy).returncode == 0
    assert edge.ssh("echo shell").stdout == "shell\n"
    for command in ("echo shell", "", f"{AGENT} apply; id", "cat /etc/shadow"):
        refused = by_key(command)
        assert refused.returncode == 2
        assert "this is the fleet's deploy key" in refused.stderr
        assert refused.stdout == ""
    applied = by_key(edge.words("apply", serving), json.dumps(serving))
    assert applied.returncode == 0, applied.stderr
    assert json.loads(applied.stdout)["state"] == "active"
    assert by_key(edge.words("confirm", serving)).returncode == 0
    request = json.dumps(edge.request(deploy_key=deploy))
    words = "enroll host=par1 instance=i-1 digest=0123456789ab"
    again = by_key(f"python3 -I -c 'import evil' {words}", request)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["os"] == "debian 13"
    report = by_key(f"{AGENT} report")
    assert json.loads(report.stdout)["active"] == serving["digest"]


def test_sshd_behind_a_socket_unit_survives_a_changed_drop_in(edge, serving):
    """A plain reload kills it there: it cannot bind the port that systemd holds."""
    edge.inside("systemctl stop ssh && systemctl start ssh.socket")
    try:
        text = edge.bundle()["files"][SSHD]["text"]
        edge.converge(edge.bundle({SSHD: text + "MaxAuthTries 4\n"}))
        assert "maxauthtries 4" in edge.inside("sshd -T")
        edge.converge(serving)
        assert edge.ssh("true").returncode == 0
    finally:
        edge.inside("systemctl stop ssh.socket ssh; systemctl start ssh")
