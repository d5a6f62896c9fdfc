"""A host with its baseline: its logs arrive at two sinks, whichever of them is down meanwhile."""

from __future__ import annotations

import json

import pytest

from loopback_iac.model import parse_baseline
from loopback_iac.render import baseline_secrets, packages_of, render_baseline
from tests.lab.certificates import Authority

LOGS = "/etc/loopback/logs.conf"
FLOWS = "/var/run/cilium/hubble/events.log"
HOST_NAME = "par1.example.net"
# sink -> the host of the lab it runs on, its port, the protocol it speaks
SINKS = {"near": ("w1", 6514, "relp"), "far": ("core", 6515, "syslog")}
SINK = """\
global(workDirectory="/run/sink" DefaultNetstreamDriverCAFile="/run/sink/ca.pem"
  DefaultNetstreamDriverCertFile="/run/sink/cert.pem"
  DefaultNetstreamDriverKeyFile="/run/sink/key.pem")
module(load="imrelp" tls.tlslib="openssl")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1"
  StreamDriver.AuthMode="x509/name" PermittedPeer=["par1.example.net"])
template(name="line" type="string" string="%hostname% %programname% %msg%\\n")
ruleset(name="kept") { action(type="omfile" file="/run/sink/log" template="line") }
"""
INPUT = {
    "relp": """input(type="imrelp" port="6514" ruleset="kept" tls="on" tls.caCert="/run/sink/ca.pem"
  tls.myCert="/run/sink/cert.pem" tls.myPrivKey="/run/sink/key.pem" tls.authMode="name"
  tls.permittedPeer=["par1.example.net"])
""",
    "syslog": 'input(type="imtcp" port="6515" ruleset="kept")\n',
}


