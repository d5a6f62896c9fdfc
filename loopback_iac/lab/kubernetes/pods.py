"""Pods: when one is ready, and what those of an owner complain about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.lab.kubernetes.cluster import Object, get_in
from loopback_iac.lab.kubernetes.readiness import Verdict, condition, owned, quote_name

if TYPE_CHECKING:
    from loopback_iac.lab.kubernetes.readiness import Reader

_WAITS = {"PodScheduled": "scheduled", "Initialized": "initialized", "Ready": "ready"}
_DAEMON = "rpc error: code = Unknown desc = Error response from daemon: "


class PodReadiness:
    """
    Scheduled, initialized, ready; or ended well.

    Sources: pulumi-kubernetes provider/pkg/await/checker/pod/check.go.
    """

    plain = False

    def look(self, live: Object) -> Verdict:
        """See the protocol."""
        for kind, word in _WAITS.items():
            found = condition(live, kind)
            ended = kind == "Ready" and get_in(live, ("status", "phase")) == "Succeeded"
            if found.get("status") == "True" or (found and ended):
                continue
            status = f'Waiting for Pod "{quote_name(live)}" to be {word}'
            return Verdict(ready=False, status=status, reasons=_complain(live, kind, found))
        return Verdict(ready=True)


def _complain(pod: Object, kind: str, found: Object) -> list[str]:
    if kind == "PodScheduled" or not found:
        return []
    rows = get_in(pod, ("status", "containerStatuses"), [])
    errors = "\n".join(text for row in rows for text in _explain_container(row))
    message = found.get("message", "") if found.get("reason") else ""
    if not errors and not found.get("message"):
        return []
    return [f"[Pod {quote_name(pod)}]: {message}{errors}"]


def _explain_container(row: Object) -> list[str]:
    if row.get("ready"):
        return []
    found = []
    waiting = get_in(row, ("state", "waiting"), {})
    if waiting and waiting.get("reason") != "ContainerCreating":
        found.append(f"[{waiting.get('reason', '')}] {_trim(waiting.get('message', ''))}")
    ended = get_in(row, ("state", "terminated"), {})
    if ended.get("reason"):
        exit_text = f'container "{row["name"]}" completed with exit code {ended["exitCode"]}'
        said = ended.get("message")
        found.append(f"[{ended['reason']}] {_trim(said)}" if said else exit_text)
    last = get_in(row, ("lastState", "terminated"), {})
    if last:
        how = f"({last.get('reason', '')}: exit code {last['exitCode']})"
        found.append(f'container "{row["name"]}" terminated at {last.get("finishedAt")} {how}')
        found += filter(None, [last.get("message")])
    return found


def _trim(message: str) -> str:
    return message.removeprefix(_DAEMON).removesuffix(": manifest unknown")


def list_complaints(reader: Reader, owner: Object) -> list[str]:
    """What is wrong with the pods of an owner."""
    pods = owned(reader.list_objects("v1", "Pod", owner["metadata"]["namespace"]), owner)
    look = PodReadiness().look
    return [text for pod in pods for text in look(pod).reasons]
