"""The Kubernetes API, as much of it as moves an egress gateway: one Lease, and policies.

A policy names its one gateway in `egressGateways`, by hostname, and beside that stands the epoch of
the lease under which it was written. Every write names the version that was read before, so one
that was under way when the next holder wrote is refused: no late write brings an old gateway back.

Whoever declares the policy has `egressGateway`, which the list takes the place of, and never the
list: two field managers with a field each. What is declared there selects a label that no node has.

A policy that comes from another group still has that one's name and epoch. It is taken over as soon
as it declares an address of this group, and not before: keepers of two groups never write in turn.

Sources: Kubernetes API reference, Lease v1, Node v1; API concepts, "Resource versions", "Patch"
(application/merge-patch+json, RFC 7396), "Server-Side Apply", "Merge strategy";
cilium.io/v2 CiliumEgressGatewayPolicy and pkg/egressgateway/policy.go of Cilium 1.20.1.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import ssl
import tempfile
import time
import urllib.parse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from .api import ApiError
from .gatewaydial import Line, Where
from .refusal import RefusedError

if TYPE_CHECKING:
    from .gatewayfile import Gateway, Group

_MOST_BYTES = 4_000_000
PREFIX = "loopback-iac/"
HOSTNAME = "kubernetes.io/hostname"
_NODES = "/api/v1/nodes/"
_POLICIES = "/apis/cilium.io/v2/ciliumegressgatewaypolicies/"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces"
_MERGE = "application/merge-patch+json"
_EPOCH, _TOUCHED = f"{PREFIX}egress-epoch.", f"{PREFIX}egress-gateway."
_FREE = "kubectl patch ciliumegressgatewaypolicy {} --type=merge -p '{}'"
_NONE = '{"spec":{"egressGateways":[]}}'


class ConflictError(ApiError):
    """Somebody else wrote in between."""


class MissingError(ApiError):
    """There is no such object."""


class Lease(NamedTuple):
    """Who holds a group's addresses, and under which epoch; it grows with every holder."""

    holder: str
    epoch: int
    version: str


class Named(NamedTuple):
    """Which node a policy names as its gateway."""

    version: str
    hostname: str | None
    epoch: int
    way: dict[str, Any] = {}  # noqa: RUF012 - nobody writes into it
    """What is declared of the gateway beside the node: address or interface."""
    former: tuple[str, ...] = ()
    """Other groups whose keepers wrote into it; their epochs go with the next write."""


