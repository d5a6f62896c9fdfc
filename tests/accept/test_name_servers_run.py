"""Zones travel: signed by a real Knot, carried to a real Knot and a real NSD, answered alike."""

from __future__ import annotations

import dns.dnssec
import dns.name
import dns.rdatatype
import dns.rrset
import pytest

from loopback_iac.lab.names.machine import SECRET, Hosts, hosts
from loopback_iac.render import transfer_secret
from tests.accept.agent_step import take_step
from tests.accept.network import wait_for
from tests.golden import primaries

ZONE = "example.net."


@pytest.fixture(scope="module")
def travel(image, tmp_path_factory):
    case = primaries.load("two-servers")
    with hosts(image, tmp_path_factory.mktemp("dns"), case) as made:
        for machine in (made.primary, *made.servers.values()):
            machine.start()
        wait_for(lambda: made.primary.serial(ZONE) > 0)
        made.primary.knotc("zone-notify")
        made.wait_served(ZONE)
        made.wait_served("example.org.")
        yield made


def rrset_of(lines: list[str], kind: str) -> dns.rrset.RRset:
    found = [line.split(" ", 4) for line in lines]
    data = [parts[4] for parts in found if parts[3] == kind]
    owner, ttl = next((p[0], p[1]) for p in found if p[3] == kind)
    return dns.rrset.from_text_list(owner, int(ttl), "IN", kind, data)


def validated(travel: Hosts, server: str, name: str, kind: str) -> list[str]:
    """The answer of one server, its signature held against the keys that it serves itself."""
    machine = travel.servers[server]
    told = machine.ask(name, kind)
    keys = rrset_of(machine.ask(ZONE, "DNSKEY")["answer"], "DNSKEY")
    asked = rrset_of(told["answer"], kind)
    dns.dnssec.validate(asked, rrset_of(told["answer"], "RRSIG"), {dns.name.from_text(ZONE): keys})
    return sorted(told["answer"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (ZONE, "SOA"),
        (ZONE, "NS"),
        (ZONE, "MX"),
        (ZONE, "TXT"),
        (ZONE, "DNSKEY"),
        (ZONE, "CDS"),
        (ZONE, "CDNSKEY"),
        (ZONE, "ZONEMD"),
        (f"www.{ZONE}", "A"),
        (f"ns1.{ZONE}", "AAAA"),
    ],
)
def test_both_programs_answer_the_same_and_every_signature_holds(travel, name, kind):
    assert validated(travel, "fra1", name, kind) == validated(travel, "par1", name, kind)


def test_keys_are_ecdsa_p256_and_a_signature_outlives_the_soa(travel):
    told = travel.servers["par1"].ask(ZONE, "DNSKEY")["answer"]
    keys = rrset_of(told, "DNSKEY")
    assert {(key.algorithm, key.flags) for key in keys} == {(13, 256), (13, 257)}
    (signature,) = rrset_of(travel.servers["par1"].ask(ZONE, "SOA")["answer"], "RRSIG")
    soa = rrset_of(travel.servers["par1"].ask(ZONE, "SOA")["answer"], "SOA")[0]
    assert signature.expiration - signature.inception > 2 * soa.expire


def test_what_does_not_exist_is_denied_with_a_proof(travel):
    for server in travel.servers.values():
        told = server.ask(f"nothing.{ZONE}", "A")
        assert (told["rcode"], told["answer"]) == ("NXDOMAIN", [])
        kinds = {line.split(" ")[3] for line in told["authority"]}
        assert {"SOA", "NSEC", "RRSIG"} <= kinds


def test_an_answer_says_which_pop_gave_it(travel):
    for name, server in travel.servers.items():
        for address in travel.case.primary["servers"][name]["addresses"]:
            told = server.ask(ZONE, "SOA", address)
            assert (told["nsid"], told["aa"], told["rcode"]) == (name, True, "NOERROR")
        assert server.ask(ZONE, "SOA", tcp=True)["aa"]


def test_the_list_of_zones_is_nobodys_business(travel):
    for server in travel.servers.values():
        for tcp in (False, True):
            told = server.ask("catalog.invalid.", "SOA", tcp=tcp)
            assert not told.get("answer"), told


