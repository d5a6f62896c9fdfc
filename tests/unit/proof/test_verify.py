"""verify.py finds each wrong statement of a certificate, with nothing but Python."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
from contextlib import redirect_stdout, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopback_iac.proof import parse_demands_tree, prove_redundancy
from loopback_iac.proof.certificate import digest, render_certificate, render_text, verifier_text
from loopback_iac.proof.verify import Wrong, check_certificate, judge
from tests.unit.proof.fleets import proved, stacks

CERTIFICATE = render_certificate(
    proved(demands=parse_demands_tree("t", {"names": {"www.example.net": {
        "services": ["https"],
        "operators": {"hetzner": ["com"], "ionos": ["de"]},
        "signer": {"name": "s", "bound": "7 days"},
    }}})),
    "test",
)  # fmt: skip
EDGE = next(p for p, part in CERTIFICATE["parts"].items() if "session a/t1" in str(part["network"]))
SYSTEM = "https at 203.0.113.10"


def test_a_certificate_as_made_holds():
    check_certificate(CERTIFICATE)


@settings(max_examples=40)
@given(stacks())
def test_certificates_of_any_fleet_hold(drawn):
    stack, asked = drawn
    proof = prove_redundancy(stack, parse_demands_tree("t", {"services": asked}), 1)
    check_certificate(json.loads(render_text(render_certificate(proof, "any"))))


def changed(tree, path, value):
    """A copy with one value replaced; a function is given the old one."""
    made = copy.deepcopy(tree)
    here = made
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value(here[path[-1]]) if callable(value) else value
    return made


PART = ("parts", EDGE)
FLIPS = {
    "format": (("format",), 2),
    "digest": (("model_sha256",), "0" * 64),
    "assumptions": (("assumptions",), []),
    "not covered": (("not_covered",), []),
    "survives too much": ((*PART, "survives"), 2),
    "survives too little": ((*PART, "survives"), 0),
    "a cut less": ((*PART, "smallest_cuts"), lambda cuts: cuts[1:]),
    "no cut at all": ((*PART, "smallest_cuts"), []),
    "a cut that is none": ((*PART, "smallest_cuts", 0), ["pop a", "session a/t1"]),
    "a cut of a soft cause": ((*PART, "smallest_cuts", 0), ["pop a", "origin AS64500"]),
    "a cut that is too large": ((*PART, "smallest_cuts", 0), ["pop a", "pop b", "site s-a"]),
    "exact": ((*PART, "exact"), False),
    "a witness less": ((*PART, "witnesses"), lambda found: found[:-1]),
    "no witness": ((*PART, "witnesses"), []),
    "a witness that stands on what is lost": (
        (*PART, "witnesses", 1),
        lambda one: one | {"stands_on": [*one["stands_on"], *one["without"]]},
    ),
    "a witness that does not stand": (
        (*PART, "witnesses", 0, "stands_on"),
        lambda path: path[1:],
    ),
    "routes that share": (
        (*PART, "network", "disjoint_routes"),
        lambda routes: [routes[0], routes[0]],
    ),
    "a route that is none": (
        (*PART, "network", "disjoint_routes", 0),
        lambda route: route[1:],
    ),
    "a route less": ((*PART, "network", "disjoint_routes"), lambda routes: routes[1:]),
    "a cut of routes that leaves one": ((*PART, "network", "cut"), ["pop a", "session a/t1"]),
    "a part that nobody needs": (("parts", "pop a"), CERTIFICATE["parts"][EDGE]),
    "a service survives more": (("systems", SYSTEM, "survives"), 2),
    "a service is not exact": (("systems", SYSTEM, "exact"), False),
    "a service has fewer cuts": (("systems", SYSTEM, "smallest_cuts"), lambda cuts: cuts[1:]),
    "a service does not keep its demand": (("systems", SYSTEM, "met"), False),
    "a service that is not there": (("systems", "other"), {}),
    "what a soft cause takes down": (("not_counted", "origin AS64500"), []),
    "a soft cause hidden": (
        ("not_counted",),
        lambda told: {k: v for k, v in told.items() if k != "origin AS64500"},
    ),
}


@pytest.mark.parametrize("flip", FLIPS)
def test_a_wrong_statement_is_found(flip):
    path, value = FLIPS[flip]
    if flip in ("a part that nobody needs", "a service that is not there"):
        made = copy.deepcopy(CERTIFICATE)
        made[path[0]][path[1]] = value
    else:
        made = changed(CERTIFICATE, path, value)
    with pytest.raises(Wrong):
        check_certificate(made)


MODELS = {
    "a gate that rests on itself": (("gates", EDGE, "of", 0), EDGE),
    "a gate of nothing known": (("gates", EDGE, "of", 0), "gate-99"),
    "a gate that needs less than nothing": (("gates", EDGE, "need"), -1),
    "a member twice": (("gates", EDGE, "of"), lambda of: [of[0], *of]),
    "a cause without a class": (("causes", "pop a", "class"), "soft"),
    "a hard cause called gated without a reason": (("causes", "pop a", "class"), "gated"),
    "a soft cause without a reason": (("causes", "signer s", "because"), ""),
    "a demand that is not kept": (("systems", SYSTEM, "demand"), 2),
    "a gate that needs one less": (
        ("gates", EDGE, "need"),
        lambda need: need - 1,
    ),
}


@pytest.mark.parametrize("flip", MODELS)
def test_another_model_under_the_same_statements_is_found(flip):
    """Even when its digest is made anew: the statements are about the model that is there."""
    made = changed(CERTIFICATE, ("model", *MODELS[flip][0]), MODELS[flip][1])
    made["model_sha256"] = digest(made["model"])
    with pytest.raises(Wrong):
        check_certificate(made)


def leaves(tree, path=()):
    """Paths of everything that can be replaced."""
    yield path
    inner = enumerate(tree) if isinstance(tree, list) else ()
    for key, value in tree.items() if isinstance(tree, dict) else inner:
        yield from leaves(value, (*path, key))


PATHS = sorted((path for path in leaves(CERTIFICATE) if path), key=str)
ANYTHING = st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=3)
ANYTHING |= st.lists(st.sampled_from(["pop a", "gate-1", 0]), max_size=3)
ANYTHING |= st.just({}) | st.just({"need": 1, "of": ["gate-1"]})


@settings(max_examples=200)
@given(st.sampled_from(PATHS), ANYTHING)
def test_whatever_is_changed_is_judged_and_never_breaks_the_script(path, value):
    """Without its digest, which would find it at once."""
    made = changed(CERTIFICATE, path, value)
    with suppress(TypeError, AttributeError, LookupError):
        made["model_sha256"] = digest(made["model"])
    said = io.StringIO()
    with redirect_stdout(said):
        assert judge(lambda: made) in (0, 1, 2)
    assert said.getvalue()


def run(folder, text):
    """The file alone, by an interpreter that sees no package."""
    (folder / "verify.py").write_text(verifier_text())
    (folder / "certificate.json").write_text(text)
    argv = [sys.executable, "-I", "-S", "verify.py", "certificate.json"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)


def test_the_script_needs_python_alone(tmp_path):
    done = run(tmp_path, render_text(CERTIFICATE))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{SYSTEM}: survives 1\n" in done.stdout
    done = run(tmp_path, render_text(changed(CERTIFICATE, ("systems", SYSTEM, "survives"), 2)))
    assert done.returncode == 1
    assert f"wrong: {SYSTEM} survives 1" in done.stdout


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', '{"model": 3}', "\x00"])
def test_what_is_no_certificate_is_told_so(tmp_path, text):
    done = run(tmp_path, text)
    assert done.returncode == 2
    assert done.stdout.startswith("cannot be read as a certificate")
    assert done.stderr == ""
