"""Records say what they have to, laws are data apart, and the page is made from both."""

from __future__ import annotations

import os
import re
from pathlib import Path

from loopback_iac.controls import CHECKS, load_controls, load_laws, mappings_of
from loopback_iac.controls.book import render_book, render_ci, render_numbers

DOCS = Path(__file__).parents[3] / "docs"
PAGE, CI = DOCS / "controls.md", DOCS / "controls-ci.json"
MADE = re.compile(r"(?<=`make golden` -->\n).*?(?=<!-- end -->)", re.DOTALL)
NUMBER = re.compile(r"<!-- (\w+) -->([^<]*)<!-- -->")
CONTROLS, LAWS = load_controls(), load_laws()
COUNTS = {
    "RED": 9,
    "JUR": 2,
    "SUP": 2,
    "DNS": 11,
    "BGP": 9,
    "ING": 6,
    "EGR": 3,
    "LOG": 3,
    "TIM": 1,
    "ACC": 4,
    "SEC": 1,
    "BAK": 2,
    "PRO": 1,
    "AST": 1,
    "CHG": 1,
    "PAT": 1,
    "CMD": 1,
}
THE_58 = {f"{family}-{n:02}" for family, count in COUNTS.items() for n in range(1, count + 1)}


def test_ids_and_names_are_permanent():
    assert len(THE_58) == 58
    assert set(CONTROLS) >= THE_58
    assert set(CONTROLS) - THE_58 == {"ACC-05", "CMD-02", "CMD-03", "PAT-02", "SPC-01"}
    assert all(re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", c.name) for c in CONTROLS.values())


def test_a_control_is_checked_or_left_to_people_never_both():
    for name, control in CONTROLS.items():
        assert (name in CHECKS.checks) != bool(control.manual), name
        check = CHECKS.checks.get(name)
        if check:
            of_resource = control.level == "resource"
            assert of_resource == (check.of_resource is not None), name
            assert of_resource == bool(check.kinds), name
        else:
            assert (control.level, control.mandatory) == ("outside", False)


def test_every_control_serves_points_of_the_laws_with_an_argument():
    for name in CONTROLS:
        by_law = {law.id for law, _ in mappings_of(name)}
        assert {"cir", "nis-2", "bsig"} <= by_law, name
    for law in LAWS.values():
        assert set(law.controls) <= set(CONTROLS), law.id
        for points in law.controls.values():
            assert len({p.point for p in points}) == len(points)
    # no point of the text read is decided by configuration alone
    assert all(p.strength != "full" for c in CONTROLS for _, p in mappings_of(c))


def test_what_another_law_repeats_is_not_written_twice():
    assert {p.point for points in LAWS["bsig"].controls.values() for p in points} <= set(
        LAWS["bsig"].points.values()
    )
    assert LAWS["bsig"].follows == "nis-2"
    assert len(LAWS["bsig"].controls) == len(LAWS["nis-2"].controls)


def test_parameters_say_why_and_take_numbers_as_the_protocol_has_them():
    for control in CONTROLS.values():
        for name, each in control.params.items():
            assert each.why, name
            assert each.as_schema()["type"] == each.type
    settings = CONTROLS["RED-01"].settings({"pops": 3.0, "unheard": 1, "when_open": "block"})
    assert settings == {"pops": 3}
    assert type(settings["pops"]) is int
    assert CONTROLS["RED-01"].settings({"pops": None}) == {"pops": 2}


def test_what_refuses_at_once_is_what_every_fleet_of_ours_keeps():
    refusing = {name for name, control in CONTROLS.items() if control.mandatory}
    assert refusing == {
        *("RED-04", "DNS-07", "BGP-01", "BGP-04", "BGP-05", "BGP-07"),
        *("ING-01", "ING-03", "ING-05", "ACC-01", "CMD-01", "CMD-02"),
    }


def test_the_page_and_the_configuration_for_ci_are_the_ones_made_from_the_records():
    wanted = MADE.sub(lambda _: render_book(), PAGE.read_text())
    numbers = render_numbers()
    wanted = NUMBER.sub(lambda m: f"<!-- {m[1]} -->{numbers[m[1]]}<!-- -->", wanted)
    if os.environ.get("UPDATE_GOLDEN") and not os.environ.get("CI"):
        PAGE.write_text(wanted)
        CI.write_text(render_ci())
    assert PAGE.read_text() == wanted
    assert CI.read_text() == render_ci()
    assert NUMBER.search(wanted)
    assert "### RED-01" in wanted
