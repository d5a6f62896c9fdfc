"""What a kubelet would write of pods, written by hand: no node is needed, controllers are real."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.kubernetes.cluster import ApiError, get_in

if TYPE_CHECKING:
    from tests.cluster.api import Api

_STEPS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
READY = {"phase": "Running", "conditions": [{"type": key, "status": "True"} for key in _STEPS]}
DONE = {**READY, "phase": "Succeeded"}
FAILED = {"phase": "Failed"}
BROKEN = {
    "phase": "Pending",
    "conditions": [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Initialized", "status": "True"},
        {"type": "Ready", "status": "False", "reason": "ContainersNotReady",
         "message": "containers with unready status: [c]"},
    ],
    "containerStatuses": [
        {"name": "c", "ready": False, "restartCount": 0, "image": "none", "imageID": "",
         "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}},
    ],
}  # fmt: skip


class Hands(threading.Thread):
    """Gives every pod of a namespace one status, until it is told to stop."""

    def __init__(self, api: Api, status: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self._api, self._status, self._stop_asked = api, status, threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *error: object) -> None:
        self._stop_asked.set()
        self.join()

    def run(self) -> None:
        api = self._api
        while not self._stop_asked.wait(0.2):
            for pod in api.cluster.request("GET", api.path("pods"))["items"]:
                with suppress(ApiError):  # gone, or changed meanwhile
                    self._handle(pod)

    def _handle(self, pod: dict[str, Any]) -> None:
        api, name, metadata = self._api, pod["metadata"]["name"], pod["metadata"]
        wanted = {row["type"] for row in self._status.get("conditions", [])}
        there = {row["type"] for row in get_in(pod, ("status", "conditions"), [])}
        written = get_in(pod, ("status", "phase")) == self._status["phase"] and wanted <= there
        if metadata.get("deletionTimestamp"):
            where = api.path("pods", name)
            api.cluster.request("DELETE", where, {"gracePeriodSeconds": 0})
        elif not written:
            api.set("pods", f"{name}/status", "/status", self._status)
