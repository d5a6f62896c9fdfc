"""The faults that people make, from their end: `plan` refuses each with what it is and what to do.

`make test` plans several faults at once, as somebody would make them; `make soak` each by itself.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from loopback_iac.controls import load_controls
from loopback_iac.engine import Options, Result, plan
from loopback_iac.engine.results import Severity
from tests.golden import case as golden

HERE = Path(__file__).parent / "classical"
ROOT = Path(__file__).parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CANARY = "hunter2-canary"
PROGRAM = "the program"
SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
# fault -> who refuses it: controls beside RED-04, or the library's own components
FAULTS = {
    "one PoP": {"RED-01", "RED-02", "RED-03", "RED-08"},
    "one provider": {"RED-02", "RED-08"},
    "one upstream": {"RED-07"},
    "one operator": {"DNS-01"},
    "two signers": {"DNS-06", "JUR-02"},
    "an unsigned zone": {"DNS-04"},
    "SSH open at the provider": {"ACC-01"},
    "a vendor's annotation": {"ING-01"},
    "no host key": {"CMD-01"},
    "BGP without authentication": PROGRAM,
    "SSH open on hosts": PROGRAM,
}
ALSO = {"two signers": {"DNS-04"}}  # open: whether the second one signs is known after `up` only
ABOUT = {"an unsigned zone": "second: "}
CUTS = {"one PoP", "one provider", "one upstream"}
TOGETHER = (
    {"one provider", "one upstream", "an unsigned zone", "SSH open at the provider"}
    | {"a vendor's annotation", "no host key", "two signers"},
    {"one PoP", "one operator"},
    {"BGP without authentication", "SSH open on hosts"},
)


@cache
def planned(faults: frozenset[str]) -> Result:
    """The program with these faults, under the pack as CI has it, with one loss demanded."""
    settings = json.loads((ROOT / "docs/controls-ci.json").read_text())
    settings["redundancy-proved"]["survives"] = 1
    settings["no-documentation-addresses"] = "disabled"  # nobody else's are used here
    private = KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    config = {
        "faults": sorted(faults),
        "sshPrivateKey": private.decode(),
        "hostKey": public.decode(),
        "md5": CANARY,
        "tsig": CANARY,
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        project = {"name": "classical", "runtime": "python", "main": str(HERE)}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        told = {f"classical:{key}": value for key, value in config.items()}
        (folder / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": told}))
        (folder / "pack.json").write_text(json.dumps(settings))
        return plan(
            Options(
                directory=folder,
                stack="prod",
                state_dir=folder / "state",
                policy_packs=(ROOT / "policies",),
                policy_configs=(folder / "pack.json",),
            )
        )


def group_of(fault: str) -> frozenset[str]:
    together = next(group for group in TOGETHER if fault in group)
    return frozenset({fault} if SOAK else together)


def refusals(result: Result) -> dict[str, list[str]]:
    """By control: what a person reads of it."""
    names = {control.name: control.id for control in load_controls().values()}
    found: dict[str, list[str]] = {}
    for each in result.violations:
        if each.level == "mandatory":
            where = each.urn.rpartition("::")[2] or "the stack"
            text = f"{where}: {each.message}"
            found.setdefault(names[each.policy], []).append(text)
    for entry in result.diagnostics:
        if entry.severity is Severity.ERROR and ": " in entry.message:
            found.setdefault(PROGRAM, []).append(entry.message)
    return found


def test_the_fleet_without_a_fault_is_refused_nothing():
    result = planned(frozenset())
    assert result.ok, refusals(result)
    assert refusals(result) == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_classical_fault_is_refused_in_words_to_act_on(fault):
    result = planned(group_of(fault))
    found = refusals(result)
    assert not result.ok
    if FAULTS[fault] == PROGRAM:
        text = told_of(fault, found[PROGRAM])
    else:
        assert FAULTS[fault] <= found.keys()
        texts = [text for control in sorted(FAULTS[fault]) for text in found[control]]
        text = "\n".join(text for text in texts if text.startswith(ABOUT.get(fault, "")))
    assert all("fix: " in one for several in found.values() for one in several)
    assert CANARY not in str(found)
    folder = HERE / "refused" / fault.replace(" ", "-").replace("'", "")
    diff = golden.compare(folder, {"told.txt": text + "\n"})
    assert not diff, f"\n{diff}"


def told_of(fault: str, messages: list[str]) -> str:
    """Of a program that has several faults: what is about one."""
    words = {"BGP without authentication": "md5", "SSH open on hosts": "admin_sources"}[fault]
    lines = "\n".join(messages).splitlines()
    kept = [n for n, line in enumerate(lines) if line.startswith("  - ") and words in line]
    text = "\n".join(line for n in kept for line in lines[n : n + 2])
    return re.sub(r" +rule:", "     rule:", text)  # its column is that of the longest problem


@pytest.mark.parametrize("group", TOGETHER, ids=lambda group: f"{len(group)} faults")
def test_nothing_is_refused_but_what_is_wrong(group):
    for faults in [{one} for one in group] if SOAK else [group]:
        due = {PROGRAM} if PROGRAM in map(FAULTS.get, faults) else set()
        due |= {"RED-04"} if faults & CUTS else set()
        for fault in faults:
            due |= set() if FAULTS[fault] == PROGRAM else set(FAULTS[fault])
            due |= ALSO.get(fault, set())
        assert refusals(planned(frozenset(faults))).keys() == due


def test_the_proof_shows_what_the_fleet_falls_with_and_what_would_help():
    (text,) = refusals(planned(group_of("one upstream")))["RED-04"]
    assert "survives no loss; demanded: any one loss" in text
    assert "fix: add a session with an upstream of another AS, against AS64496 (upstream)" in text
