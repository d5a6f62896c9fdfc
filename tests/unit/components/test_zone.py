"""What DnsZone declares and refuses; tests/accept runs it against stand-ins."""

from __future__ import annotations

import json
import sys
from typing import Any

import pulumi
import pytest

from loopback_iac.components import DnsZone
from loopback_iac.components.boundary import RejectedInputs
from loopback_iac.components.zone_order import find_transfer
from tests.unit.components.recording import Cloud

TOKEN = "a token of IONOS"
KEY = "c2VjcmV0IG9mIHRoaXMgdGVzdA=="
OWN = {
    "hetzner": ["hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com.", "helium.ns.hetzner.de."],
    "ionos": [f"ns-ic.ui-dns.{tld}." for tld in ("com", "de", "org", "biz")],
    "secondary": [f"nscs.ui-dns.{tld}." for tld in ("com", "de", "org", "biz")],
}
TRANSFERS = {
    "hetzner": {"addresses": ["198.51.100.53"], "key_name": "hetzner", "secret": KEY},
    "ionos": {"addresses": ["198.51.100.53"]},
}


def answer(args: Any, count: int) -> tuple[str, dict[str, Any]]:
    """As the two clouds answer."""
    said = {
        "hcloud:index/zone:Zone": {"authoritativeNameservers": {"assigneds": OWN["hetzner"]}},
        "ionoscloud:dns/zone:Zone": {"nameservers": OWN["ionos"]},
        "command:local:Command": {"stdout": json.dumps({"name_servers": OWN["secondary"]})},
    }
    return f"{count}", said.get(args.typ, {})


@pytest.fixture(scope="module")
def transferred(declare, hosts):
    def program():
        made = DnsZone(
            "net",
            {
                "zone": "example.net",
                "records": {"@": {"NS": OWN["secondary"]}, "www": {"A": ["192.0.2.1"]}},
                "transfers": pulumi.Output.secret(TRANSFERS),
                "operators": {
                    "own-anycast": {},
                    "hetzner": {},
                    "ionos": {"token": pulumi.Output.secret(TOKEN)},
                },
                "parent": {
                    "addresses": ["192.0.2.200"],
                    "key_name": "ds",
                    "secret": pulumi.Output.secret(KEY),
                },
            },
        )
        made.name_servers.apply(hosts.update)

    return declare(Cloud(answer), program)


def test_a_secondary_is_one_resource_whatever_is_in_the_zone(transferred, hosts):
    assert set(transferred.made) == {"net", "net-hetzner", "net-ionos", "net-ds-out"}
    assert hosts == {"hetzner": OWN["hetzner"], "ionos": OWN["secondary"]}
    order = json.loads(transferred.made["net-ionos"].inputs["stdin"]["value"])
    assert order == {
        "zone": "example.net.",
        "primaries": ["198.51.100.53"],
        "token": TOKEN,
        "endpoint": "https://dns.de-fra.ionos.com",
    }


def test_no_secret_stands_in_a_plain_input(transferred):
    for name, resource in transferred.made.items():
        for key, value in resource.inputs.items():
            wrapped = isinstance(value, dict) and "value" in value
            shown = any(secret in str(value) for secret in (TOKEN, KEY))
            assert wrapped or not shown, f"{name}.{key}"


def test_the_primary_is_named_with_its_key(transferred):
    given = transferred.made["net-hetzner"].inputs["primaryNameservers"]["value"]
    key = {"tsigAlgorithm": "hmac-sha256", "tsigKey": KEY}
    assert given == [{"address": "198.51.100.53", "port": 53, **key}]


def test_who_serves_the_parent_is_asked_before_anything_goes(transferred):
    asked = transferred.made["net-ds-out"]
    assert asked.inputs["delete"].endswith("loopback dns ds-out")
    order = json.loads(asked.inputs["stdin"]["value"])
    assert order["addresses"] == ["192.0.2.200"]
    assert order["signed"] is True


@pytest.fixture(scope="module")
def filled(declare):
    def program():
        DnsZone(
            "net",
            {
                "zone": "example.net",
                "mode": "api",
                "operators": {"hetzner": {}, "ionos": {}},
                "parent": {"addresses": ["192.0.2.200"]},
                "records": {
                    "@": {"NS": OWN["hetzner"] + OWN["ionos"]},
                    "www": {"A": ["192.0.2.1", "192.0.2.2"]},
                },
            },
        )

    return declare(Cloud(answer), program)


def test_an_rrset_is_one_resource_at_hetzner_and_one_per_record_at_ionos(filled):
    kinds = [resource.typ for resource in filled.made.values()]
    assert kinds.count("hcloud:index/zoneRrset:ZoneRrset") == 1
    assert kinds.count("hcloud:index/zoneRecord:ZoneRecord") == len(OWN["ionos"])
    assert kinds.count("ionoscloud:dns/record:Record") == 2 + len(OWN["hetzner"])
    www = filled.made["net-hetzner-www-A"].inputs
    assert www["records"] == [{"value": "192.0.2.1"}, {"value": "192.0.2.2"}]


def test_an_unsigned_zone_is_looked_for_at_its_parent_first_and_last(filled):
    look, out = filled.made["net-ds-look"], filled.made["net-ds-out"]
    assert look.inputs["create"].endswith("loopback dns ds-look")
    assert json.loads(look.inputs["stdin"]["value"])["signed"] is False
    assert "create" not in out.inputs
    assert out.inputs["delete"].endswith("loopback dns ds-out")


