"""PoPs that are name servers, at an anycast address of their own: what comes and goes with what."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import pytest

from loopback_iac.lab.drill.ground import PREFIXES, Ground
from loopback_iac.lab.drill.pops import send
from loopback_iac.lab.drill.runner import await_ready
from loopback_iac.lab.drill.witness import RouteWatch, count_falls
from loopback_iac.lab.namespaces import enter
from loopback_iac.lab.topology import NAMES4, NAMES6
from tests.lab.project import close_ssh, edge_otherwise, open_ssh, says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopback_iac.lab import Lab
    from loopback_iac.lab.drill.witness import RouteChange
    from tests.lab.conftest import Deployed

HERE = Path(__file__).parent
OPERATE = HERE.parents[2] / "operate"
AT4, AT6 = "198.19.53.53", "2001:db8:153::53"
TRIES = 4
SERVED = {"fra1": "knot", "par1": "nsd"}
SOCKETS = {"knot": "/run/knot/knot.sock", "nsd": "/run/nsd/nsd.ctl"}
PRIMARY = "svc1"
ZONE = """\
$TTL 300
@ NS ns1
@ NS ns2
ns1 A 198.19.53.53
ns1 AAAA 2001:db8:153::53
ns2 A 198.18.250.12
www A 203.0.113.10
"""
DECLARED = f"""\
signer = BareMetalHost(
    "{PRIMARY}",
    {{
        "ipv4": "ADDRESS",
        "host_key": "HOSTKEY",
        "ssh_private_key": config.require_secret("sshPrivateKey"),
    }},
)
dns = HiddenPrimary(
    "dns",
    {{
        "host": signer.host,
        "admin_sources": config.require_object("adminSources"),
        "transfer_secret": config.require_secret("fleetSecret"),
        "servers": {{name: {{"host": host(name, "pop"), "on_pop": True}} for name in pops}},
        "zones": {{"example.net": {{"text": {ZONE!r}}}}},
    }},
)
"""


SERVICE = """\
"name_service": {
            "vip": "dns",
            "primary": signer.host,
            "transfer_secret": config.require_secret("fleetSecret"),
        },
        """
PREFIXED = f'"prefixes": {{"n4": {{"cidr": "{NAMES4}"}}, "n6": {{"cidr": "{NAMES6}"}}, '


@dataclass
class Names:
    """The fleet whose PoPs are name servers."""

    lab: Lab

    def ground(self, client: str = "c-fra") -> Ground:
        return Ground(self.lab, client)

    def processes(self, pop: str) -> list[int]:
        return self.ground().processes(pop, f"{SERVED[pop]}.service")

    def towards(self, router: str, prefix: object) -> str | None:
        family = "-6" if ":" in str(prefix) else "-4"
        argv = ["ip", family, "-json", "route", "show", "exact", str(prefix)]
        listed = json.loads(says(self.lab, router, *argv) or "[]")
        return listed[0].get("dev") if listed else None

    def led(self) -> bool:
        """Each upstream sends names, over both families, to the PoP next to it."""
        near = {"t1": "fra1", "t2": "par1"}
        return all(self.towards(r, p) == pop for r, pop in near.items() for p in (NAMES4, NAMES6))


class Questions:
    """Questions of a client while the block runs."""

    def __init__(self, lab: Lab, client: str) -> None:
        argv = [*enter(lab.paths, client), sys.executable, str(HERE / "questions.py")]
        self.running = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.answers: list[list] = []

    def __enter__(self) -> Self:
        wanted = {"servers": [AT4, AT6], "name": "www.example.net.", "type": "A", "rate": 25}
        assert self.running.stdin
        assert self.running.stdout
        self.running.stdin.write(json.dumps(wanted) + "\n")
        self.running.stdin.flush()
        assert self.running.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        self.running.send_signal(signal.SIGTERM)
        out, _ = self.running.communicate(timeout=60)
        self.answers = json.loads(out)

    def after(self, since_ns: int) -> list[list]:
        return [one for one in self.answers if one[0] >= since_ns]


class Seen(NamedTuple):
    """What one play showed: routes of names and of ingress that changed, and who answered."""

    moved: tuple[RouteChange, ...]
    ingress: tuple[RouteChange, ...]
    heard: list[list]


def until(fact: Callable[[], bool], within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def names(fleet: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Names]:
    lab, uplink = fleet.lab, fleet.lab.topology.uplink(PRIMARY)
    declared = DECLARED.replace("ADDRESS", str(uplink.v4.ip)).replace(
        "HOSTKEY", open_ssh(lab, PRIMARY)
    )
    stack = edge_otherwise(
        tmp_path_factory.mktemp("names"),
        ("AnycastEdge, BareMetalHost,", "AnycastEdge, BareMetalHost, HiddenPrimary,"),
        ("def host(name: str, role", "@cache\ndef host(name: str, role"),
        ("edge = AnycastEdge(\n", f"{declared}edge = AnycastEdge(\n"),
        ('"prefixes": {', f"{SERVICE}{PREFIXED}"),
        ('"vips": {', f'"vips": {{"dns": {{"addresses": ["{AT4}", "{AT6}"]}}, '),
        (
            "return {**pops[name], ",
            'return {**pops[name], "name_server": "nsd" if name == "par1" else "knot", ',
        ),
        (
            "    },\n)\npulumi.export",
            "    },\n    pulumi.ResourceOptions(depends_on=[dns]),\n)\npulumi.export",
        ),
    )
    done = fleet.loopback("up", "--yes", stack=stack)
    try:
        assert done.returncode == 0, done.stderr
        made = Names(lab)
        until(made.led)
        await_ready(made.ground())
        yield made
    finally:
        done = fleet.loopback("up", "--yes")
        assert done.returncode == 0, done.stderr
        for host in (PRIMARY, *SERVED):
            found = lab.exec(host, ["systemctl", "is-active", "knot", "nsd"]).stdout.split()
            assert "active" not in found, host
        assert AT4 not in says(lab, "fra1", "nft", "list", "ruleset")
        close_ssh(lab, PRIMARY)
        await_ready(Ground(lab, "c-fra"))


def test_d1_the_near_pop_answers_signed_over_both_families(names):
    for client, pop in (("c-fra", "fra1"), ("c-par", "par1")):
        with Questions(names.lab, client) as asked:
            time.sleep(1)
        assert {tuple(one[1:]) for one in asked.answers} == {
            (AT4, pop, "NOERROR", True),
            (AT6, pop, "NOERROR", True),
        }


def test_each_pop_tells_what_its_name_server_counts(names):
    """In Prometheus' words, by its own exporter: all that the dashboard of names asks for."""
    text = (OPERATE / "names_dashboard.json").read_text()
    wanted = set(re.findall(r"loopback_name_\w+", text))
    assert len(wanted) == 3
    for host in SERVED:
        url = f"http://{names.lab.topology.uplink(host).v4.ip}:9100/metrics"

        def told(host: str = host, url: str = url) -> bool:
            found = re.findall(
                r"^(loopback_name_\w+)\{", says(names.lab, host, "curl", "-s", url), re.MULTILINE
            )
            return set(found) == wanted

        until(told)


