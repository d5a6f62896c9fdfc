"""One PoP of the lab under the agent's hands, over real SSH, before any Pulumi.

The bundle is written by hand (folder par1/, files as deployed) so that the agent is tested by what
the contract says and not by what the renderer happens to write. At the end everything is released:
the host is as enrolled, for whoever comes next.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loopback_iac.agent import BOOT, agent_sha256, build
from loopback_iac.lab import Lab, bring_up, leftovers, take_down
from tests.lab.conftest import lab_of_tests

FILES = Path(__file__).parent / "par1"
AGENT = "/usr/local/sbin/loopback-agent"
OUTPOST, BARE = "testagent", "testbare"
HOST, ADDRESS, NEIGHBOR = "par1", "198.18.2.11", "par1_4"
MODES = {"etc/wireguard": "0600", "etc/ssh": "0600", "etc/bird": "0640", "etc/haproxy": "0640"}
GROUPS = {"etc/bird": "bird", "etc/haproxy": "haproxy"}
PACKAGES = ["bird2", "chrony", "haproxy", "nftables", "wireguard-tools"]


def _by_folder(path: str, table: dict[str, str], default: str) -> str:
    return next((value for folder, value in table.items() if path.startswith(folder)), default)


def files_as_written() -> dict:
    """Path -> file entry of a bundle, from the folder."""
    found = {}
    for file in sorted(p for p in FILES.rglob("*") if p.is_file()):
        path = str(file.relative_to(FILES))
        found["/" + path] = {
            "text": file.read_text(),
            "mode": _by_folder(path, MODES, "0644"),
            "owner": "root",
            "group": _by_folder(path, GROUPS, "root"),
        }
    return found


class Edge:
    """The host as an operator meets it: over SSH from the workstation, and as a router sees it."""

    def __init__(self, lab) -> None:
        self.lab, self.address = lab, ADDRESS
        keys = lab.paths.keys
        self.ssh_words = ["ssh", "-i", str(lab.paths.operator_key), "-o", "IdentitiesOnly=yes"]
        self.ssh_words += ["-o", f"UserKnownHostsFile={lab.paths.known_hosts}"]
        self.ssh_words += ["-o", "BatchMode=yes", "-o", "ConnectTimeout=30", f"root@{ADDRESS}"]
        self.md5 = (keys / "md5-par1").read_text().strip()

    def ssh(self, command: str, text: str = "", timeout_s: float = 90):
        """A command over a connection of its own; the host key is pinned."""
        return self.lab.exec("ops", [*self.ssh_words, command], text, timeout_s)

    def inside(self, command: str) -> str:
        """A shell line inside the host, without SSH; it has to succeed."""
        return self._enter(HOST, ["sh", "-c", command])

    def _enter(self, host: str, argv: list[str]) -> str:
        done = self.lab.exec(host, argv)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def request(self, **other) -> dict:
        """An enroll request."""
        agent = build()
        return {
            "format": 1, "host": HOST, "role": "pop", "packages": PACKAGES, "key_epochs": [1],
            "agent": base64.b64encode(agent).decode(), "agent_sha256": agent_sha256(agent),
            "deploy_key": None, "debian": ["13"],
        } | other  # fmt: skip

    def enroll(self, **other):
        """Enroll as the components do."""
        return self.ssh(self.enroll_text(HOST), json.dumps(self.request(**other)))

    @staticmethod
    def enroll_text(host: str) -> str:
        """The command's text as the components write it."""
        return f"python3 -I -c '{BOOT}' enroll host={host} instance=i-1 digest=0123456789ab"

    def bundle(self, changes: dict[str, str | None] | None = None, **other) -> dict:
        """The hand-written bundle with some texts changed (None takes a file out)."""
        files = files_as_written()
        for path, text in (changes or {}).items():
            if text is None:
                files.pop(path)
            else:
                mode = {"mode": "0644", "owner": "root", "group": "root"}
                files[path] = files.get(path, mode) | {"text": text}
        bundle = {
            "format": 1, "host": HOST, "role": "pop", "files": files,
            "secrets": {"md5-par1": self.md5}, "admin_sources": ["198.18.251.2/32"],
            "ssh_port": 22, "drain_s": 0.3, "confirm_s": 30,
        } | other  # fmt: skip
        text = json.dumps(bundle, sort_keys=True)
        return bundle | {"digest": other.get("digest", hashlib.sha256(text.encode()).hexdigest())}

    def apply(self, bundle: dict):
        """Apply over one connection."""
        return self.ssh(self.words("apply", bundle), json.dumps(bundle))

    def confirm(self, bundle: dict):
        """Confirm over another one."""
        return self.ssh(self.words("confirm", bundle))

    def words(self, verb: str, bundle: dict) -> str:
        """The command's text."""
        return f"{AGENT} {verb} host={HOST} instance=i-1 digest={bundle['digest']}"

    def converge(self, bundle: dict) -> dict:
        """Apply and confirm, both fine."""
        applied = self.apply(bundle)
        assert applied.returncode == 0, applied.stderr
        confirmed = self.confirm(bundle)
        assert confirmed.returncode == 0, confirmed.stderr
        return json.loads(applied.stdout)

    def take_off(self) -> None:
        """Nothing of ours on the host, whatever a test left there."""
        self.ssh(f"{AGENT} rollback")
        active = self.report()["active"]
        if active:
            done = self.ssh(f"{AGENT} release host={HOST} digest={active}")
            assert done.returncode == 0, done.stderr

    def report(self) -> dict:
        """The host's own account."""
        done = self.ssh(f"{AGENT} report")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start_worker(self) -> None:
        """A stand-in worker on the host itself, so that this PoP needs no other host."""
        self.inside(
            "mkdir -p /run/worker; systemctl kill -s KILL stand-in-worker 2>/dev/null;"
            " systemctl stop stand-in-worker 2>/dev/null;"
            " systemctl reset-failed stand-in-worker 2>/dev/null;"
            " systemd-run -q --collect --unit=stand-in-worker"
            " python3 -m http.server 8443 --bind 127.0.0.1 --directory /run/worker"
        )

    def gate(self) -> str:
        """Where the gate stands."""
        text = self.inside("cat /run/loopback/gate/gate4-v4.conf")
        return "closed" if text == "# withdrawn\n" else "deprefer" if "bgp_c" in text else "open"

    def announced(self) -> bool:
        """Whether the upstream router holds a route from this PoP."""
        return "203.0.113.0/24" in self.bird_at_t1(f"show route protocol {NEIGHBOR}")

    def bird_at_t1(self, command: str) -> str:
        """BIRD's answer on the upstream router."""
        return self._enter("t1", ["birdc", *command.split()])

    def withdrawals(self) -> int:
        """How many withdrawals the upstream router got from this PoP since the session came up."""
        for line in self.bird_at_t1(f"show protocols all {NEIGHBOR}").splitlines():
            if line.strip().startswith("Import withdraws:"):
                return int(line.split()[2])
        raise AssertionError("no session")

    def eventually(self, fact: Callable[[], object], within_s: float = 60) -> None:
        """Wait for a fact; the test fails when it does not come."""
        end = time.monotonic() + within_s
        while not fact():
            assert time.monotonic() < end, f"not within {within_s} s; {self.report()}"
            time.sleep(0.05)

    def assert_serving(self, bundle: dict) -> None:
        """The host stands on this bundle, announces, and answers clients."""
        self.eventually(lambda: self.gate() == "open")
        state = json.loads(self.inside("cat /var/lib/loopback/state.json"))
        assert (state["active"], state["pending"]) == (bundle["digest"], None)
        assert set(state["drain"].values()) == {None}
        paths = sorted(bundle["files"])
        texts = self.inside("cat " + " ".join(paths))
        applied = "".join(bundle["files"][path]["text"] for path in paths)
        assert texts == applied.replace("@{secret:md5-par1}", self.md5)
        self.eventually(self.announced)
        ask = "from urllib.request import urlopen as u; print(u('http://203.0.113.10:443/').status)"
        assert self.inside(f'timeout 9 python3 -c "{ask}"') == "200\n"