def test_nobody_is_asked_and_what_would_have_asked_is_there_all_the_same(declare):
    """Were it deleted with `parent`, it would take out the DS of a zone that stays."""

    def program():
        records = {"@": {"NS": OWN["hetzner"]}}
        DnsZone(
            "net", {"zone": "example.net", "operators": {"own-anycast": {}}, "records": records}
        )

    out = declare(Cloud(answer), program).made["net-ds-out"]
    assert not {"create", "update", "delete", "stdin"} & out.inputs.keys()


def test_a_primary_that_does_not_know_an_operator_is_named():
    with pytest.raises(RejectedInputs) as refused:
        find_transfer("net", "ionos", {"hetzner": {"addresses": ["198.51.100.53"]}})
    assert "transfer-unknown" in str(refused.value)


def test_separate_keys_are_refused_before_anything_is_declared(loop):
    wrong: dict[str, Any] = {"zone": "example.net", "operators": {"hetzner": {}}}
    with pytest.raises(RejectedInputs) as refused:
        DnsZone("net", {**wrong, "signing": "operators", "transfers": {}, "records": {}})
    assert "177 failed" in str(refused.value)


ACCOUNT = "0123456789abcdef0123456789abcdef"
AT_CLOUDFLARE = {"account_id": ACCOUNT}


def answer_cloudflare(args: Any, count: int) -> tuple[str, dict[str, Any]]:
    servers = {"nameServers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"]}
    said = {"cloudflare:index/zone:Zone": servers}
    return f"{count}", said.get(args.typ, {})


def test_cloudflare_is_a_secondary_with_a_key_and_the_signatures_as_they_come(declare, hosts):
    source = {"addresses": ["198.51.100.53"], "key_name": "loopback-cloudflare", "secret": KEY}

    def program():
        records = {"@": {"NS": OWN["hetzner"]}, "www": {"A": ["192.0.2.1"]}}
        zone: dict[str, Any] = {"zone": "example.net", "records": records}
        transfers = pulumi.Output.secret({"cloudflare": source})
        operators = {"cloudflare": AT_CLOUDFLARE}
        made = DnsZone("far", {**zone, "transfers": transfers, "operators": operators})
        made.name_servers.apply(hosts.update)

    made = declare(Cloud(answer_cloudflare), program).made
    assert hosts["cloudflare"] == ["ada.ns.cloudflare.com.", "bob.ns.cloudflare.com."]
    assert made["far-cloudflare"].inputs["type"] == "secondary"
    assert made["far-cloudflare"].inputs["account"] == {"id": ACCOUNT}
    key = made["far-cloudflare-key"].inputs
    assert (key["name"], key["algo"]) == ("loopback-cloudflare.", "hmac-sha256.")
    assert key["secret"]["value"] == KEY
    peer = made["far-cloudflare-peer"].inputs
    assert (peer["ip"], peer["port"]) == ("198.51.100.53", 53)
    assert made["far-cloudflare-dnssec"].inputs["dnssecPresigned"] is True
    assert made["far-cloudflare-incoming"].inputs["autoRefreshSeconds"] == 300


def test_no_record_at_cloudflare_is_proxied_and_names_of_others_are_served(declare):
    def program():
        records = {"@": {"NS": OWN["hetzner"]}, "www": {"A": ["192.0.2.1"], "TXT": ["a b"]}}
        zone = {"zone": "example.net", "mode": "api", "records": records}
        DnsZone("near", {**zone, "operators": {"cloudflare": AT_CLOUDFLARE}})

    made = declare(Cloud(answer_cloudflare), program).made
    records = [r.inputs for r in made.values() if r.typ == "cloudflare:index/dnsRecord:DnsRecord"]
    assert len(records) == 5
    assert all(record["proxied"] is False and record["ttl"] == 3600 for record in records)
    assert {record["content"] for record in records} >= {"192.0.2.1", '"a b"'}
    settings = made["near-cloudflare-settings"].inputs
    assert settings["multiProvider"] is True
    assert settings["flattenAllCnames"] is False


def test_a_transfer_to_cloudflare_without_a_key_is_refused():
    # its SDK takes seconds to load: not in every process that merely collects tests
    from loopback_iac.components.zone_cloudflare import _keyed  # noqa: PLC0415

    with pytest.raises(RejectedInputs) as refused:
        _keyed("net", {"addresses": ["198.51.100.53"]})
    assert "transfer-unsigned" in str(refused.value)


def test_an_absent_sdk_is_named_with_the_way_to_get_it(loop, monkeypatch):
    monkeypatch.setitem(sys.modules, "pulumi_cloudflare", None)
    monkeypatch.delitem(sys.modules, "loopback_iac.components.zone_cloudflare", raising=False)
    zone = {"zone": "example.net", "mode": "api", "records": {"@": {"NS": OWN["hetzner"]}}}
    with pytest.raises(RejectedInputs) as refused:
        DnsZone("gone", {**zone, "operators": {"cloudflare": AT_CLOUDFLARE}})
    assert "pip install 'loopback-iac[cloudflare]'" in str(refused.value)
