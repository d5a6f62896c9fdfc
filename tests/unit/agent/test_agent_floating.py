"""What the arbiter makes of answers and of silence: a real TLS server, real sockets."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from loopback_iac.agent.api import ApiError, MoveFailedError
from loopback_iac.agent.failovergroup import FailoverGroups
from loopback_iac.agent.floating import FloatingIps
from loopback_iac.agent.looks import look


def self_signed() -> tuple[str, str]:
    """A certificate for 127.0.0.1 and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


class Answer(BaseHTTPRequestHandler):
    """The same answer to everything; what was asked is kept."""

    status, body, headers_sent, asked, got = 200, "{}", {}, [], []

    def handle(self):
        with contextlib.suppress(ssl.SSLError):  # who does not trust us hangs up
            super().handle()

    def do_GET(self):
        self.asked.append((self.command, self.path, self.headers["Authorization"]))
        self.got.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body.encode())

    do_POST = do_PATCH = do_GET  # noqa: N815 - the names that the server looks for

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Out: the endpoint and its CA."""
    certificate, key = self_signed()
    pem = tmp_path_factory.mktemp("tls") / "both.pem"
    pem.write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = HTTPServer(("127.0.0.1", 0), Answer)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/v1", certificate
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def ask(served, monkeypatch):
    def answering(status: int, body: str, kind=FloatingIps, **headers: str):
        monkeypatch.setattr(Answer, "status", status)
        monkeypatch.setattr(Answer, "body", body)
        monkeypatch.setattr(
            Answer, "headers_sent", {k.replace("_", "-"): v for k, v in headers.items()}
        )
        monkeypatch.setattr(Answer, "asked", [])
        monkeypatch.setattr(Answer, "got", [])
        return kind(served[0], "t0ken", served[1])

    return answering


def test_the_holder_is_read_with_the_token(ask):
    assert ask(200, '{"floating_ip": {"server": 42}}').read_holder("7") == "42"
    assert Answer.asked == [("GET", "/v1/floating_ips/7", "Bearer t0ken")]
    assert ask(200, '{"floating_ip": {"server": null}}').read_holder("7") == ""


def test_a_move_is_asked_for_and_its_action_looked_at(ask):
    api = ask(201, '{"action": {"id": 9, "status": "running"}}')
    assert api.assign("7", "42") == "9"
    assert json.loads(Answer.got[0]) == {"server": 42}
    assert not api.is_done("9")
    assert ask(200, '{"action": {"id": 9, "status": "success"}}').is_done("9")
    failed = '{"action": {"id": 9, "status": "error", "error": {"code": "c", "message": "m"}}}'
    with pytest.raises(MoveFailedError, match=r"m \(c\)"):
        ask(200, failed).is_done("9")


GROUP = "d-1/4/198.18.48.9"
LAN = {
    "metadata": {"state": "AVAILABLE"},
    "properties": {
        "name": "www",
        "ipFailover": [
            {"ip": "198.18.48.9", "nicUuid": "n-1"},
            {"ip": "198.18.48.7", "nicUuid": "n-1"},
        ],
    },
}


def test_a_groups_card_is_read_from_its_lan(ask):
    assert ask(200, json.dumps(LAN), FailoverGroups).read_holder(GROUP) == "n-1"
    assert Answer.asked == [("GET", "/v1/datacenters/d-1/lans/4", "Bearer t0ken")]
    assert ask(200, json.dumps(LAN), FailoverGroups).read_holder("d-1/4/198.18.48.8") == ""
    assert ask(200, '{"properties": {}}', FailoverGroups).read_holder(GROUP) == ""


def test_a_group_is_renamed_and_its_neighbours_are_kept(ask):
    where = "https://api.example.net/cloudapi/v6/requests/0a-1/status"
    api = ask(202, json.dumps(LAN), FailoverGroups, Location=where)
    assert api.assign(GROUP, "n-2") == "0a-1"
    assert [(verb, path) for verb, path, _ in Answer.asked] == [
        ("GET", "/v1/datacenters/d-1/lans/4"),
        ("PATCH", "/v1/datacenters/d-1/lans/4"),
    ]
    assert json.loads(Answer.got[1]) == {
        "ipFailover": [
            {"ip": "198.18.48.7", "nicUuid": "n-1"},
            {"ip": "198.18.48.9", "nicUuid": "n-2"},
        ]
    }


@pytest.mark.parametrize(
    ("status", "done"), [("QUEUED", False), ("RUNNING", False), ("DONE", True)]
)
def test_a_request_is_done_when_it_says_so(ask, status, done):
    body = json.dumps({"metadata": {"status": status}})
    assert ask(200, body, FailoverGroups).is_done("0a-1") is done
    assert Answer.asked == [("GET", "/v1/requests/0a-1/status", "Bearer t0ken")]


def test_a_request_that_failed_and_an_error_say_why(ask):
    body = json.dumps({"metadata": {"status": "FAILED", "message": "no room"}})
    with pytest.raises(MoveFailedError, match="request 0a-1: no room"):
        ask(200, body, FailoverGroups).is_done("0a-1")
    told = {"httpStatus": 422, "messages": [{"errorCode": "184", "message": "some reason"}]}
    with pytest.raises(ApiError, match=r"422 some reason \(184\)") as refused:
        ask(422, json.dumps(told), FailoverGroups).read_holder(GROUP)
    assert refused.value.lasting


@pytest.mark.parametrize("body", ["", "[]", '{"properties": 5}', '{"metadata": {"status": "?"}}'])
def test_a_strange_answer_of_a_group_is_no_answer(ask, body):
    for call in (lambda api: api.read_holder(GROUP), lambda api: api.is_done("0a-1")):
        with pytest.raises(ApiError):
            call(ask(200, body, FailoverGroups))


@pytest.mark.parametrize(
    ("status", "lasting", "token"),
    [
        (401, True, True),
        (403, True, True),
        (404, True, False),
        (422, True, False),
        (409, False, False),
        (423, False, False),
        (429, False, False),
        (503, False, False),
    ],
)
def test_what_another_try_can_mend_is_told_apart(ask, status, lasting, token):
    body = '{"error": {"code": "some_code", "message": "some reason"}}'
    with pytest.raises(ApiError, match=rf"{status} some reason \(some_code\)") as refused:
        ask(status, body, Retry_After="17").read_holder("7")
    found = refused.value
    assert (found.lasting, found.token, found.asked_s) == (lasting, token, 17.0)
    assert "t0ken" not in str(found)


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"floating_ip": 5}', '{"floating_ip": {}}'])
def test_a_strange_answer_is_no_answer(ask, body):
    with pytest.raises(ApiError) as refused:
        ask(200, body).read_holder("7")
    assert not refused.value.lasting


def test_a_token_that_no_header_can_hold_is_not_shown(ask, served):
    ask(200, "{}")
    for token in ("hunter2\nhunter3", "hunter2\u20ac"):
        with pytest.raises(ApiError, match="Error") as refused:
            FloatingIps(served[0], token, served[1]).read_holder("7")
        assert "hunter" not in str(refused.value)
        assert refused.value.__suppress_context__


def test_somebody_elses_certificate_is_refused_before_the_token_is_sent(ask, served):
    ask(200, "{}")
    for authority in ("", self_signed()[0]):
        with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
            FloatingIps(served[0], "t0ken", authority).read_holder("7")
    assert Answer.asked == []


def test_nobody_at_the_endpoint_is_silence():
    with pytest.raises(ApiError, match="ConnectionRefusedError") as refused:
        FloatingIps("https://127.0.0.1:1/v1", "t0ken").read_holder("7")
    assert not refused.value.lasting


def test_looks_tell_who_takes_a_connection():
    with socket.create_server(("127.0.0.1", 0)) as taking:
        port = taking.getsockname()[1]
        found = look(["127.0.0.1", "127.0.0.2", "::1"], port, 2)
    assert found == {"127.0.0.1": True, "127.0.0.2": False, "::1": False}
