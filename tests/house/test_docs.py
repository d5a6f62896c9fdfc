"""Documents say what the code does: the program is the one that runs, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

from loopback_iac.lab.drill.picture import draw_fleet
from loopback_iac.lab.topology import demo

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "components").rglob("*.md")),
]


def test_the_readme_shows_the_program_that_runs():
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block.group(1) == (ROOT / "stacks/edge/__main__.py").read_text()


def test_the_picture_shows_the_demo_fleet_as_it_is(tmp_path):
    draw_fleet(demo(), tmp_path / "fleet.svg")
    assert (tmp_path / "fleet.svg").read_text() == (ROOT / "docs/fleet.svg").read_text()


def test_every_link_leads_somewhere():
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_no_document_promises_compliance_or_no_loss():
    words = re.compile(r"\bcompliant\b|no packet loss|zero downtime|guarantee", re.IGNORECASE)
    found = [
        f"{page.name}: {m.group()}" for page in PAGES for m in words.finditer(page.read_text())
    ]
    assert found == []
