"""`loopback update` on the deployed fleet: PoP by PoP, each out of traffic meanwhile."""

from __future__ import annotations

import re

import pytest

from loopback_iac.lab.image import BARE, ensure_image, pool_path
from loopback_iac.lab.mirror import KEYRING, SOURCES, ensure_signing_key, publish, render_sources

POPS = ("fra1", "par1")
UPGRADED = r"^(\S+ \S+) upgrade bird2:"


@pytest.fixture
def newer_bird(lab, fleet, repack):
    """A mirror with a newer BIRD that both PoPs are told to ask; told no more afterwards.

    The PoPs keep it: same programs, a higher number.
    """
    ensure_image(BARE)
    (old,) = pool_path(BARE).glob("bird2_*.deb")
    publish(lab.paths, [old, repack(old.parent, "bird2", "+lab1")])
    for pop in POPS:
        lab.exec(pop, ["mkdir", "-p", "/etc/apt/keyrings"])
        lab.exec(pop, ["tee", f"/{KEYRING}"], text=ensure_signing_key(lab.paths))
        lab.exec(pop, ["tee", f"/{SOURCES}"], text=render_sources(lab.topology))
    yield
    for pop in POPS:
        lab.exec(pop, ["rm", f"/{KEYRING}", f"/{SOURCES}"])


def moments(lab, pop: str, begun: float) -> dict[str, float]:
    """When the PoP left first, was updated (in whole seconds) and returned at last."""
    words = ["journalctl", "--no-pager", "-u", "loopback-watch", "-o", "short-unix"]
    said = lab.exec(pop, words).stdout
    told = re.findall(r"^(\d+\.\d+) .*: v4 is (\w+): (.*)$", said, re.MULTILINE)
    left = [float(at) for at, gate, _ in told if gate == "closed" and float(at) > begun]
    back = [float(at) for at, gate, _ in told if gate == "open" and float(at) > begun]
    log = re.findall(UPGRADED, lab.exec(pop, ["cat", "/var/log/dpkg.log"]).stdout, re.MULTILINE)
    at = lab.exec(pop, ["date", "-d", log[-1], "+%s"]).stdout
    return {"left": left[0], "updated": float(at), "back": back[-1]}


def test_pops_are_updated_one_after_the_other_each_out_of_traffic(lab, fleet, newer_bird):
    begun = float(lab.exec("fra1", ["date", "+%s.%N"]).stdout)
    done = fleet.loopback("update", "fra1", "par1", "--seconds=1")
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.findall(r"(\w+): bird2 \S+ -> \S+\+lab1, out of traffic", done.stdout)
    assert told == [*POPS]
    first, second = (moments(lab, pop, begun) for pop in POPS)
    for pop in (first, second):
        assert pop["left"] < pop["updated"] + 1
        assert pop["updated"] < pop["back"]
    # the second PoP was left alone until the first one served again
    assert first["back"] < second["left"]
    for pop in POPS:
        assert lab.exec(pop, ["dpkg-query", "-W", "bird2"]).stdout.strip().endswith("+lab1")
    fleet.await_whole()


def test_an_unknown_host_is_refused_with_the_names_there_are(fleet):
    refused = fleet.loopback("update", "fra9")
    assert refused.returncode == 2
    assert "no host fra9; there are fra1, par1, w1, w2" in refused.stderr