def pytest_collection_modifyitems(items) -> None:
    """The bare PoP's lab comes and goes before the other is there: hosts cost watches of files."""
    places = [n for n, item in enumerate(items) if FILES.parent in item.path.parents]
    ours = [items[n] for n in places]
    ours.sort(key=lambda item: not item.path.name.startswith("test_bare"))
    for n, item in zip(places, ours, strict=True):
        items[n] = item


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab of one PoP, apart from the other tests': both run at the same time."""
    yield from lab_of_tests(OUTPOST, "outpost", FILES.parent)


@pytest.fixture(scope="package")
def edge(lab) -> Iterator[Edge]:
    """The host enrolled, with a stand-in worker on itself; released at the end."""
    host = Edge(lab)
    host.start_worker()
    enrolled = host.enroll()
    assert enrolled.returncode == 0, enrolled.stderr
    host.take_off()
    yield host
    host.take_off()
    host.inside("systemctl stop stand-in-worker")


@pytest.fixture(scope="module")
def bare() -> Iterator[Edge]:
    """The same PoP as a hoster delivers it: no package of ours, and a mirror inside the lab."""
    take_down(BARE)
    lab, _ = bring_up(BARE, "bare-outpost")
    yield Edge(lab)
    take_down(BARE)
    assert not leftovers(BARE)


@pytest.fixture(scope="package")
def baseline(edge: Edge) -> dict:
    """The bundle the host serves before and after each test."""
    bundle = edge.bundle()
    edge.converge(bundle)
    edge.assert_serving(bundle)
    return bundle


@pytest.fixture
def serving_once(edge: Edge, baseline: dict) -> dict:
    """The baseline, for tests that take it off."""
    return baseline


@pytest.fixture
def serving(edge: Edge, baseline: dict) -> Iterator[dict]:
    """The host serves the baseline when a test ends, whatever it tried: so it did when it began."""
    yield baseline
    edge.assert_serving(baseline)
