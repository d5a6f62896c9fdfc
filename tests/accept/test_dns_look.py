"""The comparer that a primary carries: its program on Debian's own Python, between real servers."""

from __future__ import annotations

import re

import pytest

from loopback_iac import agent
from loopback_iac.lab.names.machine import SECRET, hosts
from loopback_iac.remote.dns_look import DIFFERENT, metrics_name
from loopback_iac.remote.dns_program import program_files
from loopback_iac.render import transfer_secret
from loopback_iac.render.look import KEY, LISTED, PROGRAM, STATE
from tests.accept.network import wait_for
from tests.accept.parsers import silent
from tests.accept.test_alerts import OPERATE, rules
from tests.golden import primaries

ZONE = "example.net."
PLACE = f"/usr/local/lib/loopback/{PROGRAM}.pyz"
METRICS = "/var/lib/loopback"  # a directory of the host's own here
UNIT = "etc/systemd/system/loopback-dns-check.service"
EXPOSURE = 15  # tenths, of systemd-analyze: 1.5 of 10
AUDIT = ["loopback-audit", transfer_secret(SECRET, "audit")]
VERDICT = re.compile(r'_verdict\{zone="([^"]+)",server="([^/"]+)[^}]*verdict="(\w+)"\} 1\n')


class Looking:
    """A primary with its name servers, and the program where `enroll` puts it."""

    def __init__(self, made):
        self.made, self.primary, self.servers = made, made.primary, made.servers
        root = self.primary.image.root
        (root / PLACE.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / PLACE.lstrip("/")).write_bytes(agent.pack(program_files()))

    def look(self):
        # a name server has told everybody, or it would be seen to lag
        for zone in (ZONE, "example.org."):
            self.made.wait_served(zone)
        return self.primary.run("/usr/bin/python3", "-IB", PLACE, LISTED, KEY, METRICS)

    def transfer(self, server, key=AUDIT):
        return self.primary.ask(ZONE, "AXFR", server.address, transfer=True, key=key)

    def path(self, name):
        return self.primary.ground / name.lstrip("/")

    def metrics(self, zone=ZONE):
        return self.path(f"{METRICS}/{metrics_name(zone)}")

    def verdicts(self, zone=ZONE):
        found = VERDICT.findall(self.metrics(zone).read_text())
        return {server: verdict for _, server, verdict in found}


@pytest.fixture(scope="module")
def looking(image, tmp_path_factory):
    case = primaries.load("two-servers")
    with hosts(image, tmp_path_factory.mktemp("look"), case) as made:
        for machine in (made.primary, *made.servers.values()):
            machine.start()
        wait_for(lambda: made.primary.serial(ZONE) > 0)
        made.primary.knotc("zone-notify")
        yield Looking(made)


ALL_EQUAL = {"primary": "equal", "fra1": "equal", "par1": "equal"}


def test_servers_that_have_what_is_declared_are_equal(looking):
    done = looking.look()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert looking.verdicts() == looking.verdicts("example.org.") == ALL_EQUAL
    assert looking.metrics().stat().st_mode & 0o777 == 0o644  # the exporter is somebody else
    text = looking.metrics().read_text()
    assert AUDIT[1] not in text
    named = {n for rule in rules("dns_alerts") for n in re.findall(r"loopback_\w+", rule["expr"])}
    assert named <= set(re.findall(r"^loopback_\w+", text, re.MULTILINE))


def test_a_record_that_one_server_alters_is_named(looking):
    nsd = looking.servers["par1"]
    conf = nsd.ground / "etc/nsd/nsd.conf"
    own = conf.read_text()
    text = "\n".join(looking.transfer(nsd)["answer"])
    assert "203.0.113.10" in text
    (nsd.ground / "var/lib/nsd/altered").write_text(text.replace("203.0.113.10", "203.0.113.66"))
    head, sender = own[: own.index("pattern:")], looking.made.case.hosts["primary"]["ipv4"]
    nsd.stop()
    conf.write_text(
        f'{head}zone:\n  name: "{ZONE}"\n  zonefile: "/var/lib/nsd/altered"\n'
        f"  provide-xfr: {sender} {AUDIT[0]}\n"
    )
    nsd.start()
    wait_for(lambda: nsd.serial(ZONE) > 0)
    done = looking.primary.run("/usr/bin/python3", "-IB", PLACE, LISTED, KEY, METRICS)
    nsd.stop()
    conf.write_text(own)
    nsd.start()
    assert done.returncode == DIFFERENT
    assert looking.verdicts() == ALL_EQUAL | {"par1": "tampered"}
    assert re.search(r"example\.net\. par1/par1 \S+: www\.example\.net\. A: ", done.stderr)
    assert AUDIT[1] not in done.stdout + done.stderr
    assert looking.look().returncode == 0


