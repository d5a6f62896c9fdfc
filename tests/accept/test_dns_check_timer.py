"""The comparer by a timer: its units through systemd of the image, its command on real servers."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from loopback_iac.remote.dns_look import DIFFERENT
from tests.accept.name_servers import HOST, KEY_LINE, SECRET, ZONE
from tests.accept.parsers import silent
from tests.accept.served_zone import TEXT, put, text_ds
from tests.accept.test_alerts import OPERATE, rules
from tests.prometheus import ensure_prometheus

SYSTEMD = OPERATE / "systemd"
UNIT = "loopback-dns-check@"
PROGRAM = "/opt/loopback/bin/loopback"
NAME = ZONE.rstrip(".")
EXPOSURE = 15  # tenths, of systemd-analyze: 1.5 of 10
THESE = {"PYTHONPATH": str(OPERATE.parent)}  # the sources under test, and nothing else
# root without any capability, as far as that goes without systemd
BARE = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


def test_systemd_takes_the_units_and_finds_them_shut(image):
    image.write(PROGRAM, "#!/bin/sh\n", "0755")
    for kind in ("service", "timer"):
        path = f"{UNIT}.{kind}"
        image.write(f"/etc/systemd/system/{path}", (SYSTEMD / path).read_text())
    units = [f"{UNIT}{NAME}.{kind}" for kind in ("service", "timer")]
    told = image.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units)
    assert silent(told, "systemd-analyze verify") == []
    words = ("security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}")
    told = image.run("systemd-analyze", *words, f"/etc/systemd/system/{UNIT}.service")
    assert told.returncode == 0, told.stdout + told.stderr
    user = SYSTEMD / "loopback-dns-check.sysusers"
    image.write("/etc/sysusers.d/loopback-dns-check.conf", user.read_text())
    assert image.run("systemd-sysusers").returncode == 0
    assert image.run("id", "-un", "loopback-audit").stdout == "loopback-audit\n"
    (calendar,) = setting("timer", "OnCalendar")
    assert image.run("systemd-analyze", "calendar", calendar).returncode == 0


def setting(kind, name):
    """What a unit says of one setting, lines that go on joined."""
    text = (SYSTEMD / f"{UNIT}.{kind}").read_text().replace("\\\n", "")
    return re.findall(rf"(?m)^{name}=(.*)$", text)


class Place:
    """A machine that looks, below a folder: the command as systemd would start it."""

    def __init__(self, folder, fleet):
        self.etc, self.state = folder / "etc/loopback-dns-check", folder / "state"
        for made in (self.etc, self.state / "loopback-dns-check"):
            made.mkdir(parents=True)
        (self.etc / f"{NAME}.zone").write_text(TEXT)
        self.specifiers = {"i": NAME, "E": folder / "etc", "S": self.state, "d": self.etc}
        (self.etc / "audit.key").write_text(KEY_LINE)
        self.metrics = self.state / "loopback-dns-check" / f"{NAME}.prom"
        self.environment = example()
        servers = {"fra1=192.0.2.53": fleet.plain, "par1=192.0.2.54": fleet.signer}
        for word, daemon in servers.items():
            self.swap("SERVERS", word, f"{daemon.name}={HOST}:{daemon.port}")
        self.swap("SERVERS", "198.51.100.53", f"{HOST}:{fleet.nsd.port}")
        self.swap("MORE", "--parent 203.0.113.100", f"--ds '{text_ds(fleet.ds[0])}'")

    def swap(self, name, old, new):
        assert old in self.environment[name]
        self.environment[name] = self.environment[name].replace(old, new)

    def expand(self, text):
        return re.sub(r"%(\w)", lambda found: str(self.specifiers[found[1]]), text)

    def argv(self):
        """ExecStart in words: a variable without braces becomes several."""
        (line,) = setting("service", "ExecStart")
        found = []
        for word in shlex.split(self.expand(line)):
            several = word.startswith("$") and not word.startswith("${")
            found += shlex.split(self.environment[word[1:]]) if several else [word]
        assert found[0] == PROGRAM
        return [*BARE, str(Path(sys.executable).with_name("loopback")), *found[1:]]

    def look(self):
        return subprocess.run(self.argv(), capture_output=True, text=True, check=False, env=THESE)


def example():
    """The file of the example, as EnvironmentFile= reads it."""
    lines = (SYSTEMD / "example.net.env").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    return {name: "".join(shlex.split(value)) for name, value in pairs}


@pytest.fixture
def place(fleet, tmp_path):
    return Place(tmp_path, fleet)


def test_what_the_timer_starts_looks_at_servers_and_leaves_metrics(fleet, place):
    (key,) = setting("service", "LoadCredential")
    assert place.expand(key) == f"audit.key:{place.etc / 'audit.key'}"
    (environment,) = setting("service", "EnvironmentFile")
    assert place.expand(environment) == str(place.etc / f"{NAME}.env")
    done = place.look()
    assert done.returncode == 0, done.stdout + done.stderr
    text = place.metrics.read_text()
    assert text.count('verdict="equal"} 1\n') == 3
    assert place.metrics.stat().st_mode & 0o777 == 0o644  # the exporter is somebody else
    check = [str(ensure_prometheus() / "promtool"), "check", "metrics"]
    told = subprocess.run(check, input=text, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    named = {n for rule in rules("dns_alerts") for n in re.findall(r"loopback_\w+", rule["expr"])}
    assert named <= set(re.findall(r"^loopback_\w+", text, re.MULTILINE))
    fleet.plain.reload(fleet.altered(lambda zone: put(zone, "www", "A")))
    done = place.look()
    assert done.returncode == int(*setting("service", "SuccessExitStatus")) == DIFFERENT
    assert re.search(r'server="[^"]*/plain".*verdict="tampered"} 1\n', place.metrics.read_text())
    assert "www.example.net." in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_what_cannot_look_fails_and_leaves_the_old_metrics_to_grow_old(place):
    place.metrics.write_text("old")
    (place.etc / "audit.key").write_text("no key")
    done = place.look()
    assert (done.returncode, place.metrics.read_text()) == (2, "old")
    assert "--tsig-file" in done.stderr


def test_a_zone_file_that_is_none_is_no_difference(place):
    place.metrics.write_text("old")
    (place.etc / f"{NAME}.zone").write_text("@ SOA a.\n")
    done = place.look()
    assert (done.returncode, place.metrics.read_text()) == (1, "old")
    assert setting("service", "SuccessExitStatus") == [str(DIFFERENT)]
