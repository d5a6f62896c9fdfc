"""Files of the baseline before the daemons that will read them, and the line of its targets."""

from __future__ import annotations

import re
import shlex

import pytest

from loopback_iac.model import parse_baseline
from loopback_iac.render import baseline_secrets, render_backup_line, render_baseline
from tests.lab.certificates import Authority
from tests.unit.components.test_baseline import tree

CMS = "-----BEGIN CMS-----\nAAAA\n-----END CMS-----\n"


@pytest.fixture
def kept(image):
    """Every file as it stands on a primary, beside both kinds of sink and a server without NTS."""
    authority = Authority()
    signed = authority.sign("h1.example.net")
    declared = tree()
    near, far = declared["logs"]["sinks"]["near"], declared["logs"]["sinks"]["far"]
    near |= {"client_certificate": signed.certificate, "client_key": signed.key}
    far |= {"protocol": "syslog", "address": "2001:db8::62", "server_name": "far.example.net"}
    near["ca_certificate"] = far["ca_certificate"] = authority.certificate
    declared["logs"]["files"] = ["/var/run/cilium/hubble/events.log"]
    declared["time"]["servers"]["t1"]["nts_waived_because"] = "it offers none"
    base = parse_baseline("base", declared)
    secrets = baseline_secrets(base, declared, "primary")
    files = {}
    for path, file in render_baseline(base, "primary", "h1").files.items():
        found = re.fullmatch(r"@\{secret:(.+)\}", file.text)
        files[path] = secrets[found.group(1)] if found else file.text
        image.write(path, files[path], file.mode)
    (image.root / "var/lib/loopback-logs").mkdir(exist_ok=True)
    yield files
    for path in files:
        (image.root / path.lstrip("/")).unlink(missing_ok=True)


def test_every_daemon_takes_its_file(image, kept):
    words = ("rsyslogd", "-N1", "-iNONE", "-f")
    told = image.run(*words, "/etc/loopback/logs.conf")
    assert told.returncode == 0, told.stderr
    assert "error" not in told.stderr
    told = image.run("chronyd", "-p")
    assert told.returncode == 0, told.stderr
    assert "server t0.example.net iburst nts" in told.stdout.splitlines()
    assert "server t1.example.net iburst" in told.stdout.splitlines()
    told = image.run("apt-config", "dump")
    assert (told.returncode, told.stderr) == (0, "")
    assert 'APT::Periodic::Unattended-Upgrade "1";' in told.stdout
    units = [path for path in kept if path.startswith("/etc/systemd/system/")]
    told = image.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units)
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('type="omrelp"', 'type="omrelq"'),
        ("tls.caCert", "tls.caCerts"),
        ("near-ca.pem", "none-ca.pem"),
        ('type="imfile"', 'type="imfiles"'),
    ],
)
def test_a_file_that_rsyslog_would_not_run_is_noticed(image, kept, right, wrong):
    text = kept["/etc/loopback/logs.conf"]
    assert right in text
    image.write("/etc/loopback/broken.conf", text.replace(right, wrong, 1))
    told = image.run("rsyslogd", "-N1", "-iNONE", "-f", "/etc/loopback/broken.conf")
    assert told.returncode != 0 or "error" in told.stderr


SINK = """\
global(workDirectory="/run/sink" DefaultNetstreamDriverCAFile="/run/sink/ca.pem"
  DefaultNetstreamDriverCertFile="/run/sink/cert.pem"
  DefaultNetstreamDriverKeyFile="/run/sink/key.pem")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" port="6514")
template(name="line" type="string" string="%hostname% %programname%%msg%\\n")
action(type="omfile" file="/run/sink/log" template="line")
"""
# as Hubble writes and rotates: a folder that comes late, a file that is renamed and begun anew
SHIPPED = r"""
ip link set lo up; cd /run/sink; rm -rf /run/cilium
rsyslogd -n -i /run/sink/pid -f /run/sink/conf & sink=$!
rsyslogd -n -iNONE -f /run/sink/shipper & shipper=$!
sleep 1; mkdir -p /run/cilium/hubble; cd /run/cilium/hubble
seq -f '{"flow":"before-%g"}' 1 200 >>events.log; sleep 1
mv events.log events-2026-11-22T02-00-00.000.log
seq -f '{"flow":"after-%g"}' 1 200 >>events.log
for n in $(seq 100); do [ "$(wc -l </run/sink/log)" -ge 800 ] && break; sleep 0.2; done
sleep 1; kill $shipper $sink; wait; cat /run/sink/log
"""


def test_lines_of_a_file_arrive_once_over_a_rotation(image):
    authority = Authority()
    signed = authority.sign("sink.example.net")
    declared = tree()
    for n, sink in enumerate(declared["logs"]["sinks"].values()):
        sink |= {"protocol": "syslog", "address": f"127.0.0.{n + 1}", "port": 6514}
        sink |= {"server_name": "sink.example.net", "ca_certificate": authority.certificate}
        sink.pop("client_certificate", None)
        sink.pop("client_key", None)
    declared["logs"]["files"] = ["/var/run/cilium/hubble/events.log"]
    files = render_baseline(parse_baseline("base", declared), "pop", "h1").files
    for path, file in files.items():
        image.write(path, file.text, file.mode)
    image.empty("/run/sink")
    image.empty("/var/lib/loopback-logs")
    parts = {"conf": SINK, "ca.pem": authority.certificate, "cert.pem": signed.certificate}
    # the journal of this test is none: its input is left out, nothing else
    whole = files["/etc/loopback/logs.conf"].text
    kept = [line for line in whole.splitlines() if "imjournal" not in line]
    parts |= {"key.pem": signed.key, "shipper": "\n".join(kept) + "\n"}
    for name, text in parts.items():
        image.write(f"/run/sink/{name}", text)
    told = image.run("sh", "-c", SHIPPED)
    arrived = [line for line in told.stdout.splitlines() if line.startswith("h1 hubble-events")]
    said = [f'{{"flow":"{part}-{n}"}}' for part in ("before", "after") for n in range(1, 201)]
    # both sinks are one here: each line comes once for each
    assert sorted(arrived) == sorted(f"h1 hubble-events{text}" for text in said * 2), told.stderr
    for path in files:
        (image.root / path.lstrip("/")).unlink(missing_ok=True)


def test_the_command_of_a_target_keeps_whole_messages_only_and_never_twice_under_a_name(image):
    line = render_backup_line("ssh-ed25519 AAAA somebody")
    command = re.search(r'command="(.*)" ssh-ed25519 AAAA somebody loopback-backup', line).group(1)
    image.empty("/home/keeper")

    def send(text: str):
        inside = f"cd /home/keeper && exec sh -c {shlex.quote(command)}"
        return image.run("sh", "-c", inside, stdin=text)

    done = send(CMS)
    assert done.returncode == 0, done.stderr
    kept = list((image.root / "home/keeper/loopback-backups").iterdir())
    assert [path.read_text() for path in kept] == [CMS]
    assert done.stdout.strip() in kept[0].name
    assert kept[0].stat().st_mode & 0o777 == 0o400
    for text in ("", "no message\n", CMS[:-5], CMS + "more\n", CMS + CMS[:30]):
        assert send(text).returncode != 0, text
    assert list((image.root / "home/keeper/loopback-backups").iterdir()) == kept
