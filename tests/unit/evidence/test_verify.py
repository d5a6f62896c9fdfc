"""verify.py finds every change of a bundle and of a chain, with Python and ssh-keygen alone."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from datetime import timedelta

import pytest

from loopback_iac.evidence.canonical import canonical, sha256
from loopback_iac.evidence.verify import judge
from tests.unit.evidence.states import NOW, SIGNER, make_key

LATER = NOW + timedelta(hours=1)
FLIPS = 200 if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else 3
"""Bytes tried in each file, beside its first and its last."""


def verdict(folder, *argv, now=LATER):
    return judge([str(folder), *map(str, argv)], now)


def test_a_bundle_and_its_chain_hold_and_the_script_runs_by_itself(bundle, chain, capsys):
    assert verdict(chain) == 0
    head = json.loads((bundle / "bundle.json").read_text())["head"]
    asked = ("--signers", bundle / "signers", "--expect-head", head, "--holds", head)
    assert verdict(bundle, *asked) == 0
    said = capsys.readouterr().out
    assert f"head {head}" in said
    assert "edge::prod: 3 signed" in said
    argv = [sys.executable, "-I", "-S", str(bundle / "verify.py"), str(bundle)]
    # the real clock is later than the one of these manifests, or earlier: both are an answer
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 or "future" in done.stdout, done.stdout + done.stderr


def test_every_changed_byte_of_every_file_is_found(bundle):
    chance = random.Random(7)  # noqa: S311  # the same bytes in every run
    missed = []
    for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        spots = {0, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(FLIPS))}
        for spot in spots:
            other = whole[spot] ^ (1 << chance.randrange(8))
            path.write_bytes(whole[:spot] + bytes([other]) + whole[spot + 1 :])
            if verdict(bundle) == 0:
                missed.append(f"{path.relative_to(bundle)} at {spot}")
        path.write_bytes(whole)
    assert missed == []
    assert verdict(bundle) == 0


def test_every_byte_of_the_signature_counts(bundle):
    """It is the one file that no digest covers."""
    path = bundle / "bundle.json.sig"
    whole = path.read_bytes()
    for spot in range(0, len(whole), 7):
        path.write_bytes(whole[:spot] + bytes([whole[spot] ^ 1]) + whole[spot + 1 :])
        assert verdict(bundle) != 0, spot
    for more in (b"\n", b"A", b" "):
        path.write_bytes(whole + more)
        assert verdict(bundle) == 1


@pytest.mark.parametrize("folder", ["bundle", "chain"])
def test_files_that_came_or_went_are_found(folder, request):
    at = request.getfixturevalue(folder)
    for path in [p for p in at.rglob("*") if p.is_file()]:
        kept = path.read_bytes()
        path.unlink()
        assert verdict(at) != 0, path
        path.write_bytes(kept)
    (at / "more.json").write_text("{}")
    assert verdict(at) == 1


def test_a_name_of_a_file_says_nothing_to_the_terminal(chain, capsys):
    (chain / "\x1b[2Jall is well").mkdir()
    assert verdict(chain) == 1
    assert "\x1b" not in capsys.readouterr().out


def test_a_link_to_elsewhere_is_no_file(bundle, tmp_path):
    shutil.move(bundle / "results.json", tmp_path / "elsewhere.json")
    (bundle / "results.json").symlink_to(tmp_path / "elsewhere.json")
    assert verdict(bundle) == 1


def test_a_gap_a_fork_and_a_lost_end_are_found(chain, made, capsys):
    first, second, third = sorted(chain.glob("[0-9]*"))
    head = json.loads((third / "manifest.json").read_text())
    shutil.move(second, chain.parent / "kept")
    assert verdict(chain) == 1
    assert "no gap" in capsys.readouterr().out
    shutil.move(chain.parent / "kept", second)
    shutil.copytree(second, chain / f"{third.name[:6]}-{'0' * 12}")
    assert verdict(chain) == 1
    assert "no fork" in capsys.readouterr().out
    shutil.rmtree(chain / f"{third.name[:6]}-{'0' * 12}")
    known = sha256(canonical(head))
    assert verdict(chain, "--expect-head", known) == 0
    shutil.rmtree(third)  # what is left is a good chain, so only a head kept elsewhere shows it
    assert verdict(chain) == 0
    assert verdict(chain, "--expect-head", known) == 1
    assert verdict(chain, "--holds", known) == 1
    assert first.exists()


def sign(path, key):
    path.with_name(path.name + ".sig").unlink(missing_ok=True)
    argv = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", "loopback-evidence", str(path)]
    subprocess.run(argv, check=True, capture_output=True, timeout=30)


def rewrite(link, key, **changed):
    """A manifest altered by somebody who has a key, under the name of its new digest."""
    path = link / "manifest.json"
    text = canonical(json.loads(path.read_text()) | changed)
    path.write_bytes(text)
    sign(path, key)
    return link.rename(link.with_name(f"{link.name[:6]}-{sha256(text)[:12]}"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"made": "2031-01-01T00:00:00Z"}, "not made in the future"),
        ({"made": "2026-11-21T11:00:00Z"}, "not older than the one before"),
        ({"made": "yesterday"}, "says when it was made"),
        ({"previous": "0" * 64}, "follows"),
        ({"previous": None, "number": 1}, "follows number 2"),
        ({"stack": "test"}, "of the same stack"),
        ({"signer": "nobody@example.org"}, "is signed by"),
        ({"format": 2}, "has format 1"),
    ],
    ids=str,
)
def test_a_manifest_that_cannot_follow_is_found_though_it_is_signed(
    chain, made, changed, said, capsys
):
    rewrite(max(chain.glob("[0-9]*")), made.key, **changed)
    assert verdict(chain) == 1
    assert said in capsys.readouterr().out


def test_another_key_and_another_purpose_are_found(chain, made, tmp_path, capsys):
    make_key(tmp_path / "other")
    last = max(chain.glob("[0-9]*"))
    sign(last / "manifest.json", tmp_path / "other")
    assert verdict(chain) == 1
    assert "is signed by a key that" in capsys.readouterr().out
    sign(last / "manifest.json", made.key)
    assert verdict(chain) == 0
    line = (chain / "signers").read_text()
    (chain / "signers").write_text(line.replace("loopback-evidence", "git"))
    assert verdict(chain) == 1
    (chain / "signers").write_text("")
    assert verdict(chain) == 1


def test_a_bundle_made_anew_under_another_key_is_found_with_the_signers_of_before(
    bundle, made, tmp_path
):
    """Whoever writes everything anew writes `signers` as well; the one told elsewhere is safe."""
    make_key(tmp_path / "other")
    public = (tmp_path / "other.pub").read_text().strip()
    theirs = f'{SIGNER} namespaces="loopback-evidence" {public}\n'.encode()
    (bundle / "signers").write_bytes(theirs)
    previous = None
    for link in sorted((bundle / "chain").iterdir()):
        changed = {"previous": previous, "signers_sha256": sha256(theirs)}
        link = rewrite(link, tmp_path / "other", **changed)  # noqa: PLW2901  # it has a new name
        previous = sha256((link / "manifest.json").read_bytes())
    index = json.loads((bundle / "bundle.json").read_text())
    files = [p for p in bundle.rglob("*") if p.is_file() and not p.name.startswith("bundle.json")]
    digests = {p.relative_to(bundle).as_posix(): sha256(p.read_bytes()) for p in files}
    (bundle / "bundle.json").write_bytes(canonical(index | {"head": previous, "files": digests}))
    sign(bundle / "bundle.json", tmp_path / "other")
    assert verdict(bundle) == 0
    assert verdict(bundle, "--signers", made.chain / "signers") == 1
    assert verdict(bundle, "--expect-head", index["head"]) == 1


def test_what_is_no_evidence_is_told_apart(tmp_path, chain):
    assert verdict(tmp_path / "none") == 2
    last = max(chain.glob("[0-9]*"))
    (last / "manifest.json").write_text("[1]\n")
    assert verdict(chain) == 1
