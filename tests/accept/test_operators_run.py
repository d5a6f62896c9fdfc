"""A zone at three operators: the component, the engine, the stand-ins, real NSD and Knot."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from loopback_iac.cli.degraded import render_degraded
from loopback_iac.dns import parse_primary_zones, render_primary_zones
from loopback_iac.engine import Options, Result, destroy, read_undone, up
from loopback_iac.engine.passphrase import Crypter
from loopback_iac.lab.cloud.book import Shelf
from loopback_iac.lab.cloud.switches import Fault, Switches, set_switches
from loopback_iac.lab.names.machine import SECRET, Machine
from loopback_iac.model import parse_hosts, parse_primary
from loopback_iac.model.name_server import transfer_key
from loopback_iac.remote.ionos_dns import IonosDnsError, SecondaryZones
from loopback_iac.render import render_primary, transfer_secret
from tests.accept.clouds import ADDRESS, PRIMARY, TOKENS, Clouds, clouds
from tests.accept.ds_parent import ADDRESS as DS_ADDRESS
from tests.accept.ds_parent import DS, parent_in
from tests.accept.network import wait_for

HERE = Path(__file__).parent
LAB = HERE.parents[1] / "loopback_iac/lab/plugins"
PASSPHRASE = "correct horse battery staple"
CRYPTER = Crypter.create(PASSPHRASE)
OPERATORS = ("cloudflare", "hcloud", "ionoscloud")
ACCOUNT = "0123456789abcdef0123456789abcdef"
TOKEN_KEYS = {"cloudflare": "apiToken"}
OWN_NS = [
    "ada.ns.cloudflare.com.",
    "bob.ns.cloudflare.com.",
    "hydrogen.ns.hetzner.com.",
    "oxygen.ns.hetzner.com.",
    "helium.ns.hetzner.de.",
    *(f"ns-ic.ui-dns.{tld}." for tld in ("com", "de", "org", "biz")),
]
RECORDS: dict[str, Any] = {
    "@": {
        "NS": OWN_NS,
        "MX": ["10 mail"],
        "TXT": ["v=spf1 mx -all", 'say "grüß gott"; \\ and ' + "long " * 60],
    },
    "mail": {"AAAA": ["2001:db8::25"]},
    "www": {"A": {"ttl_s": 300, "values": ["192.0.2.10", "192.0.2.11"]}},
    "alias": {"CNAME": ["www"]},
    "*.apps": {"A": ["192.0.2.12"]},
    "_sip._tcp": {"SRV": ["1 2 5060 mail"]},
    "svc": {"HTTPS": ["1 . alpn=h2"]},
}
TSIG_WAIVED = "IONOS' secondary zones have no key"


@pytest.fixture(scope="module")
def two():
    with clouds() as found:
        yield found


def deploy(
    folder: Path, verb: Any, zone: dict[str, Any], *, go_on: bool = False, **secrets: Any
) -> Result:
    """Run a verb over the program with this zone."""
    plugins = [{"name": n, "path": str(LAB / n)} for n in (*OPERATORS, "command")]
    project = {
        "name": "t",
        "runtime": "python",
        "main": str(HERE / "programs/zone"),
        "plugins": {"providers": plugins},
    }
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    tokens = {f"{cloud}:{TOKEN_KEYS.get(cloud, 'token')}": TOKENS[cloud] for cloud in OPERATORS}
    sealed = {f"t:{k}": v if isinstance(v, str) else json.dumps(v) for k, v in secrets.items()}
    config: dict[str, Any] = {"t:zone": zone}
    for key, text in (tokens | sealed).items():
        config[key] = {"secure": CRYPTER.encrypt(text)}
    document = {"encryptionsalt": CRYPTER.salt, "config": config}
    (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump(document))
    return verb(Options(directory=folder, passphrase=PASSPHRASE, continue_on_error=go_on))


def zone_of(mode: str, records: dict[str, Any], **more: Any) -> dict[str, Any]:
    operators = {"cloudflare": {"account_id": ACCOUNT}, "hetzner": {}, "ionos": {}}
    return {"zone": "example.net", "mode": mode, "operators": operators, "records": records, **more}


def served(two: Clouds, cloud: str, zone: str = "example.net") -> dict[tuple[str, str], list[str]]:
    """Everything that was declared, as one operator answers it."""
    return {
        (name, kind): two.answer(cloud, f"{name}.{zone}.".removeprefix("@."), kind)
        for name, types in RECORDS.items()
        for kind in types
    }


@pytest.fixture
def parent(two, image, tmp_path, monkeypatch):
    """The parent of held.example, which Commands see, as they would on an operator's machine."""
    inside = tmp_path / "bin" / "loopback"
    inside.parent.mkdir()
    words = f"nsenter --net=/run/netns/{two.net.name} {Path(sys.executable).parent}/loopback"
    inside.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    inside.chmod(0o755)
    monkeypatch.setenv("PATH", f"{inside.parent}:{os.environ['PATH']}")
    with parent_in(two.net, image, tmp_path / "parent") as found:
        yield found