class Cluster:
    """One group's view of the API, over one connection that is kept."""

    def __init__(self, kept: Gateway, group: Group, credential: str) -> None:
        """In: credential, a bearer token, or certificate and key as one PEM."""
        parts = urllib.parse.urlsplit(kept.server)
        self._where = Where(parts.hostname or "", parts.port or 443)
        self._path = parts.path.rstrip("/")
        self._lease = f"{_LEASES}/{kept.namespace}/leases/loopback-egress-{group.name}"
        self._addresses = group.addresses
        self._epoch, self._touched = f"{_EPOCH}{group.name}", f"{_TOUCHED}{group.name}"
        self._tls = ssl.create_default_context(cadata=kept.authority)
        self._headers = {"User-Agent": "loopback-gateway", "Accept": "application/json"}
        if "-----BEGIN" in credential:
            # OpenSSL reads keys from files only; this one has no name but in /proc
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(credential)
                file.flush()
                self._tls.load_cert_chain(file.name)
        else:
            self._headers["Authorization"] = f"Bearer {credential.strip()}"
        self._line: Line | None = None

    def read_lease(self, timeout_s: float) -> Lease:
        """Raises: ApiError."""
        return _lease(self._ask("GET", self._lease, timeout_s))

    def write_lease(self, wanted: Lease, lease_s: float, timeout_s: float) -> Lease:
        """Write it, when it is still at the version that `wanted` names.

        Raises: ConflictError, ApiError.
        """
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        body = {
            "metadata": {"resourceVersion": wanted.version},
            "spec": {
                "holderIdentity": wanted.holder,
                "leaseTransitions": wanted.epoch,
                "leaseDurationSeconds": max(1, round(lease_s)),
                "renewTime": now,
            },
        }
        return _lease(self._ask("PATCH", self._lease, timeout_s, body))

    def read_policy(self, name: str, timeout_s: float) -> Named:
        """Raises: MissingError, ApiError; RefusedError for one that another declares or keeps."""
        told = self._ask("GET", _POLICIES + name, timeout_s)
        meta, spec = told.get("metadata", {}), told.get("spec") or {}
        marks = meta.get("annotations") or {}
        epoch, ways = str(marks.get(self._epoch, "")), spec.get("egressGateways") or []
        others = (mark.removeprefix(_EPOCH) for mark in marks if mark.startswith(_EPOCH))
        former = tuple(sorted(other for other in others if f"{_EPOCH}{other}" != self._epoch))
        declared = {**(spec.get("egressGateway") or {}), "nodeSelector": None}
        if ways and not epoch:
            self._check_former(name, ways, former, declared.get("egressIP"))
        # another address than what is declared by now is as good as no name
        same = len(ways) == 1 and {**ways[0], "nodeSelector": None} == declared
        chosen = (ways[0].get("nodeSelector") or {}).get("matchLabels") or {} if same else {}
        return Named(
            str(meta.get("resourceVersion", "")),
            chosen.get(HOSTNAME) if len(chosen) == 1 else None,
            int(epoch) if epoch.isdecimal() else 0,
            declared,
            former,
        )

    def _check_former(
        self, name: str, ways: list[Any], former: tuple[str, ...], address: str | None
    ) -> None:
        """Raises: RefusedError for a list that this group's keepers may not put their own in."""
        if not former or len(ways) > 1:
            told = f"{len(ways)} gateway{'s' if len(ways) > 1 else ''} that no keeper wrote"
            raise RefusedError(f"{name} names {told}; free: {_FREE.format(name, _NONE)}")
        if address is not None and not _is_one_of(address, self._addresses):
            raise RefusedError(
                f"{name} comes from {', '.join(former)}, and declares {address}, which is no"
                " address of this group"
            )

    def write_policy(self, name: str, named: Named, timeout_s: float) -> None:
        """Name its gateway, when it is still at the version that `named` was read at.

        It is a change even where it names the same one again, so that Cilium's agents look at the
        addresses of their nodes.
        Raises: ConflictError, MissingError, ApiError.
        """
        marks = (f"{mark}{other}" for other in named.former for mark in (_EPOCH, _TOUCHED))
        notes: dict[str, str | None] = dict.fromkeys(marks)
        notes |= {self._epoch: str(named.epoch), self._touched: named.version}
        chosen = {"matchLabels": {HOSTNAME: named.hostname}}
        body = {
            "metadata": {"resourceVersion": named.version, "annotations": notes},
            "spec": {"egressGateways": [{**named.way, "nodeSelector": chosen}]},
        }
        self._ask("PATCH", _POLICIES + name, timeout_s, body)

    def read_hostname(self, node: str, timeout_s: float) -> str:
        """Raises: MissingError, ApiError; RefusedError for a node without one."""
        labels = self._ask("GET", _NODES + node, timeout_s).get("metadata", {}).get("labels") or {}
        if not labels.get(HOSTNAME):
            raise RefusedError(f"node {node} has no label {HOSTNAME}, which its kubelet gives it")
        return str(labels[HOSTNAME])

    def _ask(
        self, verb: str, path: str, timeout_s: float, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            status, told = self._call(verb, path, timeout_s, body)
        except (OSError, http.client.HTTPException, ValueError) as silent:
            self._hang_up()
            raise ApiError(f"{verb} {path}: {type(silent).__name__}: {silent}") from silent
        if 200 <= status < 300:
            return told
        failure = {404: MissingError, 409: ConflictError}.get(status, ApiError)
        raise failure(f"{verb} {path}: {status} {told.get('message', '')}", status=status)

    def _call(
        self, verb: str, path: str, timeout_s: float, body: dict[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        line, end_s = self._line, time.monotonic() + timeout_s
        if line is None:
            line = Line(self._where, self._tls, timeout_s)
            line.connect()
            self._line = line
        if line.sock is not None:
            line.sock.settimeout(max(end_s - time.monotonic(), 0.001))
        headers = self._headers | ({"Content-Type": _MERGE} if body is not None else {})
        text = json.dumps(body) if body is not None else None
        line.request(verb, self._path + path, text, headers)
        with line.getresponse() as answer:
            told = json.loads(answer.read(_MOST_BYTES) or b"{}")
            closing = answer.will_close
        if closing:
            self._hang_up()
        return answer.status, told if isinstance(told, dict) else {}

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            if self._line is not None:
                self._line.close()
        self._line = None


def _is_one_of(address: str, addresses: tuple[str, ...]) -> bool:
    try:
        return str(ipaddress.ip_address(address)) in addresses
    except ValueError:
        return False


def _lease(told: dict[str, Any]) -> Lease:
    """Raises: ApiError for what has another shape."""
    spec, meta = told.get("spec") or {}, told.get("metadata") or {}
    try:
        return Lease(
            str(spec.get("holderIdentity") or ""),
            int(spec.get("leaseTransitions") or 0),
            str(meta["resourceVersion"]),
        )
    except (KeyError, TypeError, ValueError) as strange:
        raise ApiError("the Lease has not the shape of coordination.k8s.io/v1") from strange
