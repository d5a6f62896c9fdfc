"""pulumi-hcloud's resources on the stand-in: servers are hosts, addresses move, faults heal."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.parametrize("yard", ["hetzner"], indirect=True)


def test_a_server_boots_its_user_data_behind_its_firewall_and_is_replaced(yard):
    yard.write(servers={"hz1": {}})
    outputs = yard.up().outputs
    address = outputs["ipv4"]["hz1"]
    assert yard.ssh(address, "cat /etc/mark; hostname; cloud-init query platform") == (
        "first\nhz1\nhetzner"
    )