def test_the_metrics_have_the_counts_and_no_way_to_a_key(names):
    """Its control socket would give the secrets of its keys to whoever may open it."""
    for host, software in SERVED.items():
        conf = f"/etc/{software}/{software}.conf"
        assert "secret" in says(names.lab, host, "cat", conf)
        (pid,) = names.ground().processes(host, "loopback-metrics.service")[:1]
        groups = says(names.lab, host, "ps", "-o", "supgrp=", "-p", main_pid(names, host))
        assert software not in groups.split(",")
        assert {"bird", "haproxy"} <= set(groups.split(","))
        # root itself, in the namespace that the unit has
        for path in (conf, "/etc/bird/bird.conf"):
            assert not Path(f"/proc/{pid}/root{path}").is_file(), path
        group, mode = says(names.lab, host, "stat", "-c", "%G %a", SOCKETS[software]).split()
        assert (group in (software, "root"), mode[-1]) == (True, "0")


def main_pid(names: Names, host: str) -> str:
    return says(
        names.lab, host, "systemctl", "show", "loopback-metrics", "-p", "MainPID", "--value"
    )


def undisturbed(names: Names, play: Callable[[], Seen]) -> Seen:
    """What was seen while no session fell: nothing here breaks one, but a machine that stands still
    does, and routes follow.
    """
    ground, fell = names.ground(), ()
    for _ in range(TRIES):
        until(names.led)
        await_ready(ground)
        before = ground.standing()
        seen = play()
        fell = count_falls(before, ground.standing()).bfd
        if not fell:
            return seen
    pytest.fail(f"sessions fell each time, at last {', '.join(fell)}")