class Sinks:
    """Two sinks on hosts of their own, and a host that is told of them."""

    def __init__(self, edge) -> None:
        self.edge, self.authority = edge, Authority()
        self.client = self.authority.sign(HOST_NAME)
        for name, (host, _, protocol) in SINKS.items():
            self.write(host, "ca.pem", self.authority.certificate)
            self.write(host, "conf", SINK + INPUT[protocol])
            self.name(name, f"{name}.example.net")
            self.start(name)

    def name(self, sink: str, shown: str) -> None:
        """What its certificate says."""
        signed = self.authority.sign(shown)
        self.write(SINKS[sink][0], "cert.pem", signed.certificate)
        self.write(SINKS[sink][0], "key.pem", signed.key)

    def address(self, host: str) -> str:
        """Of w1, its own; of the core, the one that par1 is plugged into."""
        uplink = self.edge.lab.topology.uplink
        return str(uplink(host).v4.ip) if host == "w1" else uplink("par1").gateway4

    def run(self, host: str, *argv: str, text: str = "") -> str:
        done = self.edge.lab.exec(host, list(argv), text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(self, host: str, name: str, text: str) -> None:
        self.run(host, "sh", "-c", f"mkdir -p /run/sink && cat > /run/sink/{name}", text=text)

    def start(self, name: str) -> None:
        unit = ("systemd-run", "-q", "--collect", "--unit=sink", "-p", "KillMode=mixed")
        daemon = ("rsyslogd", "-n", "-i", "/run/sink/pid", "-f", "/run/sink/conf")
        self.run(SINKS[name][0], *unit, *daemon)

    def stop(self, name: str) -> None:
        self.run(SINKS[name][0], "systemctl", "stop", "sink")

    def lines(self, name: str) -> str:
        return self.run(SINKS[name][0], "sh", "-c", "cat /run/sink/log 2>/dev/null; true")

    def tree(self, **servers: dict) -> dict:
        """The baseline as an operator writes it."""
        sinks = {
            name: {
                "address": self.address(host),
                "port": port,
                "provider": f"provider of {host}",
                "protocol": protocol,
                "server_name": f"{name}.example.net",
                "ca_certificate": self.authority.certificate,
                "client_certificate": self.client.certificate,
                "client_key": self.client.key,
                "kept_days": 90,
            }
            for name, (host, port, protocol) in SINKS.items()
        }
        waived = "a server of this test"
        time = {
            host: {
                "address": self.address(host),
                "operator": f"operator of {host}",
                "nts_waived_because": waived,
            }
            for host in ("w1", "core")
        }
        return {"logs": {"sinks": sinks, "files": [FLOWS]}, "time": {"servers": time | servers}}

    def bundle(self, tree: dict) -> dict:
        base = parse_baseline("baseline", tree)
        kept = render_baseline(base, "pop", "par1")
        own = self.edge.bundle()
        entries = {
            path: {"text": f.text, "mode": f.mode, "owner": f.owner, "group": f.group}
            for path, f in kept.files.items()
        }
        secrets = {"md5-par1": self.edge.md5} | baseline_secrets(base, tree, "pop")
        return self.edge.bundle(files=own["files"] | entries, secrets=secrets)

    def say(self, *words: str) -> None:
        """Entries of a unit of ours, as the journal takes them."""
        for word in words:
            self.edge.inside(
                "systemd-run -q --wait --collect --unit=loopback-said"
                f" sh -c 'echo {word}; echo kept from all, of {word} | systemd-cat -t stranger'"
            )

    def arrived(self, name: str, *words: str) -> bool:
        told = self.lines(name)
        return all(f" {word}\n" in told for word in words)


@pytest.fixture(scope="module")
def sinks(edge):
    made = Sinks(edge)
    asked = edge.request()["packages"]
    enrolled = edge.enroll(packages=sorted({*asked, *packages_of("baseline")}))
    assert enrolled.returncode == 0, enrolled.stderr
    yield made
    for name in SINKS:
        made.stop(name)
        made.run(SINKS[name][0], "rm", "-rf", "/run/sink")


@pytest.fixture(scope="module")
def kept(edge, sinks, baseline):
    """The host stands on a set with its baseline; without it afterwards."""
    bundle = sinks.bundle(sinks.tree())
    edge.converge(bundle)
    yield bundle
    edge.converge(baseline)
    state = edge.inside("systemctl is-active loopback-logs; true").strip()
    assert state == "inactive"
    assert edge.inside("ls /etc/loopback/logs 2>/dev/null; true") == ""


def test_what_a_host_logs_arrives_at_both_sinks_and_no_secret_does(edge, sinks, kept):
    edge.assert_serving(edge.bundle() | {"digest": kept["digest"]})
    sinks.say("first")
    # a login and a change of the host are told as well
    assert edge.ssh("true").returncode == 0
    for name in SINKS:
        edge.eventually(lambda name=name: sinks.arrived(name, "first"))
        edge.eventually(lambda name=name: "Accepted publickey for root" in sinks.lines(name))
        told = sinks.lines(name)
        assert "par1 sh first\n" in told
        assert "loopback-apply-" in told
        # the journal of somebody else's program stays here
        for secret in kept["secrets"].values():
            assert secret.strip() not in told
            assert secret.splitlines()[-1][:24] not in told


def test_lines_of_a_file_arrive_too_and_once_over_a_rotation(edge, sinks, kept):
    """As Hubble writes and rotates its export; the file was not there when the unit began."""
    folder, name = FLOWS.rsplit("/", 1)
    edge.inside(f"mkdir -p {folder}")

    def lines(part: str, count: int) -> list[str]:
        said = [f'{{"flow":"{part}-{n}"}}' for n in range(count)]
        edge.lab.exec("par1", ["sh", "-c", f"cat >>{FLOWS}"], "\n".join(said) + "\n")
        return said

    wanted = lines("before", 300)
    edge.inside(f"cd {folder} && mv {name} events-2026-11-22T02-00-00.000.log")
    wanted += lines("after", 300)

    def arrived(sink: str) -> list[str]:
        told = sinks.lines(sink).splitlines()
        mark = "par1 hubble-events "
        return [line.removeprefix(mark).strip() for line in told if line.startswith(mark)]

    for sink in SINKS:
        edge.eventually(lambda sink=sink: len(arrived(sink)) >= len(wanted), within_s=60)
        assert arrived(sink) == wanted
    edge.inside(f"rm -r {folder}")


@pytest.mark.parametrize("lost", sorted(SINKS))
def test_a_sink_that_is_down_gets_what_it_missed_and_the_other_does_not_wait(
    edge, sinks, kept, lost
):
    (other,) = SINKS.keys() - {lost}
    sinks.stop(lost)
    # RFC 5425 acknowledges nothing: the entry that finds the connection gone may go with it
    sinks.say(f"noticed-{lost}")
    edge.eventually(lambda: sinks.arrived(other, f"noticed-{lost}"))
    said = [f"{lost}-{n}" for n in range(3)]
    sinks.say(*said)
    edge.eventually(lambda: sinks.arrived(other, *said))
    # a restart in between, as an apply or a reboot makes it, loses none that waits
    edge.inside("systemctl restart loopback-logs")
    sinks.start(lost)
    sinks.say(f"after-{lost}")
    edge.eventually(lambda: sinks.arrived(lost, *said, f"after-{lost}"), within_s=60)
    assert SINKS[lost][2] == "syslog" or sinks.arrived(lost, f"noticed-{lost}")


def test_who_answers_under_another_name_gets_nothing_and_what_waits_comes_to_the_right_one(
    edge, sinks, kept
):
    sinks.stop("far")
    sinks.say("unnoticed")
    sinks.name("far", "stranger.example.net")
    sinks.start("far")
    since = edge.inside("date +%s").strip()
    sinks.say("withheld")
    # by its own account it has tried, and what it found was not to its taste
    log = f"journalctl -u loopback-logs --since @{since} -o cat"
    edge.eventually(lambda: "stranger.example.net" in edge.inside(log), within_s=60)
    assert not sinks.arrived("far", "withheld")
    sinks.stop("far")
    sinks.name("far", "far.example.net")
    sinks.start("far")
    edge.eventually(lambda: sinks.arrived("far", "withheld"), within_s=60)


SERVER = "local stratum 8\nallow\ncmdport 0\nbindcmdaddress /\npidfile /run/time.pid\n"


def test_the_declared_sources_of_time_are_asked_and_the_report_says_so(edge, sinks, kept):
    for host, _, _ in SINKS.values():
        sinks.write(host, "time.conf", SERVER)
        server = ("chronyd", "-x", "-n", "-f", "/run/sink/time.conf")
        sinks.run(host, "systemd-run", "-q", "--collect", "--unit=time", *server)
    try:
        found = sinks.tree()["time"]["servers"].values()
        addresses = {server["address"] for server in found}

        def holds() -> bool:
            # by itself it would ask again after a minute
            told = edge.inside("chronyc burst 4/4 >/dev/null; sleep 1; chronyc -n -c sources")
            return addresses <= reached(told) and edge.report()["time"]["in_step"]

        edge.eventually(holds, within_s=90)
        assert edge.report()["time"]["source"] in addresses
    finally:
        for host, _, _ in SINKS.values():
            sinks.run(host, "systemctl", "stop", "time")


def reached(told: str) -> set[str]:
    """Sources that answered one of the last eight questions: chronyc(1), `sources`."""
    rows = [line.split(",") for line in told.splitlines()]
    return {row[2] for row in rows if int(row[5], 8)}


def test_a_configuration_that_rsyslog_refuses_changes_nothing(edge, sinks, kept):
    broken = {**kept, "files": dict(kept["files"])}
    broken["files"][LOGS] = kept["files"][LOGS] | {
        "text": kept["files"][LOGS]["text"] + 'action(type="om'
    }
    refused = edge.apply(edge.bundle(files=broken["files"], secrets=kept["secrets"]))
    assert refused.returncode == 1
    assert f"rsyslogd refuses {LOGS}" in refused.stderr
    assert edge.report()["active"] == kept["digest"]
    assert json.loads(edge.inside("cat /var/lib/loopback/state.json"))["pending"] is None
