"""What a validating resolver has of a zone while its operators, its keys or its parent fail.

The resolver is strict: what is bogus once is bogus, no other name server is asked for it. It is
asked steadily all the time, half of the questions for names that nobody asked for before.
"""

from __future__ import annotations

import dns.dnssec
import dns.name
import dns.rdata
import pytest

from loopback_iac.render import transfer_secret
from tests.accept.dns_hosts import SECRET
from tests.accept.hierarchy import PRIMARY, SERVICE, ZONE, hierarchy, wait_answering
from tests.accept.network import wait_for

RATE = 60
DS_TTL_S = 8
ENOUGH = 40
WRONG = "12345 13 2 " + "AB" * 32


@pytest.fixture(scope="module")
def tree(image, tmp_path_factory):
    with hierarchy(image, tmp_path_factory.mktemp("tree"), ds_ttl_s=DS_TTL_S) as made:
        made.resolver.load(RATE)
        yield made


def all_secure(tally):
    return tally == dict.fromkeys(tally, 0) | {"asked": tally["asked"], "secure": tally["asked"]}


def assert_goes_on(resolver):
    """Questions are answered and validated, all of a stretch; until one is so, none was bogus.

    A machine that stands still leaves questions of a stretch without their answer, and the next
    one whole.
    """

    def whole():
        tally = resolver.after(ENOUGH)
        assert (tally["bogus"], tally["insecure"]) == (0, 0), (tally, resolver.log[-2000:])
        return all_secure(tally)

    wait_for(whole, 60)


def verdicts(report):
    return {one.server.name: one.verdict for one in report.servers}


def test_all_is_well_before_anything_fails(tree):
    assert_goes_on(tree.resolver)
    report = tree.check(parent=True)
    assert verdicts(report) == {"fra1": "equal", "par1": "equal"}, report
    assert report.equal


@pytest.mark.parametrize("name", SERVICE)
def test_one_operator_is_lost_wholly(tree, name):
    lost = tree.servers[name]
    towards = [PRIMARY, *(resolver.address for resolver in tree.resolvers)]
    with tree.silent(name, *towards):
        lost.stop(kill=True)
        tree.change(f"lost-{name} A 203.0.113.20")
        assert_goes_on(tree.resolver)
    lost.start()
    wait_answering(lost, ZONE)
    tree.below.wait_served(ZONE)
    assert lost.answer(f"lost-{name}.{ZONE}", "A") == ["203.0.113.20"]
    # what was silent, a resolver asks seldom for a while
    tree.resolver.begin_anew()
    assert_goes_on(tree.resolver)


def test_the_primary_is_lost_for_longer_than_the_zones_refresh(tree):
    tree.primary.stop(kill=True)
    seen = len(tree.servers["fra1"].log)
    # refresh is 2 s, retry 1 s: it asked in its time, and again
    wait_for(lambda: tree.servers["fra1"].log[seen:].count("no usable master") >= 2, 30)
    assert_goes_on(tree.resolver)
    tree.primary.start()
    wait_answering(tree.primary, ZONE)
    tree.change("back A 203.0.113.21")
    tree.below.wait_served(ZONE)
    assert_goes_on(tree.resolver)


def test_a_frozen_server_is_named_and_still_valid(tree):
    before = tree.servers["par1"].serial(ZONE)
    with tree.silent("par1", PRIMARY):
        tree.change("frozen A 203.0.113.22")
        tree.below.wait_served(ZONE, "fra1")
        report = tree.check()
        assert verdicts(report) == {"fra1": "equal", "par1": "lagging"}
        assert {one.server for one in report.findings} == {"par1"}
        assert tree.servers["par1"].serial(ZONE) == before
        assert_goes_on(tree.resolver)
    tree.below.wait_served(ZONE)
    assert verdicts(tree.check()) == {"fra1": "equal", "par1": "equal"}


def as_file(tree):
    """The signed zone as the primary hands it out."""
    key = ["loopback-par1", transfer_secret(SECRET, "par1")]
    told = tree.servers["par1"].ask(ZONE, "AXFR", PRIMARY, transfer=True, tls=True, key=key)
    return "\n".join(told["answer"]) + "\n"