def lose(
    names: Names, client: str, break_it: Callable[[], None], repair: Callable[[], None]
) -> None:
    """Break the name server next to a client while it asks, and repair it when it is away."""
    near, away = ("t1", "fra1") if client == "c-fra" else ("t2", "par1")
    space = names.lab.paths.namespace_path(near)

    def play() -> Seen:
        with (
            RouteWatch(space, (NAMES4, NAMES6)) as moved,
            RouteWatch(space, PREFIXES) as ingress,
            Questions(names.lab, client) as asked,
        ):
            time.sleep(1)
            since_ns = time.monotonic_ns()
            try:
                break_it()
                until(
                    lambda: all(
                        names.towards(near, p) not in (None, away) for p in (NAMES4, NAMES6)
                    )
                )
                time.sleep(1)
            finally:
                repair()
            until(names.led)
            time.sleep(1)
        return Seen(moved.changes, ingress.changes, asked.after(since_ns))

    seen = undisturbed(names, play)
    assert {c.family for c in seen.moved if c.towards not in (None, away)} == {4, 6}
    # ingress of the PoP that lost its name server was not moved
    assert seen.ingress == ()
    heard = seen.heard
    # whoever answered, answered right
    assert {(rcode, signed) for _, _, nsid, rcode, signed in heard if nsid} == {("NOERROR", True)}
    for server in (AT4, AT6):
        told = [one[2] for one in heard if one[1] == server]
        assert set(told) - {""} == {"fra1", "par1"}
        assert set(told[-10:]) == {away}
        silent = [one for one in heard if one[1] == server and not one[2]]
        spread = (silent[-1][0] - silent[0][0]) / 1e6 if silent else 0
        told_of = f"{len(silent)} of {len(told)} without an answer, in {spread:.0f} ms"
        sys.stdout.write(f"\nnames at {away} lost, {server}: {told_of}\n")


def test_d1_a_killed_name_server_hands_its_questions_to_the_next_pop(names):
    def kill() -> None:
        send(names.processes("fra1"), signal.SIGKILL)
        says(names.lab, "fra1", "systemctl", "stop", "knot")  # else systemd starts it at once

    lose(names, "c-fra", kill, lambda: says(names.lab, "fra1", "systemctl", "start", "knot"))


def test_d1_a_name_server_that_hangs_is_given_up_and_comes_back(names):
    frozen = names.processes("par1")
    stop, go_on = (partial(send, frozen, number) for number in (signal.SIGSTOP, signal.SIGCONT))
    lose(names, "c-par", stop, go_on)


def test_d1_a_dead_proxy_leaves_names_where_they_are(names):
    ground = names.ground()

    def play() -> Seen:
        with (
            RouteWatch(names.lab.paths.namespace_path("t1"), (NAMES4, NAMES6)) as moved,
            Questions(names.lab, "c-fra") as asked,
        ):
            send(ground.processes("fra1", "haproxy.service"), signal.SIGKILL)
            until(lambda: ground.route_towards(4) != "fra1" and ground.route_towards(6) != "fra1")
            await_ready(ground)
        return Seen(moved.changes, (), asked.answers)

    seen = undisturbed(names, play)
    assert seen.moved == ()
    assert {tuple(one[2:]) for one in seen.heard} == {("fra1", "NOERROR", True)}
