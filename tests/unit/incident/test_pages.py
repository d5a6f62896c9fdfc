"""Drafts as pages: anybody's templates, texts that stay texts, laws as the controls have them."""

from __future__ import annotations

import json

import pytest

from loopback_iac.controls import load_laws
from loopback_iac.incident import (
    load_reporting,
    load_significance,
    make_draft,
    render_page,
    shipped_template,
)
from loopback_iac.model import InputRejected
from tests.unit.incident.facts_of import NOW, facts

STAGES = ("early-warning", "notification", "final")


def draft(stage="early-warning", **changes):
    return make_draft(facts(**changes), [], stage, NOW)


@pytest.mark.parametrize("stage", STAGES)
def test_every_page_says_what_it_is_and_what_is_unknown(stage):
    tree = draft(stage)
    page = render_page(tree).text
    assert "Draft, for a person to check" in page
    assert "EXERCISE" not in page
    for text in (load_reporting(), load_significance()):
        assert f"{text.law}, {text.version}" in page
    for each in tree["unknown"]:
        assert each["fact"].replace("[", "\\[").replace("]", "\\]") in page
    assert "EXERCISE" in render_page(draft(stage, exercise=True)).text


def test_an_incident_that_goes_on_makes_the_final_one_a_progress_report():
    assert "23(4)(e)" in render_page(draft("final", ended_at="ongoing")).text.splitlines()[0]
    assert "23(4)(e)" not in render_page(draft("final")).text.splitlines()[0]


def test_versions_of_laws_are_those_of_the_controls():
    controls = load_laws()
    for text in (load_reporting(), load_significance()):
        assert (controls[text.id].version, controls[text.id].source) == (text.version, text.source)


def test_what_somebody_wrote_makes_no_table_link_or_tag():
    title = "a | b <script> [x](http://e) `c` _d_ snake_case \N{RIGHT-TO-LEFT OVERRIDE}"
    tree = draft() | {"facts": draft()["facts"] | {"title": title}}
    line = render_page(tree).text.splitlines()[0]
    assert (
        "a \\| b \\<script\\> \\[x\\](http://e) \\`c\\` \\_d\\_ snake_case"
        " \N{REPLACEMENT CHARACTER}" in line
    )


def test_templates_of_ones_own_go_before_ours(tmp_path):
    own = tmp_path / "early-warning.md.j2"
    own.write_text("{{ facts.title }}, {{ clock.from | told }}, {{ facts.loss_eur | told }}")
    page = render_page(draft(loss_eur={"at_least": 5}), tmp_path)
    assert page.text == "Something, 2026-11-20T01:13:00Z (2026-11-20 01:13:00 UTC), at least 5\n"
    assert page.sha256 != render_page(draft()).sha256
    own.write_text('{% include "head.md.j2" %}')  # ours stay at hand
    assert "## Clock" in render_page(draft(), tmp_path).text


@pytest.mark.parametrize(
    "source",
    ["{{ facts.nobody }}", "{{ nobody }}", "{% if %}", "{{ 1 / 0 }}", '{% include "none" %}',
     "{{ ().__class__.__mro__ }}", "{{ 1 | nothing }}"],
)  # fmt: skip
def test_a_template_that_fails_is_refused_by_name(source, tmp_path):
    (tmp_path / "early-warning.md.j2").write_text(source)
    with pytest.raises(InputRejected) as caught:
        render_page(draft(), tmp_path)
    assert [problem.rule for problem in caught.value.problems] == ["template-fails"]


def test_a_folder_without_the_template_of_the_stage_is_refused(tmp_path):
    (tmp_path / "early_warning.md.j2").write_text("x")
    with pytest.raises(InputRejected, match=r"early-warning\.md\.j2"):
        render_page(draft(), tmp_path)


def test_the_shipped_template_can_be_started_from(tmp_path):
    (tmp_path / "final.md.j2").write_text(shipped_template("final"))
    assert render_page(draft("final"), tmp_path).text == render_page(draft("final")).text


def test_a_draft_is_plain_json_and_says_the_same_each_time():
    tree = draft("final", loss_eur=12.5, measures=[{"what": "x"}])
    assert json.loads(json.dumps(tree)) == tree == draft("final", loss_eur=12.5,
                                                         measures=[{"what": "x"}])  # fmt: skip
    assert tree["facts"]["loss_eur"] == 12.5
    assert tree["facts"]["measures"][0]["at"] == "unknown"
