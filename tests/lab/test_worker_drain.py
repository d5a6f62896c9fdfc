"""A worker takes itself out: what its machine's replacement does first."""

from __future__ import annotations

import json
import time

AGENT = "/usr/local/sbin/loopback-agent"
VIP = "203.0.113.10"
CA = "/etc/ssl/certs/loopback-lab-ca.pem"


def served_by(fleet) -> set[str]:
    """Workers that answer, over so many new connections that each would have its turn."""
    return {str(fleet.ask("c-fra", VIP)["worker"]) for _ in range(12)}


def stream_to(fleet, worker: str) -> str:
    """Begin a request that goes on, answered by one worker; out: the file its answer goes to."""
    for number in range(40):
        file = f"/run/stream-{number}"
        curl = f"curl -sN --cacert {CA} --resolve www.example.net:443:{VIP}"
        fleet.lab.exec(
            "c-fra",
            [
                "sh",
                "-c",
                f"{curl} https://www.example.net/stream >{file} 2>&1 & echo $! >{file}.pid",
            ],
        )
        line = wait_line(fleet, file)
        if json.loads(line)["worker"] == worker:
            return file
        end_stream(fleet, file)
    raise AssertionError(f"no connection went to {worker}")


def lines_of(fleet, file: str) -> list[str]:
    return fleet.lab.exec("c-fra", ["cat", file]).stdout.splitlines()


def wait_line(fleet, file: str, beyond: int = 0) -> str:
    """The next line of a stream after `beyond` of them."""
    deadline = time.monotonic() + 60
    while len(lines := lines_of(fleet, file)) <= beyond + 1:
        assert time.monotonic() < deadline, lines
        time.sleep(0.1)
    return lines[0]


def end_stream(fleet, file: str) -> None:
    fleet.lab.exec("c-fra", ["sh", "-c", f"kill $(cat {file}.pid); rm {file} {file}.pid"])


def test_a_drained_worker_ends_what_it_began_and_begins_nothing(lab, fleet):
    deadline = time.monotonic() + 60
    while served_by(fleet) != {"w1", "w2"}:
        assert time.monotonic() < deadline
    file = stream_to(fleet, "w1")
    try:
        said = lab.exec("w1", [AGENT, "drain", "2"])
        assert said.returncode == 0, said.stderr
        assert json.loads(said.stdout)["drained"] is True
        assert served_by(fleet) == {"w2"}
        wait_line(fleet, file, beyond=len(lines_of(fleet, file)))
        report = json.loads(lab.exec("w1", [AGENT, "report"]).stdout)
        assert report["drain"] == ["operator"]
    finally:
        end_stream(fleet, file)
        back = lab.exec("w1", [AGENT, "undrain"])
    assert back.returncode == 0, back.stderr
    deadline = time.monotonic() + 60
    while served_by(fleet) != {"w1", "w2"}:
        assert time.monotonic() < deadline
    assert lab.exec("w1", ["nft", "list", "table", "inet", "loopback-drain"]).returncode != 0
