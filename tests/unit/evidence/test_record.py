"""`loopback evidence record|bundle`, on states as they are exported."""

from __future__ import annotations

import json

from loopback_iac.controls.tree import MARK, SECRET
from loopback_iac.evidence.canonical import canonical, sha256
from tests.unit.controls.passing import CANARY, WISH
from tests.unit.evidence.states import manifests, state, urn


def test_each_record_names_the_one_before_and_what_changed_since(made):
    first, second, third = manifests(made)
    assert [m["number"] for m in (first, second, third)] == [1, 2, 3]
    assert [m["previous"] for m in (first, second, third)] == [
        None,
        sha256(canonical(first)),
        sha256(canonical(second)),
    ]
    zone = urn("hcloud:index/zone:Zone", "second")
    assert len(first["changes"]["created"]) == first["state"]["resources"]
    assert second["changes"] == {"created": [zone], "changed": [], "deleted": []}
    assert third["changes"] == {"created": [], "changed": [zone], "deleted": []}
    assert third["zones"].keys() == {"example.net"}
    assert third["drills"] == [
        {"drill": "silent-pop", "at": "2026-11-20T09:00:00+00:00", "held": True}
    ]
    assert third["told"]["approvers"] == ["B. Boss"]


def test_the_digest_of_a_state_is_one_that_anybody_computes(desk):
    assert desk.record().exit_code == 0
    deployment = json.loads(state())["deployment"]
    plain = {"pending_operations": [], "resources": deployment["resources"]}
    assert manifests(desk)[0]["state"]["sha256"] == sha256(canonical(plain))
    touched = json.loads(state())
    for row in touched["deployment"]["resources"]:
        row["modified"] = "2026-11-21T11:00:00Z"
    assert desk.record(text=json.dumps(touched)).exit_code == 0
    assert manifests(desk)[1]["changes"] == {"created": [], "changed": [], "deleted": []}


def test_the_same_chain_gives_the_same_bundle_byte_by_byte(made, tmp_path):
    done = made.bundle(tmp_path / "again")
    assert done.exit_code == 0, done.output
    names = {p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*")}
    assert names == {p.relative_to(made.folder / "bundle") for p in
                     (made.folder / "bundle").rglob("*")}  # fmt: skip
    for name in names:
        one, other = tmp_path / "again" / name, made.folder / "bundle" / name
        assert one.is_dir() or one.read_bytes() == other.read_bytes(), name
    verifier = sha256((tmp_path / "again/verify.py").read_bytes())
    assert f"verify.py {verifier}" in done.output


def test_no_secret_of_the_state_is_in_a_bundle_or_a_chain(made):
    """The state has the word in marked fields (there as ciphertext) and in fields nobody marked."""
    assert CANARY in state()
    for folder in (made.folder / "bundle", made.chain):
        for path in folder.rglob("*"):
            text = b"" if path.is_dir() else path.read_bytes()
            assert CANARY.encode() not in text, path
            assert b"c2VhbGVk" not in text, path  # nor the ciphertext


def test_a_state_that_shows_secrets_is_refused_and_nothing_of_it_is_repeated(desk):
    shown = json.loads(state())
    shown["deployment"]["resources"][0]["inputs"] = {
        "password": {MARK: SECRET, "plaintext": json.dumps(CANARY)}
    }
    done = desk.record(text=json.dumps(shown))
    assert (done.exit_code, "in clear" in done.output) == (2, True)
    assert CANARY not in done.output
    assert not desk.links()


def test_thresholds_register_and_exceptions_are_those_of_the_pack(desk):
    names = {"RED-04": "redundancy-proved", "SUP-01": "suppliers-are-registered",
             "JUR-02": "third-country-control-is-allowed-by-name"}  # fmt: skip
    config = {names[key]: dict(said) for key, said in WISH.params.items()}
    dates = {"created": "2026-11-01", "expires": "2026-12-01", "last_review": "2026-11-20"}
    config["pops-in-several-countries"] = {"enforcementLevel": "mandatory", "exceptions": [{
        "id": "EXC-1", "rule": "RED-03", "urn": urn("loopback-iac:index:AnycastEdge", "edge"),
        "reason": "the second country begins in January", "risk": "R-1", "owner": "edge",
        "compensating_control": "a drill", "author": "A", "approver": "B", "ticket": "T", **dates,
    }]}  # fmt: skip
    file = desk.folder / "policy.json"
    file.write_text(json.dumps(config))
    edits = state(("par1", "host|country", "DE"))
    done = desk.record("--policy-pack-config", str(file), text=edits)
    assert done.exit_code == 0, done.output
    (link,) = desk.links()
    results = json.loads((link / "results.json").read_text())
    outcomes = {each["id"]: each["outcome"] for each in results["controls"]}
    assert (outcomes["RED-03"], outcomes["SUP-01"], outcomes["DNS-01"]) == (
        "excepted", "pass", "pass")  # fmt: skip
    todo = {each["control"]: each["exception"] for each in results["plan_of_action"]}
    assert todo == {"RED-03": "EXC-1", "RED-04": ""}  # one country is a cut as well
    suppliers = json.loads((link / "suppliers.json").read_text())["suppliers"]
    entries = {each["supplier"]: each for each in suppliers}
    assert entries["hetzner"]["entry"]["legal_name"] == "Example GmbH"
    assert (entries["hetzner"]["used"], entries["elsewhere"]["used"]) == (True, False)
    file.write_text('{"no-such-control": {}, "redundancy-proved": {"survive": 1}}')
    refused = desk.record("--policy-pack-config", str(file))
    assert refused.exit_code == 2
    assert "there is no such control" in refused.output
    assert "survive: it is no parameter" in refused.output


def test_who_answers_for_what_no_program_checks_is_in_the_record(desk):
    people = desk.folder / "people.yaml"
    people.write_text("SUP-02: {owner: build team, reviewed: 2026-07-01}")
    assert desk.record("--people", str(people)).exit_code == 0
    results = json.loads((desk.links()[0] / "results.json").read_text())
    (found,) = next(c["findings"] for c in results["controls"] if c["id"] == "SUP-02")
    assert (found["outcome"], found["owner"], found["due"]) == (
        "manual",
        "build team",
        "2026-09-29",
    )
    assert desk.bundle(desk.folder / "out").exit_code == 0
    summary = (desk.folder / "out/management-summary.md").read_text()
    assert "| build team | 2026-09-29 (past) |" in summary
    assert "| nobody named | never looked |" in summary
    people.write_text("SUP-99: {owner: x}\nSUP-02: {reviewed: soon}")
    done = desk.record("--people", str(people))
    assert done.exit_code == 2
    for words in ("there is no such control", "SUP-02.owner", "SUP-02.reviewed"):
        assert words in done.output