def test_one_record_altered_on_one_server_is_bogus_and_another_is_asked(tree):
    altered = as_file(tree).replace("A 203.0.113.10", "A 203.0.113.66")
    server = tree.servers["par1"]
    path = server.ground / "etc/nsd/nsd.conf"
    own = path.read_text()
    options = own[: own.index("pattern:")].replace("/var/lib/nsd/", "/var/lib/nsd/altered-")
    server.stop()
    (server.ground / "var/lib/nsd/altered").write_text(altered)
    path.write_text(f'{options}zone:\n  name: "{ZONE}"\n  zonefile: "altered"\n')
    server.start()
    wait_answering(server, ZONE)
    wait_for(lambda: server.answer(f"www.{ZONE}", "A") == ["203.0.113.66"], 30)
    report = tree.check()
    assert verdicts(report) == {"fra1": "equal", "par1": "tampered"}
    found = {(one.server, one.owner, one.type) for one in report.findings}
    assert ("par1", f"www.{ZONE}", "A") in found
    # strict, that answer is bogus, each time this server is asked; never is it taken
    tree.resolver.mark()
    wait_for(lambda: tree.resolver.mark()["bogus"] > 0, 30)
    tree.usual.load(RATE)
    # as resolvers are delivered, another name server is asked, and clients notice nothing
    assert_goes_on(tree.usual)
    tree.usual.rest()
    assert tree.resolver.mark()["insecure"] == 0
    server.stop()
    path.write_text(own)
    server.start()
    wait_answering(server, ZONE)
    tree.below.wait_served(ZONE)
    tree.resolver.begin_anew()
    assert_goes_on(tree.resolver)


def assert_rolled(tree, rolled):
    """The rollover ends, and not one answer was bogus or without validation since it began."""
    wait_for(rolled, 60)
    for tally in (
        tree.resolver.mark(),
        # keys that it had kept, for their TTL of a second, are asked for anew
        tree.resolver.after(2 * RATE),
    ):
        assert (tally["bogus"], tally["insecure"]) == (0, 0), (tally, tree.resolver.log[-2000:])
    assert_goes_on(tree.resolver)


def test_a_zone_signing_key_rolls_under_load(tree):
    tree.resolver.mark()
    assert_rolled(tree, tree.begin_roll("zsk"))


def test_a_key_signing_key_rolls_under_load_while_caches_have_the_ds_from_before(tree):
    """That DS lives in caches for as long as `ds_ttl_s` says, and the primary dies meanwhile."""
    tree.set_ds(*tree.parent.answer(ZONE, "DS"), ttl_s=DS_TTL_S)
    seen = len(tree.primary.log)
    rolled = tree.begin_roll("ksk")
    wait_for(lambda: "KSK submission, waiting" in tree.primary.log[seen:], 60)
    # from here on it has the DS from before, for all of its time
    tree.resolver.begin_anew()
    wait_for(lambda: "KSK submission, confirmed" in tree.primary.log[seen:], 60)
    tree.primary.stop(kill=True)
    tree.primary.start()
    wait_answering(tree.primary, ZONE)
    assert_rolled(tree, rolled)
    (entry,) = tree.keys(tree.primary, "ksk")
    assert tree.parent.answer(ZONE, "DS") == [ds_of(entry)]


def ds_of(key):
    found = dns.dnssec.make_ds(
        dns.name.from_text(ZONE), dns.rdata.from_text("IN", "DNSKEY", key), "SHA256"
    )
    return found.to_text()


def test_a_wrong_ds_is_refused_beforehand_and_ends_the_zone_where_it_is_put(tree):
    (right,) = tree.parent.answer(ZONE, "DS")
    assert [line.lower() for line in tree.gate().records(ZONE)] == [f"{ZONE} in ds {right}"]
    report = tree.check(ds=[WRONG])
    assert "ds-no-key" in {one.rule for one in report.findings}

    tree.set_ds(WRONG)

    def all_bogus():
        tally = tree.resolver.mark()
        return tally["bogus"] == tally["asked"] > 0

    wait_for(all_bogus, 30)
    wait_for(lambda: tree.usual.ask(f"www.{ZONE}", "A")["rcode"] == "SERVFAIL", 30)
    report = tree.check(parent=True)
    assert "ds-no-key" in {one.rule for one in report.findings}
    tree.set_ds(right)
    # what it found wrong, a resolver holds for wrong for a minute
    tree.resolver.begin_anew()
    assert_goes_on(tree.resolver)
