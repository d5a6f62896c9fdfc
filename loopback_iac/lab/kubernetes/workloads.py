"""Deployments, stateful sets, daemon sets and jobs: when they have done what they were asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.lab.kubernetes.cluster import Object, get_in
from loopback_iac.lab.kubernetes.pods import list_complaints
from loopback_iac.lab.kubernetes.readiness import Verdict, condition, owned, quote_name

if TYPE_CHECKING:
    from loopback_iac.lab.kubernetes.readiness import Reader

_REVISION = ("metadata", "annotations", "deployment.kubernetes.io/revision")
_NOT_LIVE = "Minimum number of live Pods was not attained"
_TOO_FEW = "Minimum number of Pods to consider the application live was not attained"
_NOT_ROLLED = (
    "Attempted to roll forward to new ReplicaSet, but minimum number of Pods did not become live"
)


class DeploymentReadiness:
    """
    The newest ReplicaSet is rolled out and available.

    Sources: pulumi-kubernetes provider/pkg/await/deployment.go.
    """

    plain = False

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def look(self, live: Object) -> Verdict:
        """See the protocol."""
        if get_in(live, ("status", "observedGeneration")) != live["metadata"]["generation"]:
            return Verdict(ready=False, reasons=[_NOT_LIVE])
        revision = get_in(live, _REVISION, "0")
        namespace = live["metadata"]["namespace"]
        sets = owned(self._reader.list_objects("apps/v1", "ReplicaSet", namespace), live)
        newest = next((row for row in sets if get_in(row, _REVISION) == revision), None)
        wanted = get_in(newest, ("spec", "replicas"), 1)
        there = get_in(newest, ("status", "readyReplicas"), 0)
        rolled = newest is not None and there >= wanted
        progressing, available = condition(live, "Progressing"), condition(live, "Available")
        alive = available.get("status") == "True"
        complete = (
            progressing.get("status") == "True"
            and progressing.get("reason") == "NewReplicaSetAvailable"
        )
        claims = self._list_unbound(live)
        if alive and rolled and (complete or revision == "1") and not claims:
            return Verdict(ready=True, status="✅ Deployment initialization complete")
        status = f"Waiting for app ReplicaSet to be available ({there}/{wanted} Pods available)"
        reasons = [
            f"[{row['reason']}] {row['message']}"
            for row in (progressing, available)
            if row and row.get("status") != "True" and row.get("reason") and row.get("message")
        ]
        if claims:
            named = ",".join(claims)
            reasons.append(f'Failed to bind PersistentVolumeClaim(s): "{named}"')
        if not alive:
            reasons.append(_NOT_LIVE)
        elif revision == "1" or not complete:
            reasons.append(_TOO_FEW)
        elif not rolled:
            reasons.append(_NOT_ROLLED)
        if newest is not None:
            reasons += list_complaints(self._reader, newest)
        return Verdict(ready=False, status=status, reasons=reasons)

    def _list_unbound(self, live: Object) -> list[str]:
        volumes = get_in(live, ("spec", "template", "spec", "volumes"), [])
        names = {get_in(row, ("persistentVolumeClaim", "claimName")) for row in volumes} - {None}
        if not names:
            return []
        claims = self._reader.list_objects(
            "v1", "PersistentVolumeClaim", live["metadata"]["namespace"]
        )
        return [
            row["metadata"]["name"]
            for row in claims
            if row["metadata"]["name"] in names and get_in(row, ("status", "phase")) != "Bound"
        ]


class StatefulSetReadiness:
    """
    All replicas ready, of the newest revision.

    Sources: pulumi-kubernetes provider/pkg/await/statefulset.go.
    """

    plain = False

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def look(self, live: Object) -> Verdict:
        """See the protocol."""
        status = live.get("status") or {}
        generation = live["metadata"]["generation"]
        wanted = get_in(live, ("spec", "replicas"), 1)
        current, newest = status.get("currentRevision", ""), status.get("updateRevision", "")
        there = status.get("readyReplicas", 0)
        filled = wanted == status.get("replicas", 0) == there
        by_hand = get_in(live, ("spec", "updateStrategy", "type")) == "OnDelete" and generation > 1
        revised = by_hand or (current != "" and current == newest)
        filled = filled and (by_hand or status.get("currentReplicas", 0) == wanted)
        if status.get("observedGeneration", 0) < generation:
            filled = revised = False
        if filled and revised:
            return Verdict(ready=True, status="✅ StatefulSet initialization complete")
        if generation <= 1:
            text = f"[1/2] Waiting for StatefulSet to create Pods ({there}/{wanted} Pods ready)"
        elif not filled:
            text = f"[1/3] Waiting for StatefulSet update to roll out ({there}/{wanted} Pods ready)"
        else:
            text = "[2/3] Waiting for StatefulSet to update .status.currentRevision"
        reasons = []
        if not filled:
            reasons.append(f"{there} out of {wanted} replicas succeeded readiness checks")
        if not revised:
            reasons.append(
                f'StatefulSet controller failed to advance from revision "{current}" to revision'
                f' "{newest}"'
            )
        return Verdict(
            ready=False, status=text, reasons=[*reasons, *list_complaints(self._reader, live)]
        )


class DaemonSetReadiness:
    """
    A pod on every node it should be on, of the newest template.

    Sources: pulumi-kubernetes provider/pkg/await/daemonset.go, cli-utils pkg/kstatus/status/core.go
    daemonsetConditions, generic.go.
    """

    plain = True

    def look(self, live: Object) -> Verdict:
        """See the protocol."""
        status = live.get("status") or {}
        generation, seen = live["metadata"]["generation"], status.get("observedGeneration", 0)
        if seen != generation:
            text = f"{live['kind']} generation is {generation}, but latest observed generation is"
            return Verdict(ready=False, status=f"{text} {seen}")
        wanted = status.get("desiredNumberScheduled", -1)
        if wanted == -1:
            text = "Missing .status.desiredNumberScheduled"
            return Verdict(ready=False, status=text)
        for word, key in (
            ("Current", "currentNumberScheduled"),
            ("Updated", "updatedNumberScheduled"),
            ("Available", "numberAvailable"),
            ("Ready", "numberReady"),
        ):
            if status.get(key, 0) < wanted:
                text = f"{word}: {status.get(key, 0)}/{wanted}"
                return Verdict(ready=False, status=text)
        done = f"All replicas scheduled as expected. Replicas: {wanted}"
        return Verdict(ready=True, status=f"✅ {done}")


class JobReadiness:
    """
    Started and complete; a job that gave up is not waited for.

    Sources: pulumi-kubernetes provider/pkg/await/job.go, provider/pkg/await/checker/job/check.go.
    """

    plain = False

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def look(self, live: Object) -> Verdict:
        """See the protocol."""
        status, name = live.get("status") or {}, quote_name(live)
        if not status.get("startTime"):
            return Verdict(ready=False, status=f'Waiting for Job "{name}" to start')
        failed = condition(live, "Failed")
        if failed.get("status") == "True" and failed["reason"] in {
            "BackoffLimitExceeded",
            "DeadlineExceeded",
        }:
            reason = f"[{failed['reason']}] {failed.get('message', '')}"
            return Verdict(ready=False, reasons=[reason], failed=True)
        if condition(live, "Complete").get("status") == "True":
            return Verdict(ready=True)
        counted = " | ".join(
            f"{word.capitalize()}: {status.get(word, 0)}"
            for word in ("active", "succeeded", "failed")
        )
        text = f'Waiting for Job "{name}" to succeed ({counted})'
        return Verdict(ready=False, status=text, reasons=list_complaints(self._reader, live))