def test_what_is_declared_and_not_signed_yet_diverges_everywhere(looking):
    before = looking.made.zone_text(ZONE)
    looking.made.put(ZONE, before + "later.example.net. 300 A 203.0.113.99\n")
    done = looking.look()
    looking.made.put(ZONE, before)
    assert done.returncode == DIFFERENT
    assert set(looking.verdicts().values()) == {"diverged"}
    assert done.stderr.count("later.example.net. A") == 4  # fra1 by either family
    assert looking.verdicts("example.org.") == ALL_EQUAL


def test_a_zone_that_cannot_be_read_keeps_no_other_from_being_looked_at(looking):
    before = looking.made.zone_text("example.org.")
    stale = looking.metrics("example.org.").stat().st_mtime_ns
    gone = looking.metrics("gone.example.")
    gone.write_text("of a zone that is declared no more")
    looking.made.put("example.org.", 'broken TXT "\n')
    done = looking.look()
    looking.made.put("example.org.", before)
    assert done.returncode == 2
    assert "example.org.: " in done.stderr
    assert looking.verdicts() == ALL_EQUAL
    assert looking.metrics("example.org.").stat().st_mtime_ns == stale  # it grows old
    assert not gone.exists()


def test_without_a_key_nothing_is_looked_at_and_metrics_grow_old(looking):
    kept, old = looking.path(KEY).read_text(), looking.metrics().read_text()
    looking.path(KEY).write_text("no key")
    done = looking.primary.run("/usr/bin/python3", "-IB", PLACE, LISTED, KEY, METRICS)
    looking.path(KEY).write_text(kept)
    assert done.returncode not in (0, DIFFERENT)
    assert looking.metrics().read_text() == old


def test_the_key_reads_zones_from_the_primary_and_does_nothing_else(looking):
    primary = looking.made.case.hosts["primary"]["ipv4"]
    for name, server in looking.servers.items():
        assert len(looking.transfer(server)["answer"]) > 20, name
        catalog = "catalog.invalid."
        told = looking.primary.ask(catalog, "AXFR", server.address, transfer=True, key=AUDIT)
        assert "error" in told, name
        other = [AUDIT[0], transfer_secret("wrong", "audit")]
        assert "error" in looking.transfer(server, other), name
        # in the hands of a name server it opens nothing, at the primary nor at another
        others = [primary, *(s.address for n, s in looking.servers.items() if n != name)]
        for address in others:
            assert "error" in server.ask(ZONE, "AXFR", address, transfer=True, key=AUDIT), name


def test_systemd_takes_the_units_and_they_are_as_shut_as_those_outside(image):
    rendered = primaries.render(primaries.load("two-servers"))["primary"].files
    for path in ("loopback-dns-check.service", "loopback-dns-check.timer"):
        image.write(f"/etc/systemd/system/{path}", rendered[f"/etc/systemd/system/{path}"].text)
    told = image.run(
        "systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
        "loopback-dns-check.service", "loopback-dns-check.timer",
    )  # fmt: skip
    assert silent(told, "systemd-analyze verify") == []
    words = ("security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}")
    told = image.run("systemd-analyze", *words, f"/{UNIT}")
    assert told.returncode == 0, told.stdout + told.stderr
    outside = (OPERATE / "systemd/loopback-dns-check@.service").read_text()
    shut = outside[outside.index("UMask=") :]
    text = rendered[f"/{UNIT}"].text
    assert text.endswith(shut)
    assert f"%S/{STATE}" in text
    assert f"SuccessExitStatus={DIFFERENT}" in text
    user = rendered["/etc/sysusers.d/loopback.conf"].text
    assert user == (OPERATE / "systemd/loopback-dns-check.sysusers").read_text().split("\n", 1)[1]
