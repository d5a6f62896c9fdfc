"""A real Prometheus on the workstation scrapes the deployed fleet as operate/ tells it to."""

from __future__ import annotations

import json
import re
import subprocess
import time
from urllib.parse import urlencode

import pytest

from loopback_iac.lab.entering import workstation
from loopback_iac.lab.topology import OPS
from tests.accept.test_alerts import OPERATE, dashboard_queries, rules
from tests.prometheus import ensure_prometheus

NAME = re.compile(r"\b(?:loopback|node|haproxy|bird)_\w+|\bup\b")
PORTS = (8405, 9100, 9324)
ADDRESS = "198.18.1.11"


class Prometheus:
    """One that listens on the workstation only."""

    def __init__(self, lab, folder):
        self.lab = lab
        text = (OPERATE / "prometheus.yml").read_text().replace("15s", "1s")
        (folder / "prometheus.yml").write_text(text)
        (folder / "alerts.yml").write_text((OPERATE / "alerts.yml").read_text())
        argv = [*workstation(lab.paths), "env", "GOMAXPROCS=1"]
        argv += [str(ensure_prometheus() / "prometheus"), "--web.listen-address=127.0.0.1:9090"]
        argv += [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)

    def get(self, path, **words):
        """The `data` of an answer of its HTTP API; None while it starts."""
        url = f"http://127.0.0.1:9090/api/v1/{path}?{urlencode(words)}"
        told = self.lab.exec(OPS, ["curl", "--silent", "--max-time", "5", url]).stdout
        try:
            answer = json.loads(told)
        except json.JSONDecodeError:
            return None  # it is not ready yet, and says so in plain text
        assert answer["status"] == "success", (words, answer)
        return answer["data"]

    def ask(self, query):
        """Labels and value of each series a query finds."""
        data = self.get("query", query=query)
        return (
            [(each["metric"], float(each["value"][1])) for each in data["result"]] if data else []
        )

    def eventually(self, look, what):
        deadline = time.monotonic() + 90
        while not (found := look()):
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < deadline, f"{what}: {self.log.read_text()[-2000:]}"
            time.sleep(0.5)
        return found


@pytest.fixture(scope="module")
def prometheus(fleet, tmp_path_factory):
    started = Prometheus(fleet.lab, tmp_path_factory.mktemp("prometheus"))
    try:
        started.eventually(lambda: len(started.ask("up == 1")) == 6, "six exporters answer")
        started.eventually(lambda: started.ask("loopback_bfd_session_up"), "a look at BFD")
        yield started
    finally:
        started.process.terminate()
        started.process.wait()


def test_every_metric_of_rules_and_dashboard_is_told_by_the_fleet(prometheus):
    told = set(prometheus.get("label/__name__/values"))
    named = {n for text in [r["expr"] for r in rules()] + dashboard_queries()
             for n in NAME.findall(text)}  # fmt: skip
    assert len(named) >= 25
    assert named - told == set()


def test_every_query_of_the_dashboard_finds_every_pop(prometheus):
    for query in dashboard_queries():
        # a rate needs two scrapes of either
        prometheus.eventually(
            lambda asked=query: (
                {labels["pop"] for labels, _ in prometheus.ask(asked)} == {"fra1", "par1"}
            ),
            query,
        )


def test_what_prometheus_sees_is_how_the_fleet_stands(fleet, prometheus):
    levels = prometheus.ask("loopback_announcement_level")
    assert len(levels) == 4
    prometheus.eventually(
        lambda: {v for _, v in prometheus.ask("loopback_announcement_level")} == {2}, "announced"
    )
    assert len(prometheus.ask("loopback_bfd_session_up == 1")) == 8
    assert len(prometheus.ask("loopback_tunnel_up == 1")) == 4
    told = fleet.loopback("drain", "fra1", "--seconds=0")
    try:
        assert told.returncode == 0, told.stderr
        down = 'loopback_announcement_level{pop="fra1"} == 0 and on (pop) loopback_drained == 1'
        prometheus.eventually(lambda: len(prometheus.ask(down)) == 2, "fra1 is drained")
        (withdrawn,) = (rule["expr"] for rule in rules() if rule["alert"] == "PopWithdrawn")
        assert prometheus.ask(withdrawn) == []  # on purpose is no alert
        (alone,) = (rule["expr"] for rule in rules() if rule["alert"] == "OnePopLeft")
        assert {labels["announcement"] for labels, _ in prometheus.ask(alone)} == {"v4", "v6"}
    finally:
        assert fleet.loopback("undrain", "fra1").returncode == 0


def test_metrics_are_on_one_address_and_for_the_declared_sources_only(lab, fleet):
    listening = lab.exec("fra1", ["ss", "-Hltn"]).stdout
    for port in PORTS:
        assert re.findall(rf"\S+:{port}(?= )", listening) == [f"{ADDRESS}:{port}"]
    urls = [f"http://{ADDRESS}:{port}/metrics" for port in PORTS]
    # dropped, so each takes its second
    argv = ["curl", "--silent", "--max-time", "1", "--parallel", "--parallel-immediate"]
    argv += ["--output", "/dev/null", "--write-out", "%{exitcode}\n", *urls]
    assert lab.exec("c-fra", argv).stdout.split() == ["28"] * len(PORTS)


def test_the_one_who_looks_may_do_little(lab, fleet):
    shown = lab.exec("fra1", ["systemctl", "show", "loopback-metrics", "-p", "MainPID", "--value"])
    status = lab.exec("fra1", ["cat", f"/proc/{shown.stdout.strip()}/status"]).stdout
    uid = lab.exec("fra1", ["id", "-u", "loopback-metrics"]).stdout.strip()
    assert re.search(r"^Uid:\s+(\d+)", status, re.MULTILINE)[1] == uid
    # CAP_NET_ADMIN and CAP_NET_RAW: to list counters, and to send an echo
    assert re.search(r"^CapBnd:\s+0*(\S+)", status, re.MULTILINE)[1] == "3000"
