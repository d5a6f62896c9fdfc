"""Documents of a bundle say what the controls said, each in the words of its format."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from uuid import UUID

from loopback_iac.evidence import parse_state
from loopback_iac.evidence.bundle import render_csv
from loopback_iac.evidence.network import render_network
from loopback_iac.evidence.oscal import render_assessment, render_plan
from loopback_iac.evidence.sarif import KINDS, LEVELS, render_sarif
from tests.unit.evidence.states import urn

TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")  # OSCAL: datatype token


def read(made, name):
    return json.loads((made.folder / "bundle" / name).read_text())


def control(outcome: str, **finding: str) -> dict:
    return {
        "id": "RED-03", "name": "a-name", "title": "A title", "statement": "A statement.",
        "severity": "high", "outcome": outcome, "remediation": "Mend it.",
        "produces_evidence_for": [], "findings": [{"outcome": outcome, "urn": "urn:x", **finding}],
    }  # fmt: skip


HEAD = {"project": "p", "stack": "s", "number": 1, "made": "2026-11-21T12:00:00Z", "sha256": "a"}


def results(*controls: dict) -> dict:
    return {"pack": {"version": "0.1.0", "sha256": "b"}, "controls": [*controls]}


def test_sarif_has_every_finding_under_its_rule(made):
    told, (run,) = read(made, "results.json"), read(made, "results.sarif")["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [each["id"] for each in told["controls"]]
    assert all(rules[each["ruleIndex"]]["id"] == each["ruleId"] for each in run["results"])
    wanted = Counter(
        (c["id"], KINDS[f["outcome"]]) for c in told["controls"] for f in c["findings"]
    )
    assert Counter((each["ruleId"], each["kind"]) for each in run["results"]) == wanted
    assert all((each["level"] == "none") == (each["kind"] != "fail") for each in run["results"])


def test_sarif_knows_failures_and_those_that_are_excepted():
    excepted = control("excepted", text="one country", exception="EXC-1", due="2026-12-01")
    tree = render_sarif(HEAD, results(control("fail", text="one country"), excepted))
    fail, suppressed = tree["runs"][0]["results"]
    assert (fail["level"], "suppressions" in fail) == (LEVELS["high"], False)
    (said,) = suppressed["suppressions"]
    assert "EXC-1, until 2026-12-01" in said["justification"]
    (invocation,) = render_sarif(HEAD, results(control("error")))["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False


def test_oscal_finds_only_where_something_was_decided_and_satisfies_no_law(made):
    told = read(made, "results.json")["controls"]
    tree = read(made, "oscal/assessment-results.json")["assessment-results"]
    (found,) = tree["results"]
    assert len(found["observations"]) == len(told)
    decided = {c["id"]: c["outcome"] for c in told if c["outcome"] in ("pass", "fail")}
    states = {f["target"]["target-id"]: f["target"]["status"]["reason"] for f in found["findings"]}
    assert states == decided
    seen = {each["uuid"] for each in found["observations"]}
    assert {
        o["observation-uuid"] for f in found["findings"] for o in f["related-observations"]
    } <= seen
    (resource,) = tree["back-matter"]["resources"]
    assert tree["import-ap"]["href"] == f"#{resource['uuid']}"
    for outcome, state in (("excepted", "not-satisfied"), ("error", "not-satisfied")):
        (one,) = render_assessment(HEAD, results(control(outcome)))["assessment-results"]["results"]
        assert one["findings"][0]["target"]["status"]["state"] == state
    (one,) = render_assessment(HEAD, results(control("open")))["assessment-results"]["results"]
    assert "findings" not in one


def test_oscal_plans_what_is_to_be_mended_and_nothing_where_nothing_is(made):
    todo = read(made, "results.json")["plan_of_action"]
    tree = read(made, "oscal/plan-of-action.json")["plan-of-action-and-milestones"]
    assert len(tree["poam-items"]) == len(todo) > 0
    assert [each["title"] for each in tree["poam-items"]] == [
        f"{each['control']} until {each['due']}" for each in todo
    ]
    assert all(prop["value"] for each in tree["poam-items"] for prop in each["props"])
    assert render_plan(HEAD, {"plan_of_action": []}) is None


def test_oscal_says_which_control_is_there_for_which_point(made):
    told = read(made, "results.json")["controls"]
    tree = read(made, "oscal/component-definition.json")["component-definition"]
    (component,) = tree["components"]
    mapped = {(p["id"], p["point"]) for c in told for p in c["produces_evidence_for"]}
    asked = [each for law in component["control-implementations"]
             for each in law["implemented-requirements"]]  # fmt: skip
    assert len(asked) == len(mapped)
    assert len({each["control-id"] for each in asked}) == len(mapped)
    assert "cir-6.7.2.l" in {each["control-id"] for each in asked}
    assert all(TOKEN.fullmatch(each["control-id"]) for each in asked)
    found = re.findall(r'"uuid": "([^"]+)"', json.dumps(tree))
    assert len(set(found)) == len(found)
    assert {UUID(each).version for each in found} == {5}


def test_cyclonedx_names_services_hosts_suppliers_and_software_once(made):
    tree = read(made, "inventory.cdx.json")
    refs = [each["bom-ref"] for each in (*tree["components"], *tree["services"])]
    assert len(set(refs)) == len(refs)
    assert {"host:fra1", "host:par1", "host:w1", "host:w2", "service:edge/https",
            "supplier:hetzner", "supplier:AS64496"} <= set(refs)  # fmt: skip
    assert tree["dependencies"][0]["dependsOn"] == sorted(refs)
    software = {each["name"]: each.get("version") for each in tree["components"]}
    assert software["loopback-iac"]
    assert software["pulumi-hcloud"]
    endpoints = next(s for s in tree["services"] if s["name"] == "https")["endpoints"]
    assert "tcp://9.9.9.10:443" in endpoints


def test_a_spreadsheet_runs_nothing_of_the_register():
    entry = {"legal_name": '=HYPERLINK("x")', "contact": "+49 1", "services": ["a", "b"]}
    text = render_csv({"suppliers": [{"supplier": "@s", "used": True, "entry": entry}]}).decode()
    _, row = csv.reader(io.StringIO(text))
    assert row == ["'@s", "yes", '\'=HYPERLINK("x")', "", "'+49 1", "a; b", "", "", ""]


def test_the_summary_counts_what_the_results_count_and_claims_nothing(made):
    text = (made.folder / "bundle/management-summary.md").read_text()
    for outcome, count in read(made, "results.json")["counts"].items():
        assert f"| {outcome} | {count} |" in text
    assert "silent-pop" in text
    assert "What this does not show" in text
    assert not re.search(r"\bcompliant\b|guarantee", text, re.IGNORECASE)


def test_changes_are_those_of_the_manifests(made):
    lines = (made.folder / "bundle/changes.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["reason"] for row in rows] == ["update 1", "update 2", "update 3"]
    assert rows[-1]["manifest_sha256"] == read(made, "bundle.json")["head"]


def test_the_network_is_drawn_from_the_facts_and_no_name_leaves_its_label(made):
    text = (made.folder / "bundle/network.md").read_text()
    for words in ('["PoP fra1, carrier-hotel, fra, DE"]', '(["AS64496"])', '|"WireGuard"|',
                  "| fra1 | t1 | AS64496 | IPv4, IPv6 | yes | yes | yes |",
                  "| https | 9.9.9.10, "):  # fmt: skip
        assert words in text, words
    place = {"provider": 'x"] --> y["', "site": "s\n", "country": "de"}
    facts = {"asn": 1, "pops": {"p": {"upstreams": {}}}}
    kinds = {"BareMetalHost": ("p", place), "AnycastEdge": ("edge", {"fleet": facts})}
    rows = [
        {"urn": urn(f"loopback-iac:index:{kind}", name), "type": f"loopback-iac:index:{kind}",
         "inputs": inputs}
        for kind, (name, inputs) in kinds.items()
    ]  # fmt: skip
    snapshot = parse_state(json.dumps({"deployment": {"resources": rows}}), "state")
    labels = [line for line in render_network(snapshot).splitlines() if "PoP p" in line]
    assert [line.count('"') for line in labels] == [2]
