"""Alerts and dashboard through Prometheus's own parser, and each alert both ways."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.prometheus import ensure_prometheus

ROOT = Path(__file__).parents[2]
OPERATE = ROOT / "operate"


@pytest.fixture(scope="module")
def promtool():
    program = ensure_prometheus() / "promtool"

    def run(*words):
        argv = [str(program), *map(str, words)]
        done = subprocess.run(argv, cwd=OPERATE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


FILES = ("alerts", "dns_alerts", "certificate_alerts", "egress_alerts")


def rules(name="alerts"):
    groups = yaml.safe_load((OPERATE / f"{name}.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


DASHBOARDS = ("dashboard.json", "names_dashboard.json")


def dashboard_queries(rate_interval="1m", name="dashboard.json"):
    """Queries with Grafana's variables filled in as Grafana does for `All`."""
    tree = json.loads((OPERATE / name).read_text())
    found = [target["expr"] for panel in tree["panels"] for target in panel["targets"]]
    return [e.replace("$__rate_interval", rate_interval).replace("$pop", ".+") for e in found]


def test_prometheus_takes_configuration_and_rules(promtool):
    promtool("check", "config", "prometheus.yml")


@pytest.mark.parametrize("name", FILES)
def test_each_alert_fires_when_it_must_and_is_silent_when_it_must(promtool, name):
    promtool("test", "rules", f"{name}_test.yml")
    tested = {True: set(), False: set()}
    for case in yaml.safe_load((OPERATE / f"{name}_test.yml").read_text())["tests"]:
        for check in case["alert_rule_test"]:
            tested[bool(check["exp_alerts"])].add(check["alertname"])
    names = {rule["alert"] for rule in rules(name)}
    assert len(names) == len(rules(name))
    assert tested == {True: names, False: names}


def test_each_alert_says_what_to_do():
    headings = re.findall(r"^## (.*)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    for rule in (rule for name in FILES for rule in rules(name)):
        page, _, heading = rule["annotations"]["runbook"].partition(": ")
        assert page == "docs/runbook.md"
        assert heading in headings, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_prometheus_parses_every_query_of_the_dashboard(promtool, tmp_path, name):
    queries = dashboard_queries(name=name)
    assert not [query for query in queries if "$" in query]
    recorded = [{"record": f"q{n}", "expr": query} for n, query in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    promtool("check", "rules", path)
    panels = json.loads((OPERATE / name).read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