def test_a_zone_by_api_from_its_first_day_to_its_last(two, parent, tmp_path):
    zone = zone_of("api", RECORDS, zone="held.example", parent={"addresses": [DS_ADDRESS]})
    # unsigned answers beside a DS would be bogus: nothing is declared at any operator
    change_ds(parent, "set")
    refused = deploy(tmp_path, up, {**zone, "operators": {"hetzner": {}, "ionos": {}}})
    assert "no validating resolver" in told(refused)
    assert not held(two)
    change_ds(parent, "unset")

    made = deploy(tmp_path, up, zone)
    assert made.ok, made.diagnostics
    for cloud in OPERATORS:
        # a server reads what it was told in its own time
        wait_for(lambda: all(served(two, cloud, "held.example").values()))  # noqa: B023  # called at once
    both = [served(two, cloud, "held.example") for cloud in OPERATORS]
    assert both[0] == both[1]
    assert both[0]["@", "NS"] == sorted(OWN_NS)
    assert both[0]["www", "A"] == ["192.0.2.10", "192.0.2.11"]
    assert both[0]["alias", "CNAME"] == ["www.held.example."]
    assert made.plain_outputs["nameServers"]["hetzner"] == OWN_NS[2:5]
    assert made.plain_outputs["nameServers"]["cloudflare"] == OWN_NS[:2]

    outage(two, tmp_path, zone)

    # somebody signed it after all; who is no longer asked keeps the DS, and the zone its operators
    change_ds(parent, "set")
    unasked = deploy(tmp_path, up, {key: zone[key] for key in zone if key != "parent"})
    assert unasked.ok, unasked.diagnostics
    assert parent.answer("held.example.", "DS") != []
    assert len(held(two)) == len(OPERATORS)
    change_ds(parent, "unset")
    again = deploy(tmp_path, up, zone)
    assert again.ok, again.diagnostics

    # asked again, it stays until the DS is out
    change_ds(parent, "set")
    stopped = deploy(tmp_path, destroy, zone)
    assert "take the DS out at the registrar" in told(stopped)
    assert len(held(two)) == len(OPERATORS)
    change_ds(parent, "unset")
    gone = deploy(tmp_path, destroy, zone)
    assert gone.ok, gone.diagnostics
    assert not held(two)


def outage(two: Clouds, folder: Path, zone: dict[str, Any]) -> None:
    """Hetzner's API is down: the others get the change, and the next run brings it to Hetzner."""
    www, svc = "www.held.example.", "svc.held.example."
    down = [Fault("hcloud", v, "zone_rrset", "unavailable", times=99) for v in ("update", "delete")]
    set_switches(Shelf(two.paths), Switches(down))
    changed = {**RECORDS, "www": {"A": {"ttl_s": 300, "values": ["192.0.2.99"]}}}
    del changed["svc"]
    half = deploy(folder, up, {**zone, "records": changed}, go_on=True)
    assert "service temporarily unavailable" in told(half)
    failed = {item.name for item in half.undone}
    assert failed == {"net-hetzner-www-A", "net-hetzner-svc-HTTPS"}
    said = render_degraded(half)
    assert said[0] == "degraded: zone held.example"
    kept = read_undone(Options(directory=folder, passphrase=PASSPHRASE))
    assert render_degraded(kept[1]) == said  # from the state alone
    assert said[1].startswith("  hetzner has not taken all of it: 2 failed (net-hetzner-")
    assert said[2] == "  cloudflare, ionos: all of it was done there"
    # nothing else of the zone changes: what the operators have is what was declared
    touched = {change.name for change in half.changes if change.op != "same"}
    assert all("www-A" in name or "svc-HTTPS" in name for name in touched), touched
    for cloud in ("cloudflare", "ionoscloud"):
        wait_for(lambda: two.answer(cloud, www, "A") == ["192.0.2.99"])  # noqa: B023  # called at once
        wait_for(lambda: not two.answer(cloud, svc, "HTTPS"))  # noqa: B023  # called at once
    assert two.answer("hcloud", www, "A") == ["192.0.2.10", "192.0.2.11"]
    assert two.answer("hcloud", svc, "HTTPS")
    set_switches(Shelf(two.paths), Switches())
    healed = deploy(folder, up, {**zone, "records": changed})
    assert healed.ok, healed.diagnostics
    assert read_undone(Options(directory=folder, passphrase=PASSPHRASE)) is None
    wait_for(lambda: two.answer("hcloud", www, "A") == ["192.0.2.99"])
    wait_for(lambda: not two.answer("hcloud", svc, "HTTPS"))


