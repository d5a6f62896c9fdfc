"""Services and ingresses: whether there is something behind them, and in front."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.kubernetes.cluster import Object, get_in
from loopback_iac.lab.kubernetes.readiness import Verdict

if TYPE_CHECKING:
    from loopback_iac.lab.kubernetes.readiness import Reader

# provider/pkg/await/service.go, ingress.go: endpoints have settled when they stay so for this long
SETTLED_S = 10.0
_NO_EVENTS_S = 60.0
_NO_PODS = (
    "Service does not target any Pods. Selected Pods may not be ready, or field '.spec.selector'"
    " may not match labels on any Pods"
)
_NO_ADDRESS = "Service was not allocated an IP address; does your cloud provider support this?"
_NO_HOST = (
    "Ingress .status.loadBalancer field was not updated with a hostname/IP address. "
    "\n    for more information about this error, see https://pulumi.io/xdv72s"
)
_BALANCED = ("status", "loadBalancer", "ingress")


class _Settling:
    """When something was last seen to change."""

    def __init__(self, settled_s: float) -> None:
        self._settled_s = settled_s
        self._seen: Any = None
        self._since = time.monotonic()

    def is_settled(self, seen: object) -> bool:
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        return time.monotonic() - self._since >= self._settled_s


class ServiceReadiness:
    """
    No pod behind it is on its way, and a load balancer has an address.

    Sources: pulumi-kubernetes provider/pkg/await/service.go.
    """

    plain = False

    def __init__(self, reader: Reader, settled_s: float = SETTLED_S) -> None:
        """Units: settled_s, 0 for a single look."""
        self._reader = reader
        self._settling = _Settling(settled_s)

    def look(self, live: Object) -> Verdict:
        """See the protocol."""
        spec = live.get("spec") or {}
        kind = spec.get("type", "ClusterIP")
        balanced = kind != "LoadBalancer" or bool(get_in(live, _BALANCED))
        no_address = [] if balanced else [_NO_ADDRESS]
        if kind == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
            return Verdict(ready=balanced, reasons=no_address)
        metadata = live["metadata"]
        rows = self._reader.list_objects("v1", "Endpoints", metadata["namespace"])
        found = next((row for row in rows if row["metadata"]["name"] == metadata["name"]), None)
        subsets = get_in(found, ("subsets",), [])
        some = any(row.get("addresses") for row in subsets)
        pending = any(row.get("notReadyAddresses") for row in subsets)
        settled = self._settling.is_settled(get_in(found, ("metadata", "resourceVersion")))
        if balanced and settled and not pending and found is not None:
            return Verdict(ready=True, status="✅ Service initialization complete")
        waiting = settled and some
        status = "[2/3] Attempting to allocate IP address to Service"
        if not waiting:
            status = "[1/3] Finding Pods to direct traffic to"
        reasons = [*([] if some else [_NO_PODS]), *no_address]
        return Verdict(ready=False, status=status, reasons=reasons)


class IngressReadiness:
    """
    A controller wrote an address, and every path leads to a service.

    Sources: pulumi-kubernetes provider/pkg/await/ingress.go: a path without one is passed over
    once endpoints have settled.
    """

    plain = False

    def __init__(self, reader: Reader, settled_s: float = SETTLED_S) -> None:
        """Units: settled_s, 0 for a single look."""
        self._reader = reader
        self._settling = _Settling(settled_s)
        self._patient = _Settling(min(settled_s * 6, _NO_EVENTS_S))

    def look(self, live: Object) -> Verdict:
        """See the protocol."""
        namespace = live["metadata"]["namespace"]
        endpoints = self._reader.list_objects("v1", "Endpoints", namespace)
        seen = {row["metadata"]["name"]: row["metadata"]["resourceVersion"] for row in endpoints}
        settled = self._settling.is_settled(seen) if seen else self._patient.is_settled(seen)
        lost = [] if self._has_all(live, set(seen)) else self._list_lost(live, namespace, set(seen))
        reached = settled or not lost
        balanced = bool(get_in(live, _BALANCED))
        if reached and balanced:
            return Verdict(ready=True, status="✅ Ingress initialization complete")
        reasons = []
        if not reached:
            reasons.append("Ingress has at least one rule with an unavailable target endpoint.")
        if not balanced:
            reasons.append(_NO_HOST)
        status = "[1/3] Finding a matching service for each Ingress path"
        if reached:
            status = "[2/3] Waiting for update of .status.loadBalancer with hostname/IP"
        if reached and lost:
            status = f"No matching service found for ingress rule: {lost[0]}"
        return Verdict(ready=False, status=status, reasons=reasons)

    @staticmethod
    def _has_all(live: Object, known: set[str]) -> bool:
        return all(service in known for _, service in _list_paths(live))

    def _list_lost(self, live: Object, namespace: str, known: set[str]) -> list[str]:
        rows = self._reader.list_objects("v1", "Service", namespace)
        outside = {
            row["metadata"]["name"]
            for row in rows
            if get_in(row, ("spec", "type")) == "ExternalName"
        }
        return [
            f'"{path}" -> "{service}"' if path else f'"" (default path) -> "{service}"'
            for path, service in _list_paths(live)
            if service not in known | outside
        ]


def _list_paths(live: Object) -> list[tuple[str, str]]:
    """Host and path, with the service behind it; other back ends are not looked at."""
    found = []
    for rule in get_in(live, ("spec", "rules"), []):
        for row in get_in(rule, ("http", "paths"), []):
            service = get_in(row, ("backend", "service", "name"))
            if service:
                found.append((f"{rule.get('host', '')}{row.get('path', '')}", service))
    return found