def axfr(travel: Hosts, asker: str, **key: object) -> dict[str, object]:
    return travel.servers[asker].ask(
        ZONE, "AXFR", travel.case.hosts["primary"]["ipv4"], transfer=True, **key
    )


def test_a_transfer_needs_the_key_of_whoever_asks(travel):
    own = ["loopback-fra1", transfer_secret(SECRET, "fra1")]
    assert len(axfr(travel, "fra1", tls=True, key=own)["answer"]) > 20
    assert "error" in axfr(travel, "fra1", tls=True)
    wrong = [own[0], transfer_secret("wrong", "fra1")]
    assert "error" in axfr(travel, "fra1", tls=True, key=wrong)
    # the key of one name server in the hands of another
    assert "error" in axfr(travel, "par1", tls=True, key=own)
    # the right key, in clear
    assert axfr(travel, "fra1", key=own)["error"].startswith("TransferError")
    # nobody transfers from a name server, whatever key he has
    for server in travel.servers.values():
        assert "error" in server.ask(ZONE, "AXFR", server.address, transfer=True, key=own)


def test_a_change_travels(travel):
    before = travel.primary.serial(ZONE)
    text = travel.zone_text(ZONE)
    travel.put(ZONE, text.replace("203.0.113.10", "203.0.113.11") + "new 300 IN A 203.0.113.12\n")
    assert travel.load(ZONE).returncode == 0
    assert travel.primary.serial(ZONE) > before
    travel.wait_served(ZONE)
    for server in travel.servers.values():
        assert server.answer(f"www.{ZONE}", "A") == ["203.0.113.11"]
        assert server.answer(f"new.{ZONE}", "A") == ["203.0.113.12"]
    # the roll back: the old file under a newer serial
    travel.put(ZONE, text)
    assert travel.load(ZONE).returncode == 0
    travel.wait_served(ZONE)
    for server in travel.servers.values():
        assert server.answer(f"www.{ZONE}", "A") == ["203.0.113.10"]
        assert server.ask(f"new.{ZONE}", "A")["rcode"] == "NXDOMAIN"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("www IN CNAME mail\n", "CNAME"),
        ("www IN A 203.0.113.300\n", "failed to parse"),
    ],
)
def test_a_broken_zone_is_refused_and_the_old_one_served(travel, wrong, says):
    text, before = travel.zone_text(ZONE), travel.primary.serial(ZONE)
    travel.put(ZONE, text + wrong)
    refused = travel.load(ZONE)
    assert refused.returncode != 0
    assert says in travel.primary.log
    assert travel.primary.serial(ZONE) == before
    for server in travel.servers.values():
        assert server.answer(f"www.{ZONE}", "A") == ["203.0.113.10"]
    travel.put(ZONE, text)
    assert travel.load(ZONE).returncode == 0


OTHER = "example.org."


@pytest.mark.parametrize("broken", [ZONE, OTHER])
def test_one_of_several_zones_that_is_broken_leaves_none_changed(travel, broken):
    """The agent's own step: both zones are asked for, one is refused, and both go back."""
    texts = {name: travel.zone_text(name) for name in (ZONE, OTHER)}
    load = (travel.primary, "zones.load_zones", ZONE, OTHER)
    for name, text in texts.items():
        wrong = "new IN CNAME a\nnew IN CNAME b\n" if name == broken else ""
        travel.put(name, f"{text}new 300 IN TXT new\n{wrong}")
    refused = take_step(*load)
    (whole,) = texts.keys() - {broken}
    assert refused.returncode == 1
    assert f"knot did not load {broken}:" in refused.stderr
    assert whole not in refused.stderr
    assert travel.primary.answer(f"new.{whole}", "TXT")
    assert not travel.primary.answer(f"new.{broken}", "TXT")
    for name, text in texts.items():
        travel.put(name, text)
    assert take_step(*load).returncode == 0
    for name in texts:
        assert not travel.primary.answer(f"new.{name}", "TXT")
        travel.wait_served(name)