def told(result: Result) -> str:
    """Why a run failed, in one line."""
    assert not result.ok
    return " ".join(str(result.diagnostics).split())


def change_ds(parent: Machine, verb: str) -> None:
    """Set or unset the DS of held.example, as a registrar would."""
    data = [] if verb == "unset" else ["3600"]
    for words in (
        ["zone-begin", "example."],
        [f"zone-{verb}", "example.", "held.example.", *data, *DS.split()],
        ["zone-commit", "example."],
    ):
        done = parent.knotc(*words)
        assert done.returncode == 0, done.stdout + done.stderr


def held(two: Clouds) -> list[str]:
    """Every zone of both accounts."""
    books = [Shelf(two.paths).read(cloud) for cloud in OPERATORS]
    kinds = ("zone", "dns_zone", "secondary_zone", "peer", "tsig")
    return [ident for book in books for kind in kinds for ident in book.of(kind)]


def primary_of(records: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """A hidden primary with this zone, for two operators and a name server that is not there."""
    primary = parse_primary(
        "dns",
        {
            "admin_sources": ["198.51.100.0/28"],
            "host": "late",
            "transfer_secret": "late",
            "servers": {"fra1": {"host": "late"}},
            "operators": {
                "cloudflare": {"addresses": [ADDRESS["cloudflare"]]},
                "hetzner": {"addresses": [ADDRESS["hcloud"]], "key_name": "hetzner"},
                "ionos": {"addresses": [ADDRESS["ionoscloud"]], "tsig_waived_because": TSIG_WAIVED},
            },
            "zones": {"example.net": {"records": records}},
        },
    )
    return primary, render_primary_zones(primary, parse_primary_zones(primary))


def put(machine: Machine, records: dict[str, Any]) -> None:
    primary, zones = primary_of(records)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD"
    trees = {"primary": {"ipv4": PRIMARY, "host_key": key}}
    trees["fra1"] = {"ipv4": "192.0.2.77", "host_key": key}
    machine.put(render_primary(primary, parse_hosts("dns", trees), zones))


def test_secondaries_have_what_the_hidden_primary_signed(two, image, tmp_path):
    ns = [*(f"nscs.ui-dns.{tld}." for tld in ("com", "de", "org", "biz")), *OWN_NS[2:5]]
    ns += ["ns0001.secondary.cloudflare.com.", "ns0002.secondary.cloudflare.com."]
    records = {**RECORDS, "@": {**RECORDS["@"], "NS": ns}}
    machine = Machine("primary", two.net, tmp_path / "ground", image, PRIMARY)
    machine.prepare()
    put(machine, records)
    machine.start()
    transfers = {
        "cloudflare": {
            "addresses": [PRIMARY],
            "key_name": transfer_key("cloudflare"),
            "secret": transfer_secret(SECRET, "cloudflare"),
        },
        "hetzner": {
            "addresses": [PRIMARY],
            "key_name": "hetzner",
            "secret": transfer_secret(SECRET, "hetzner"),
        },
        "ionos": {"addresses": [PRIMARY]},
    }
    zone = zone_of("transfer", records)
    zone["operators"]["ionos"]["endpoint"] = "http://127.0.0.1:9"  # nothing listens there
    secrets = {"transfers": transfers, "ionosToken": TOKENS["ionoscloud"]}
    wait_for(lambda: machine.serial("example.net.") > 0)
    # one operator's API takes no connection: the others have the zone all the same
    later = zone["operators"].pop("cloudflare")
    half = deploy(tmp_path, up, zone, go_on=True, **secrets)
    assert [item.name for item in half.undone] == ["net-ionos"]
    assert "  hetzner: all of it was done there" in render_degraded(half)
    wait_for(lambda: bool(signed(two, "hcloud", "www", "A")))
    assert not two.answer("ionoscloud", "www.example.net.", "A")
    zone["operators"]["ionos"]["endpoint"] = two.endpoint
    zone["operators"]["cloudflare"] = later
    made = deploy(tmp_path, up, zone, **secrets)
    assert made.ok, made.diagnostics
    # a handful of resources, whatever is in the zone
    custom = [c.name for c in made.changes if c.custom and "pulumi:providers" not in c.type]
    ours = [f"net-cloudflare{part}" for part in ("", "-dnssec", "-incoming", "-key", "-peer")]
    assert sorted(custom) == [*ours, "net-ds-out", "net-hetzner", "net-ionos"]
    assert made.plain_outputs["nameServers"]["ionos"] == ns[:4]
    state = "".join(p.read_text() for p in tmp_path.glob(".loopback/**/state.json"))
    assert "net-ionos" in state
    keys = [transfers[one]["secret"] for one in ("cloudflare", "hetzner")]
    for secret in (TOKENS["ionoscloud"], TOKENS["cloudflare"], *keys):
        assert secret not in state

    for cloud in OPERATORS:
        wait_for(lambda: bool(signed(two, cloud, "www", "A")))  # noqa: B023  # called at once
        assert two.answer(cloud, "example.net.", "NS") == sorted(ns)
    both = [{key: signed(two, cloud, *key) for key in served(two, cloud)} for cloud in OPERATORS]
    assert both[0] == both[1]
    assert all(both[0].values())

    # a change costs no resource: the primary tells both
    put(machine, {**records, "www": {"A": ["192.0.2.99"]}})
    assert machine.knotc("zone-reload", "example.net.").returncode == 0
    for cloud in OPERATORS:
        wait_for(lambda: two.answer(cloud, "www.example.net.", "A") == ["192.0.2.99"])  # noqa: B023  # called at once

    gone = deploy(tmp_path, destroy, zone, **secrets)
    assert gone.ok, gone.diagnostics
    assert not held(two)
    machine.stop()


def signed(two: Clouds, cloud: str, name: str, kind: str) -> list[str]:
    """Records and their signatures; none while they are not signed."""
    told = two.ask(cloud, f"{name}.example.net.".removeprefix("@."), kind).get("answer", [])
    return told if any(" RRSIG " in line for line in told) else []


def test_a_zone_that_is_not_ours_is_left_alone_at_ionos(two):
    zones = SecondaryZones(two.endpoint, TOKENS["ionoscloud"])
    shelf, name = Shelf(two.paths), "foreign.example"
    with shelf.changing("ionoscloud") as book:
        foreign = {"zoneName": name, "primaryIps": [PRIMARY], "description": "by hand"}
        book.of("secondary_zone")["0" * 36] = foreign
    for call in (lambda: zones.put(name, [PRIMARY]), lambda: zones.delete(name)):
        with pytest.raises(IonosDnsError, match="not ours"):
            call()
    with shelf.changing("ionoscloud") as book:
        del book.of("secondary_zone")["0" * 36]

    # a service that is away for a moment is asked again; making a zone twice is making it once
    set_switches(shelf, Switches([Fault("ionoscloud", "read", "secondary_zone", "503")]))
    first = zones.put("ours.example", [PRIMARY])
    assert zones.put("ours.example", [PRIMARY])["id"] == first["id"]
    assert zones.delete("ours.example")
    assert not zones.delete("ours.example")
    with pytest.raises(IonosDnsError, match="401") as refused:
        SecondaryZones(two.endpoint, "hunter2").put("ours.example", [PRIMARY])
    assert "hunter2" not in str(refused.value)
