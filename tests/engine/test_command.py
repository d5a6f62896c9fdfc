"""The stand-in for pulumi-command over real SSH, driven by the unmodified SDK."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.sshd import Sshd, running_sshd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.conftest import Stack

PLUGIN = Path(__file__).parents[2] / "loopback_iac" / "lab" / "plugins" / "command"


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def deploy(stack: Stack, sshd: Sshd) -> Any:
    stack.write_project(
        main=str(Path(__file__).parent / "programs" / "commands"),
        plugins={"providers": [{"name": "command", "path": str(PLUGIN)}]},
    )

    def write(commands: dict[str, Any], **changes: Any) -> None:
        config = {"commands": commands, "connection": sshd.connection(**changes)}
        stack.write([], secrets={"key": sshd.user_key, "bundle": "top-secret-bundle"}, **config)

    return write


def errors(stack: Stack) -> str:
    result = stack.run(__import__("loopback_iac.engine", fromlist=["up"]).up)
    assert not result.ok
    return "\n".join(item.message for item in result.diagnostics if item.severity == "error")


def test_create_update_and_delete_run_over_ssh(stack: Stack, deploy: Any, tmp_path: Path) -> None:
    made = tmp_path / "made"
    deploy({"a": {"create": f"echo one >> {made}; cat; echo err >&2", "stdin": "hello\n\n"}})
    assert stack.plan().counts == {"create": 2}
    assert not made.exists()
    result = stack.up()
    assert result.plain_outputs == {"a": "hello\n"}  # exactly one newline is cut
    assert stack.rows()["a"]["outputs"]["stderr"] == "err"
    assert stack.up().counts == {"same": 2}
    assert made.read_text() == "one\n"
    deploy({"a": {"create": f"echo two >> {made}", "delete": f"echo gone >> {made}"}})
    assert stack.up().counts["update"] == 1  # no `update`: `create` runs again
    assert made.read_text() == "one\ntwo\n"
    deploy(
        {
            "a": {
                "create": f"echo two >> {made}",
                "update": f'echo "now $PULUMI_COMMAND_STDOUT$GIVEN" >> {made}; echo said',
                "delete": f"echo gone >> {made}",
                "environment": {"GIVEN": "env"},
            }
        }
    )
    stack.up()
    assert made.read_text().splitlines()[-1] == "now env"
    stack.destroy()
    assert made.read_text().splitlines()[-1] == "gone"


def test_a_changed_trigger_replaces_and_runs_the_old_delete(
    stack: Stack, deploy: Any, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    for value in ("x", "y"):
        text = {"create": f"echo create {value} >> {made}", "delete": f"echo del {value} >> {made}"}
        deploy({"a": {**text, "triggers": [value]}})
        result = stack.up()
    assert result.counts["replace"] == 1
    assert made.read_text().splitlines() == ["create x", "create y", "del x"]


def test_secrets_stay_out_of_the_state(stack: Stack, deploy: Any, sshd: Sshd) -> None:
    deploy({"a": {"create": "cat > /dev/null; echo done", "stdin": "secret:bundle"}})
    stack.up()
    text = (stack.state_dir / "state.json").read_text()
    assert "top-secret-bundle" not in text
    assert sshd.user_key.splitlines()[1] not in text
    assert "ciphertext" in stack.rows()["a"]["inputs"]["connection"]


def test_a_failing_command_tells_what_it_said(stack: Stack, deploy: Any) -> None:
    deploy({"a": {"create": 'echo out; echo "bad" >&2; exit 3'}})
    said = errors(stack)
    assert 'Process exited with status 3: running "echo out; echo \\"bad\\" >&2; exit 3":' in said
    assert "out" in said
    assert "a" not in stack.rows()


def test_a_wrong_host_key_is_refused(stack: Stack, deploy: Any, sshd: Sshd) -> None:
    other = sshd.host_key.replace(sshd.host_key.split()[1][-12:], "A" * 12)
    deploy({"a": {"create": "true"}}, host_key=other)
    assert "ssh: handshake failed: ssh: host key mismatch" in errors(stack)


def test_no_host_key_is_accepted_with_a_warning(stack: Stack, deploy: Any) -> None:
    deploy({"a": {"create": "true"}}, host_key=None)
    result = stack.up()
    assert any("not verified" in item.message for item in result.diagnostics)


def test_dials_are_limited(stack: Stack, deploy: Any) -> None:
    deploy({"a": {"create": "true"}}, port=1, dial_error_limit=2)
    assert "after 2 failed attempts: dial tcp 127.0.0.1:1: connect: connection refused" in errors(
        stack
    )


def test_through_a_bastion(stack: Stack, deploy: Any, sshd: Sshd) -> None:
    jump = {key: value for key, value in sshd.connection().items() if key != "proxy"}
    deploy({"a": {"create": "echo through"}}, proxy=jump)
    assert stack.up().plain_outputs == {"a": "through"}


def test_a_variable_the_server_refuses_keeps_the_command_from_running(
    stack: Stack, deploy: Any, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    deploy({"a": {"create": f"touch {made}", "environment": {"REFUSED": "x", "GIVEN": "y"}}})
    said = errors(stack)
    assert 'could not set environment variable "REFUSED": ssh: setenv failed' in said
    assert not made.exists()


def test_the_previous_output_is_offered_but_not_insisted_on(
    stack: Stack, deploy: Any, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    text = {"create": "echo before", "update": f'echo "was $PULUMI_COMMAND_STDOUT" > {made}'}
    deploy({"a": text})
    stack.up()
    deploy({"a": {**text, "stdin": "changed"}})
    stack.up()
    assert made.read_text() == "was before\n"
    deploy({"a": {**text, "stdin": "again", "add_previous_output_in_env": False}})
    stack.up()
    assert made.read_text() == "was \n"


def test_a_timeout_ends_the_command(stack: Stack, deploy: Any) -> None:
    deploy({"a": {"create": "sleep 12", "timeouts": {"create": "1s"}}})
    assert "did not end within its timeout of 1 s" in errors(stack)
