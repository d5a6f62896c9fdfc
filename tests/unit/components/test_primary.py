"""What HiddenPrimary declares and refuses; tests/accept runs what it renders."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

import pulumi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key

from loopback_iac.components import HiddenPrimary
from loopback_iac.components.boundary import RejectedInputs
from loopback_iac.components.zone_keys import checked_secret
from loopback_iac.render import transfer_secret
from loopback_iac.render.primary import update_secret
from loopback_iac.render.transport import CERTIFICATE, KEY, transport_values
from tests.unit.components.recording import Cloud

SECRET = "0123456789abcdef" * 2
KEYS = {
    "primary": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc",
    "fra1": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyd",
    "par1": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjye",
}


def answer(args: Any, count: int) -> tuple[str, dict[str, Any]]:
    """As a host that was enrolled."""
    return f"c{count}", {"stdout": json.dumps({"wireguard": {}})}


def ref(name: str, number: int) -> dict[str, Any]:
    return {"ipv4": f"198.18.32.{number}", "host_key": KEYS[name], "ssh_agent_socket": "/run/a"}


def args(**more: Any) -> dict[str, Any]:
    return {
        "host": ref("primary", 53),
        "admin_sources": ["198.51.100.0/28"],
        "transfer_secret": SECRET,
        "servers": {
            "fra1": {"host": ref("fra1", 11)},
            "par1": {"host": ref("par1", 12), "software": "nsd"},
        },
        "zones": {"example.net": {"records": {"@": {"NS": ["a.example.", "b.example."]}}}},
        **more,
    }


@pytest.fixture(scope="module")
def cloud(declare, hosts):
    def program():
        made = HiddenPrimary("dns", args(transfer_secret=pulumi.Output.secret(SECRET)))
        pulumi.Output.all(made.zones, made.hosts).apply(
            lambda both: hosts.update(zones=both[0], hosts=both[1])
        )

    return declare(Cloud(answer), program)


def bundle(cloud: Cloud, host: str) -> dict[str, Any]:
    return json.loads(cloud.made[f"dns-{host}-apply"].inputs["stdin"]["value"])


def test_three_commands_for_each_host_and_none_for_a_record(cloud, hosts):
    commands = {f"dns-{h}-{s}" for h in KEYS for s in ("enroll", "apply", "confirm")}
    assert set(cloud.made) == commands | {f"dns-{host}" for host in KEYS} | {"dns"}
    assert hosts["zones"] == ["example.net"]
    assert {name: host["role"] for name, host in hosts["hosts"].items()} == {
        "primary": "primary",
        "fra1": "nameserver",
        "par1": "nameserver",
    }


def test_each_host_installs_what_it_runs_and_no_more(cloud):
    def packages(host):
        return json.loads(cloud.made[f"dns-{host}-enroll"].inputs["stdin"])["packages"]

    assert packages("fra1") == ["knot", "python3"]
    assert packages("par1") == ["nsd", "python3"]
    assert "knot" in packages("primary")


def test_a_name_server_has_its_own_key_and_the_primary_all_of_them(cloud):
    own = {f"tsig-{name}": transfer_secret(SECRET, name) for name in ("fra1", "par1")}
    audit = {"tsig-audit": transfer_secret(SECRET, "audit")}
    tls = {who: transport_values(SECRET, who) for who in ("primary", "knot", "nsd")}
    assert bundle(cloud, "primary")["secrets"] == own | audit | tls["primary"]
    for name, software in (("fra1", "knot"), ("par1", "nsd")):
        one = {f"tsig-{name}": own[f"tsig-{name}"]}
        assert bundle(cloud, name)["secrets"] == one | audit | tls[software]
    # whoever takes a name server's host has nothing to speak for the primary with
    assert KEY in tls["primary"]
    assert all(KEY not in tls[who] for who in ("knot", "nsd"))
    assert len(base64.b64decode(own["tsig-fra1"])) == 32


def test_the_primary_gets_the_comparer_as_a_program_and_nobody_else_does(cloud):
    enrolled = json.loads(cloud.made["dns-primary-enroll"].inputs["stdin"])
    packed = base64.b64decode(enrolled["programs"]["dns-check"])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = set(archive.namelist())
    assert {"__main__.py", "loopback_iac/remote/dns_look.py"} <= names
    assert not [name for name in names if "/components/" in name or "/agent/" in name]
    assert "programs" not in json.loads(cloud.made["dns-fra1-enroll"].inputs["stdin"])
    needs = {"python3-dnspython", "python3-cryptography", "prometheus-node-exporter"}
    assert needs <= set(enrolled["packages"])


def test_the_key_of_transfers_is_the_same_each_time_and_follows_from_the_secret():
    made = transport_values(SECRET, "primary")
    assert transport_values(SECRET, "primary") == made
    other = transport_values(SECRET[::-1], "primary")
    assert all(made[mark] != other[mark] for mark in made)
    certificate = x509.load_der_x509_certificate(base64.b64decode(made[CERTIFICATE]))
    key = load_der_private_key(base64.b64decode(made[KEY]), None)
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(certificate)


def test_an_updater_gets_a_key_of_its_own_and_the_primary_alone_has_it(declare, hosts):
    zones = {
        "dyn.example": {
            "updated_by": ["acme"],
            "records": {"@": {"NS": ["a.example.", "b.example."]}},
        }
    }

    def program():
        given = args(
            zones=zones,
            transport="tcp",
            updaters={"acme": {"sources": ["192.0.2.0/28"]}},
            ended_zones=["old.example"],
        )
        HiddenPrimary("dns", given).updates.apply(lambda told: hosts.update(updates=told))

    cloud = declare(Cloud(answer), program)
    secret = update_secret(SECRET, "acme")
    assert hosts["updates"] == {
        "acme": {
            "addresses": ["198.18.32.53"],
            "key_name": "loopback-update-acme",
            "secret": secret,
            "algorithm": "hmac-sha256",
            "zones": ["dyn.example"],
        }
    }
    assert bundle(cloud, "primary")["secrets"]["update-acme"] == secret
    assert set(bundle(cloud, "par1")["secrets"]) == {"tsig-audit", "tsig-par1"}
    files = bundle(cloud, "primary")["files"]
    assert files["/etc/loopback/zones/ended"]["text"] == "old.example.\n"
    assert "/etc/loopback/zones/dyn.example.zone" not in files
    assert not [path for path in files if "transport" in path]


def test_no_secret_stands_in_a_plain_input(cloud):
    secrets = [SECRET, *bundle(cloud, "primary")["secrets"].values()]
    for name, resource in cloud.made.items():
        for key, value in resource.inputs.items():
            wrapped = isinstance(value, dict) and "value" in value
            assert wrapped or not any(s in str(value) for s in secrets), f"{name}.{key}"


def test_the_zone_stands_on_the_primary_alone(cloud):
    path = "/etc/loopback/zones/example.net.zone"
    text = bundle(cloud, "primary")["files"][path]["text"]
    assert "@ IN SOA a.example. hostmaster.example.net. " in text
    assert all(path not in bundle(cloud, name)["files"] for name in ("fra1", "par1"))


def test_a_secret_that_could_be_guessed_is_refused_without_showing_it():
    with pytest.raises(RejectedInputs) as refused:
        checked_secret("hunter2")
    assert "transfer-secret-short" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert checked_secret(SECRET) == SECRET


def test_a_broken_zone_is_refused_before_anything_is_declared(loop):
    wrong = args(zones={"example.net": {"records": {"@": {"NS": ["a.example."], "A": ["nine"]}}}})
    with pytest.raises(RejectedInputs) as refused:
        HiddenPrimary("dns", wrong)
    assert "zones.example.net.records.@.A" in str(refused.value)
