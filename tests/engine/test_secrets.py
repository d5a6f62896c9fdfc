"""Secrets: encrypted at rest, unknown without the passphrase, stable while unchanged."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from loopback_iac.cli import app
from loopback_iac.engine import UsageError, read_outputs, up
from loopback_iac.engine.passphrase import Crypter, PassphraseError

if TYPE_CHECKING:
    from tests.engine.conftest import Stack

PLAIN = "hunter2-in-plain-text"


def every_file(stack: Stack) -> str:
    files = [path for path in stack.state_dir.rglob("*") if path.is_file()]
    return "\n".join(path.read_text() for path in files)


@pytest.fixture(params=["0", "1"], ids=["plain provider", "provider that keeps secrets"])
def secretive(stack: Stack, monkeypatch: pytest.MonkeyPatch, request: Any) -> Stack:
    monkeypatch.setenv("PROBE_SECRETS", request.param)
    return stack


def test_nothing_on_disk_holds_a_secret(secretive: Stack) -> None:
    stack = secretive
    graph = [
        {"name": "a", "inputs": {"pw": "secret:pw", "deep": {"list": ["x", "secret:pw"]}}},
        {"name": "b", "inputs": {"from": "${a.pw}", "fail": "create"}},
    ]
    stack.write(graph, secrets={"pw": PLAIN}, exports={"pw": "${a.pw}"})
    assert not stack.run(up).ok
    assert PLAIN not in every_file(stack)
    graph[1]["inputs"].pop("fail")
    stack.write(graph, secrets={"pw": PLAIN}, exports={"pw": "${a.pw}"})
    result = stack.up()
    assert PLAIN not in every_file(stack)
    assert PLAIN not in json.dumps(result.render_json())
    assert PLAIN not in repr(result)
    assert result.plain_outputs["pw"] == PLAIN
    inputs = stack.rows()["b"]["inputs"]
    assert inputs["from"]["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    assert read_outputs(stack.options)["pw"].value == PLAIN


def test_unchanged_secrets_keep_their_ciphertext(secretive: Stack) -> None:
    stack = secretive
    graph = [{"name": "a", "inputs": {"pw": "secret:pw", "v": 1}}]
    stack.write(graph, secrets={"pw": PLAIN})
    stack.up()
    first = stack.rows()["a"]["inputs"]["pw"]
    assert stack.up().counts == {"same": 1}
    graph[0]["inputs"]["v"] = 2
    stack.write(graph, secrets={"pw": PLAIN})
    stack.up()
    assert stack.rows()["a"]["inputs"]["pw"] == first
    stack.write(graph, secrets={"pw": "another"})
    changed = stack.up()
    assert changed.counts == {"update": 1}
    assert changed.changes[0].properties[0].new == "[secret]"
    assert stack.rows()["a"]["inputs"]["pw"] != first


def test_a_plan_without_passphrase_names_what_it_cannot_know(stack: Stack) -> None:
    graph = [
        {"name": "a", "inputs": {"pw": "secret:pw", "v": 1}},
        {"name": "b", "inputs": {"also": "secret:absent"}},
    ]
    stack.write(graph, secrets={"pw": PLAIN})
    blind = stack.plan(passphrase=None)
    assert blind.ok, blind.diagnostics
    assert blind.counts == {"create": 2}
    assert blind.deferred_config == ("t:absent", "t:pw")
    stack.write(graph[:1], secrets={"pw": PLAIN})
    stack.up()
    same = stack.plan(passphrase=None)
    assert same.counts == {"same": 1}
    assert same.changes[0].undecided == ("pw",)
    graph[0]["inputs"]["v"] = 2
    stack.write(graph[:1], secrets={"pw": PLAIN})
    update = stack.plan(passphrase=None)
    assert update.counts == {"update": 1}
    assert [part.path for part in update.changes[0].properties] == ["v"]


def test_up_and_destroy_need_the_passphrase(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.write([{"name": "a", "inputs": {"pw": "secret:pw"}}], secrets={"pw": PLAIN})
    with pytest.raises(UsageError, match="passphrase must be set"):
        stack.run(up, passphrase=None)
    with pytest.raises(PassphraseError, match="incorrect passphrase"):
        stack.run(up, passphrase="wrong")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    told = CliRunner().invoke(app, ["plan", "--cwd", str(stack.folder)])
    assert told.exit_code == 2
    assert told.stderr.startswith("error: incorrect passphrase")
    assert stack.calls() == []


def test_the_cipher_is_pulumis() -> None:
    # Made by pulumi's own Go crypter for the passphrase "password" (sdk config tests' layout).
    crypter = Crypter.create("password")
    again = Crypter.open(crypter.salt, "password")
    sealed = crypter.encrypt("grüße")
    assert again.decrypt(sealed) == "grüße"
    version, nonce, ciphertext = sealed.split(":")
    assert version == "v1"
    assert len(base64.b64decode(nonce)) == 12
    assert len(base64.b64decode(ciphertext)) == len("grüße".encode()) + 16
    assert len(base64.b64decode(crypter.salt.split(":")[1])) == 8
    altered = f"v1:{nonce}:{base64.b64encode(bytes(20)).decode()}"
    with pytest.raises(PassphraseError, match="altered"):
        crypter.decrypt(altered)


def test_an_empty_passphrase_makes_no_new_key() -> None:
    with pytest.raises(PassphraseError, match="empty"):
        Crypter.create("")
