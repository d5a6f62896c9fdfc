"""A real HAProxy with the rendered text: whose address workers see, and what death looks like."""

from __future__ import annotations

import signal
import socket
import sys

import pytest

from loopback_iac.model import parse_fleet, tunnel
from tests.accept.network import be_patient, namespaces, wait_for
from tests.accept.parsers import STAGE, stage
from tests.golden import case as golden

CLIENTS = ("198.51.100.2", "2001:db8:c1::2")
VIPS = ("203.0.113.10", "2001:db8:100::10")
SOCKET = "/run/haproxy/loopback.sock"


class Pop:
    """HAProxy of fra1 with both workers' tunnel addresses on the same loopback."""

    def __init__(self, image, space, **more):
        self.space, self.image = space, image
        case = golden.load("two-pops")
        case.fleet["services"]["https"] |= more
        be_patient(case.fleet)
        fleet = parse_fleet(golden.NAME, case.fleet)
        stage(image, golden.render(case)["fra1"])
        self.workers = {w: str(tunnel(fleet, "fra1", w).worker_v4) for w in fleet.workers}
        for address in (*self.workers.values(), *VIPS, *CLIENTS):
            length = "128 nodad" if ":" in address else "32"
            space.ip(f"addr add {address}/{length} dev lo")
        (image.root / "run/haproxy").mkdir(parents=True, exist_ok=True)
        self.served = {w: space.serve(w, a, 8443) for w, a in self.workers.items()}
        self.told = {}
        if port := more.get("health", {}).get("ready_port"):
            for worker, address in self.workers.items():
                program = READY.format(address=address, port=port)
                self.told[worker] = space.start(sys.executable, "-c", program)
                assert self.told[worker].stdout.readline() == "ready\n"
        self.daemon = space.start(
            "haproxy", "-Ws", "-f", f"{STAGE}/etc/haproxy/haproxy.cfg", root=image.root
        )
        wait_for(lambda: self.states() == {"w1": "UP", "w2": "UP"})

    def stat(self):
        """Rows of `show stat` as the watch user's socket gives them."""
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(30)
            talk.connect(str(self.image.root) + SOCKET)
            talk.sendall(b"show stat\n")
            text = b""
            while part := talk.recv(65536):
                text += part
        head, *rows = text.decode().lstrip("# ").splitlines()
        return [dict(zip(head.split(","), row.split(","), strict=False)) for row in rows if row]

    def states(self):
        try:
            rows = self.stat()
        except OSError:
            return {}
        found = {r["svname"]: r["status"] for r in rows if r["pxname"] == "web.https"}
        return {name: found.get(name, "") for name in self.workers}


@pytest.fixture
def pop(image):
    with namespaces("pop") as (space,):
        yield Pop(image, space)


def test_the_worker_sees_the_client_and_the_pop(pop):
    for vip, client in zip(VIPS, CLIENTS, strict=True):
        answers = pop.space.ask(vip, 443, client, 8)
        assert {a["worker"] for a in answers} == {"w1", "w2"}
        assert all(a["client"] == client and a["pop"] == "fra1" for a in answers)


def test_a_dead_worker_costs_no_connection(pop):
    pop.served["w1"].kill()
    answers = pop.space.ask(VIPS[0], 443, CLIENTS[0], 50)
    assert [a["worker"] for a in answers if isinstance(a, dict)] == ["w2"] * 50
    wait_for(lambda: pop.states() == {"w1": "DOWN", "w2": "UP"})


def test_the_last_resort_serves_while_the_checked_servers_are_out(pop):
    """The state in which HAProxy alone closes each connection at once: no server is usable."""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.connect(str(pop.image.root) + "/run/haproxy/admin.sock")
        talk.sendall(b"set server web.https/w1 state maint; set server web.https/w2 state maint\n")
        while talk.recv(100):  # who hangs up before the last answer gets the first word done only
            pass
    assert set(pop.states().values()) == {"MAINT"}
    answers = pop.space.ask(VIPS[1], 443, CLIENTS[1], 6)
    assert {a["worker"] for a in answers} == {"w1", "w2"}
    assert {a["client"] for a in answers} == {CLIENTS[1]}


