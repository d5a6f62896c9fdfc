"""What a gateway's host refuses before it starts a keeper, and looks for once it runs."""

from __future__ import annotations

import errno
import socket
from base64 import b64encode
from functools import partial
from pathlib import Path

import pytest

from loopback_iac.agent import gateway, gatewayfile, gatewaypeers, gatewaystatus, proof
from loopback_iac.agent.bundle import HostSet, SetFile
from loopback_iac.agent.checks import check_staged
from loopback_iac.agent.gatewayfile import GATEWAY, check_authority, parse_gateway
from loopback_iac.agent.gatewaypeers import Ear, derive_key, sign, verify
from loopback_iac.agent.gatewaystatus import write_status
from loopback_iac.agent.refusal import RefusedError
from tests.unit.agent.test_agent_gateway_parts import FILE, SAID, STATUS, changed

CA = (Path(__file__).parents[3] / "components/EgressGateway/python/ca.pem").read_text()
RUN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("authority", ["", "PEM", b64encode(CA.encode()).decode(), CA[:200]])
def test_what_is_no_authority_is_refused_before_a_keeper_fails_on_it(authority: str):
    text = changed(authority=authority).decode()
    staged = HostSet("", "gateway", {GATEWAY: SetFile(text, 0o644, "root", "root")})
    with pytest.raises(RefusedError, match="authority"):
        check_staged("", staged)


def test_an_authority_is_one_and_who_asks_nobody_needs_none():
    check_authority(parse_gateway(changed(authority=CA)))
    alone = {**FILE["groups"][0], "nodes": FILE["groups"][0]["nodes"][:1]}
    check_authority(parse_gateway(changed(authority="", groups=[alone])))


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """What the proof of a host finds missing, beside a real file and a real status."""
    monkeypatch.setenv("INVOCATION_ID", RUN)
    alone = {**FILE["groups"][0], "nodes": FILE["groups"][0]["nodes"][:1], "name": "reports"}
    (tmp_path / "gateway.json").write_bytes(changed(groups=[FILE["groups"][0], alone]))
    unit = {"ActiveState": "active", "InvocationID": RUN}
    for module, name, path in (
        (gatewayfile, "read_gateway", "gateway.json"),
        (gatewaystatus, "read_status", "status.json"),
        (gateway, "read_run", ""),
    ):
        monkeypatch.setattr(module, name, partial(getattr(module, name), str(tmp_path / path)))
    monkeypatch.setattr(proof, "unit_properties", lambda *_: unit)

    def check(**more) -> list[str]:
        unit.update(more)
        text = (tmp_path / "gateway.json").read_text()
        files = {GATEWAY: SetFile(text, 0o644, "root", "root")}
        return proof.check_set(HostSet("", "gateway", files))

    return check


def test_a_host_is_proved_once_what_has_a_single_node_stands(tmp_path, checked):
    (missing,) = checked()
    assert "a first look of loopback-gateway" in missing
    off = STATUS._replace(holds=False, trouble="this host has no card egress7")
    groups = {"partners": off, "reports": off}
    write_status(groups, str(tmp_path))
    assert "a first look" in checked()[0]
    gateway.note_run(str(tmp_path))
    assert checked() == ["the addresses of reports on this node (this host has no card egress7)"]
    write_status({**groups, "reports": STATUS}, str(tmp_path))
    assert checked() == []


def test_what_a_run_before_noted_proves_nothing(tmp_path, checked):
    write_status({"partners": STATUS, "reports": STATUS}, str(tmp_path))
    gateway.note_run(str(tmp_path))
    assert checked() == []
    assert "a first look" in checked(InvocationID="another")[0]
    assert checked(ActiveState="activating") == ["a running loopback-gateway"]


def test_a_kernel_without_ipv6_hears_by_ipv4(monkeypatch):
    """What stands for `ipv6.disable=1`, which no namespace has by itself."""
    real = socket.socket

    def without(family: int, kind: int):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, kind)

    with real(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    key = derive_key("token", "partners")
    monkeypatch.setattr(gatewaypeers, "PORT", port)
    monkeypatch.setattr(socket, "socket", without)
    Ear({"partners": (key, "w1", lambda: SAID)}).start()
    with real(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(10)
        line.sendto(sign(key, {"ask": "w1", "number": "1"}), ("127.0.0.1", port))
        assert verify(key, line.recv(1200)) is not None
