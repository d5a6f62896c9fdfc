"""Certificates of real fleets, as printed and as drawn.

fleet.yaml holds
  case     a rendered case: its fleet and hosts
  demands  text of a demands file
  places   what its hosts say of where they stand
  means    service at address -> losses it survives
The certificate, what the verb prints and its picture stand beside it.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from rich.console import Console

from loopback_iac.cli.prove import print_proof
from loopback_iac.model import fleet_facts, parse_fleet
from loopback_iac.proof import EDGE, parse_demands, prove_redundancy, read_stack
from loopback_iac.proof.certificate import render_certificate, render_text
from loopback_iac.proof.picture import render_picture
from loopback_iac.proof.verify import check_certificate
from loopback_iac.proof.wording import unmet_texts
from tests.golden import case as golden

CASES = Path(__file__).parent / "proofs"
ROOT = Path(__file__).parents[2]
NAMES = sorted(path.parent.name for path in CASES.glob("*/fleet.yaml"))


def proved(name, demands=None):
    tree = yaml.safe_load((CASES / name / "fleet.yaml").read_text())
    base = golden.load(tree["case"])
    facts = fleet_facts(parse_fleet(golden.NAME, base.fleet, golden.TODAY))
    metal = "loopback-iac:index:BareMetalHost"
    places = tree.get("places", {})
    trees = [
        {"type": metal, "name": n, "inputs": host | places.get(n, {})}
        for n, host in base.hosts.items()
    ]
    trees.append({"type": EDGE, "name": golden.NAME, "inputs": {"fleet": facts}})
    demands = parse_demands("demands.yaml", demands or tree["demands"])
    return prove_redundancy(read_stack(trees), demands, 1), tree.get("means", {})


def texts(proof):
    said = io.StringIO()
    print_proof(proof, Console(file=said, width=200))
    return {
        "certificate.json": render_text(render_certificate(proof, "golden")),
        "printed.txt": said.getvalue() + "".join(f"{text}\n" for text in unmet_texts(proof)),
        "picture.svg": render_picture(proof),
    }


@pytest.mark.parametrize("name", NAMES)
def test_proved(name):
    proof, means = proved(name)
    diff = golden.compare(CASES / name, texts(proof))
    assert not diff, f"\n{diff}"
    survived = {verdict.system.name: verdict.survives for verdict in proof.verdicts}
    assert means.items() <= survived.items()


@pytest.mark.parametrize("name", NAMES)
def test_the_certificate_that_stands_there_holds(name):
    check_certificate(json.loads((CASES / name / "certificate.json").read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_marks_what_the_cut_names(name):
    proof, _ = proved(name)
    root = ET.fromstring((CASES / name / "picture.svg").read_text())  # noqa: S314 - our own file
    texts_of = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    cuts = {key for verdict in proof.verdicts for cut in verdict.cuts for key in cut}
    assert any(proof.model.causes[key].title in texts_of[1] for key in cuts)


def test_the_example_of_the_documents_fits_the_fleet_of_the_lab():
    demands = (ROOT / "docs/proof-example.yaml").read_text()
    proof, _ = proved("one-supplier", demands)
    assert proof.met
    assert not proved("one-supplier")[0].met


def test_v4_and_v6_share_what_is_the_same_of_their_proofs():
    proof, _ = proved("one-supplier")
    pools = {system.parts["pool web"] for system in proof.model.systems}
    assert len(pools) == 1
