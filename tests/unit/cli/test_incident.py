"""`loopback incident`: versions are added, never changed, and what was altered is found."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loopback_iac.cli import app
from loopback_iac.cli.incident_folder import read_versions
from tests.unit.incident.facts_of import tree

ROOT = Path(__file__).parents[3]


@pytest.fixture
def place(tmp_path):
    (tmp_path / "facts.yaml").write_text(json.dumps(tree()))
    return tmp_path


def draft(place, *argv):
    return CliRunner().invoke(
        app, ["incident", "draft", str(place / "facts.yaml"), "--out", str(place / "out"), *argv]
    )


def verify(place, *argv):
    return CliRunner().invoke(app, ["incident", "verify", str(place / "out/incident-1"), *argv])


def files(place):
    return {p: p.read_bytes() for p in sorted((place / "out").rglob("*")) if p.is_file()}


def test_each_draft_names_the_one_before_and_leaves_it_as_it_is(place):
    for stage in ("early-warning", "notification", "final"):
        before = files(place)
        done = draft(place, "--stage", stage, "--json")
        assert done.exit_code == 0, done.output
        assert before.items() <= files(place).items()
    names = [version.folder for version in read_versions(place / "out/incident-1")]
    assert names == ["001-early-warning", "002-notification", "003-final"]
    assert json.loads(done.stdout)["previous"]["folder"] == "002-notification"
    assert verify(place).exit_code == 0
    assert (place / "out/incident-1").stat().st_mode & 0o077 == 0


def test_without_a_stage_the_next_one_is_drafted(place):
    assert json.loads(draft(place, "--json").stdout)["stage"] == "early-warning"
    sent = {"early_warning": "2026-11-20T09:00:00Z"}
    (place / "facts.yaml").write_text(json.dumps(tree(submitted=sent)))
    told = json.loads(draft(place, "--json").stdout)
    assert (told["stage"], told["version"]) == ("notification", 2)
    assert told["clock"]["deadlines"][0]["state"] == "submitted in time"


def test_every_altered_byte_before_the_newest_is_found_and_with_the_head_every_one(place):
    for _ in range(2):
        draft(place)
    first, second = (place / "out/incident-1" / f"00{n}-early-warning" for n in (1, 2))
    head = verify(place).stdout.split()[-1]
    assert verify(place, "--expect-head", head).exit_code == 0
    for path in (first / "draft.json", first / "draft.md", second / "draft.md",
                 second / "draft.json"):  # fmt: skip
        kept = path.read_bytes()
        for at in range(0, len(kept), max(1, len(kept) // 3)):
            path.write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
            assert verify(place, "--expect-head", head).exit_code == 1, (path, at)
        path.write_bytes(kept)
    assert verify(place, "--expect-head", "0" * 64).exit_code == 1
    (second / "draft.json").unlink()
    assert "incomplete" in verify(place).output


def test_nothing_is_added_to_a_chain_that_does_not_hold(place):
    for _ in range(3):
        draft(place)
    page = place / "out/incident-1/001-early-warning/draft.md"
    page.write_text(page.read_text() + "x")
    before = files(place)
    done = draft(place)
    assert (done.exit_code, "chain-altered" in done.output) == (1, True)
    assert files(place) == before
    (place / "out/incident-1/002-early-warning").rename(place / "gone")
    assert "chain-gap" in verify(place).output


def test_two_at_once_are_two_versions(place):
    from loopback_iac.cli import incident_folder  # noqa: PLC0415 - its lock is what is tested
    from tests.unit.incident.facts_of import NOW, facts  # noqa: PLC0415 - as above

    orders = [incident_folder.Order(facts(), [], "final", NOW, "0" * 64) for _ in range(4)]
    threads = [
        threading.Thread(target=incident_folder.keep_version, args=(place / "out", order))
        for order in orders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_versions(place / "out/incident-1")) == 4
    assert verify(place).exit_code == 0


def test_wrong_use_is_refused_and_leaves_nothing(place):
    (place / "strange").write_text("{}")
    assert draft(place, "--stage", "soon").exit_code == 2
    done = draft(place, "--evidence", str(place / "none"), "--evidence", str(place / "strange"))
    assert (done.exit_code, done.output.count("rule: evidence-unread")) == (2, 2)
    assert draft(place, "--templates", str(place / "none")).exit_code == 2
    (place / "facts.yaml").write_text("- a")
    assert draft(place).exit_code == 2
    (place / "facts.yaml").unlink()
    assert draft(place).exit_code == 2
    assert verify(place).exit_code == 2
    assert not list(place.rglob("draft.*"))


def test_the_template_that_comes_with_us_is_printed(place):
    done = draft(place, "--show-template", "--stage", "final")
    assert 'include "impact.md.j2"' in done.stdout
    assert not (place / "out").exists()


def test_the_example_of_the_documents_says_what_is_due_and_unknown(tmp_path):
    example = ROOT / "docs/incident-example.yaml"
    done = CliRunner().invoke(app, ["incident", "draft", str(example), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    for words in ("EXERCISE", "Early warning", "2026-11-21T01:40:00Z", "significant? unknown",
                  "unknown: services[0].misconfiguration, decides 5(c)"):  # fmt: skip
        assert words in done.stdout
