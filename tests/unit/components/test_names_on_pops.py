"""PoPs as name servers: the edge makes them so, the primary only knows them."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from loopback_iac.components import HiddenPrimary
from loopback_iac.components.boundary import RejectedInputs
from loopback_iac.render import transfer_secret
from loopback_iac.render.transport import transport_values
from tests.unit.components.recording import Cloud
from tests.unit.components.test_edge import declared, machine, text, tree
from tests.unit.components.test_primary import SECRET, answer, args, ref


def named(**more: Any) -> dict[str, Any]:
    """A fleet whose PoP answers for zones."""
    made = tree()
    made["prefixes"]["names"] = {"cidr": "198.51.100.0/24"}
    made["vips"]["dns"] = {"addresses": ["198.51.100.53"]}
    secret = pulumi.Output.secret(SECRET)
    service = {"vip": "dns", "primary": machine(53), "transfer_secret": secret, **more}
    return {**made, "name_service": service}


def test_a_pop_gets_the_software_the_files_and_the_key(loop):
    tree_ = named()
    tree_["pops"]["fra1"]["name_server"] = "nsd"
    recorded = declared(loop, tree_)
    enrolled = json.loads(text(recorded.made["edge-fra1-enroll"], "stdin"))
    assert {"nsd", "bird2"} <= set(enrolled["packages"])
    assert "knot" not in enrolled["packages"]
    bundle = json.loads(text(recorded.made["edge-fra1-apply"], "stdin"))
    assert bundle["role"] == "pop"
    assert bundle["secrets"]["tsig-fra1"] == transfer_secret(SECRET, "fra1")
    trust = transport_values(SECRET, "nsd")
    assert trust.items() <= bundle["secrets"].items()
    assert "transport-key" not in bundle["secrets"]
    assert SECRET not in json.dumps(bundle)
    assert "/etc/nsd/nsd.conf" in bundle["files"]
    # its host is known for its address alone: nothing is done on it
    assert not [name for name in recorded.made if "name_service" in name]
    worker = json.loads(text(recorded.made["edge-w1-apply"], "stdin"))
    assert not [name for name in worker["secrets"] if name.startswith("tsig")]


def test_a_secret_that_could_be_guessed_is_refused(loop):
    with pytest.raises(RejectedInputs, match="transfer-secret-short"):
        declared(loop, named(transfer_secret="hunter2"))


def test_a_primary_that_is_one_of_the_pops_is_refused(loop):
    with pytest.raises(RejectedInputs, match="machine-twice"):
        declared(loop, named(primary=machine(1)))


def test_the_primary_does_nothing_on_a_pop(declare):
    servers = {
        "fra1": {"host": ref("fra1", 11), "on_pop": True},
        "par1": {"host": ref("par1", 12), "on_pop": True},
    }
    cloud = declare(Cloud(answer), lambda: HiddenPrimary("dns", args(servers=servers)))
    steps = {f"dns-primary-{step}" for step in ("enroll", "apply", "confirm")}
    assert set(cloud.made) == {"dns", "dns-primary", *steps}
    bundle = json.loads(cloud.made["dns-primary-apply"].inputs["stdin"]["value"])
    keys = {f"tsig-{n}": transfer_secret(SECRET, n) for n in (*servers, "audit")}
    assert bundle["secrets"] == keys | transport_values(SECRET, "primary")
    assert "198.18.32.12" in bundle["files"]["/etc/knot/knot.conf"]["text"]