def test_without_the_last_resort_it_closes_at_once(pop):
    """What the extra backend is there for: the same state without it is an empty answer."""
    path = pop.image.root / (STAGE + "/etc/haproxy/haproxy.cfg").lstrip("/")
    lines = [line for line in path.read_text().splitlines() if "use_backend" not in line]
    path.write_text("\n".join(lines) + "\n")
    for worker in pop.served.values():
        worker.kill()
    pop.daemon.send_signal(signal.SIGUSR2)  # the master: nsenter and chroot became it
    wait_for(lambda: set(pop.states().values()) <= {"DOWN"} and pop.states() != {})
    assert pop.space.ask(VIPS[0], 443, CLIENTS[0], 2) == ["Empty", "Empty"]


def test_a_client_holds_so_many_connections_and_no_more(image):
    with namespaces("pop") as (space,):
        pop = Pop(image, space, limits={"concurrent_per_client": 3})
        for vip, client in zip(VIPS, CLIENTS, strict=True):
            answers = pop.space.hold(vip, 443, client, 5)
            assert [isinstance(a, dict) for a in answers] == [True, True, True, False, False]
        # the same /64, and another one that has its own count
        space.ip("addr add 2001:db8:c1::3/128 dev lo nodad")
        space.ip("addr add 2001:db8:c2::2/128 dev lo nodad")
        held = pop.space.start(
            sys.executable, "-c", HOLD.format(vip=VIPS[1], client=CLIENTS[1], count=3)
        )
        assert held.stdout.readline() == "held\n"
        (sibling,) = pop.space.ask(VIPS[1], 443, "2001:db8:c1::3")
        assert not isinstance(sibling, dict)
        (stranger,) = pop.space.ask(VIPS[1], 443, "2001:db8:c2::2")
        assert stranger["client"] == "2001:db8:c2::2"
        # what was closed makes room again
        held.kill()
        held.wait()
        wait_for(lambda: isinstance(pop.space.ask(VIPS[1], 443, CLIENTS[1])[0], dict))
        front = next(r for r in pop.stat() if (r["pxname"], r["svname"]) == ("https", "FRONTEND"))
        assert int(front["dcon"]) >= 5


HOLD = """
import socket, time
kept = [socket.create_connection(("{vip}", 443), 30, ("{client}", 0)) for _ in range({count})]
assert all(one.recv(4096) for one in kept)
print("held", flush=True)
time.sleep(600)
"""


def test_a_worker_that_says_it_leaves_is_left_while_it_serves(image):
    with namespaces("pop") as (space,):
        pop = Pop(image, space, health={"ready_port": 8082})
        assert {a["worker"] for a in space.ask(VIPS[0], 443, CLIENTS[0], 8)} == {"w1", "w2"}
        pop.told["w1"].send_signal(signal.SIGUSR1)
        wait_for(lambda: pop.states() == {"w1": "DOWN", "w2": "UP"})
        assert f"{pop.workers['w1']}:8443 " in space.run("ss", "-Hlnt").stdout  # it listens still
        answers = space.ask(VIPS[0], 443, CLIENTS[0], 20)
        assert [a["worker"] for a in answers if isinstance(a, dict)] == ["w2"] * 20
        pop.told["w1"].send_signal(signal.SIGUSR1)
        wait_for(lambda: pop.states() == {"w1": "UP", "w2": "UP"})


def test_a_worker_that_hangs_as_it_is_asked_is_left(image):
    with namespaces("pop") as (space,):
        pop = Pop(image, space, health={"ready_port": 8082})
        pop.told["w2"].send_signal(signal.SIGSTOP)
        wait_for(lambda: pop.states() == {"w1": "UP", "w2": "DOWN"})
        pop.told["w2"].send_signal(signal.SIGCONT)


READY = """
import http.server, signal
code = 200

def turn(*_):
    global code
    code = 503 if code == 200 else 200

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(code if self.path == "/ping" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass

signal.signal(signal.SIGUSR1, turn)
with http.server.ThreadingHTTPServer(("{address}", {port}), Ready) as server:
    print("ready", flush=True)
    server.serve_forever()
"""
