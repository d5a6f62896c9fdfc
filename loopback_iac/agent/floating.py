"""Hetzner Cloud's API, as much of it as moves a floating IP.

Sources: docs.hetzner.cloud, Floating IPs ("Get a Floating IP") and Floating IP Actions ("Assign a
Floating IP to a Server", "Get an Action"), Errors, Rate Limiting.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
from typing import Any, NamedTuple

_TIMEOUT_S = 4.0
_MOST_BYTES = 1_000_000
# what another try with the same token cannot mend
_LASTING = frozenset({400, 401, 403, 404, 405, 410, 422})
_TOKEN = frozenset({401, 403})


class ApiError(Exception):
    """The API said no, or nothing.

    `lasting`: trying again soon is of no use; `token`: it is the token that it does not take.
    """

    def __init__(self, text: str, *, status: int = 0, asked_s: float = 0.0) -> None:
        super().__init__(text)
        self.lasting, self.token = status in _LASTING, status in _TOKEN
        self.asked_s = asked_s


class Answer(NamedTuple):
    """Status, headers that matter, and the JSON."""

    status: int
    retry_after: str
    body: dict[str, Any]


class FloatingIps:
    """Floating IPs of the project that a token belongs to."""

    def __init__(self, endpoint: str, token: str, authority: str = "") -> None:
        """In: authority, PEM of a CA of one's own; empty: those of the host."""
        parts = urllib.parse.urlsplit(endpoint)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._path = parts.path.rstrip("/")
        self._token = token
        self._tls = ssl.create_default_context(cadata=authority or None)

    def read_holder(self, ident: int) -> int:
        """Out: the server that has the address; 0 when none has it.

        Raises: ApiError.
        """
        body = self._ask("GET", f"/floating_ips/{ident}")
        try:
            return int(body["floating_ip"]["server"] or 0)
        except (KeyError, TypeError, ValueError) as strange:
            raise ApiError(f"GET of floating IP {ident}: not the shape of its API") from strange

    def assign(self, ident: int, server: int) -> int:
        """Ask for the address to be given to a server.

        Out: the action's id.
        Raises: ApiError.
        """
        body = self._ask("POST", f"/floating_ips/{ident}/actions/assign", {"server": server})
        return self._action(body, f"assign of floating IP {ident}")

    def check_action(self, ident: int) -> None:
        """Raises: ApiError with its own words when an action failed."""
        self._action(self._ask("GET", f"/actions/{ident}"), f"action {ident}")

    @staticmethod
    def _action(body: dict[str, Any], what: str) -> int:
        try:
            action = body["action"]
            if action["status"] == "error":
                told = action.get("error") or {}
                raise ApiError(f"{what}: {told.get('message')} ({told.get('code')})")
            return int(action["id"])
        except (KeyError, TypeError, ValueError) as strange:
            raise ApiError(f"{what}: not the shape of its API") from strange

    def _ask(self, verb: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._call(verb, path, content)
        except (OSError, http.client.HTTPException, ValueError) as silent:
            told = f"{verb} {path}: {type(silent).__name__}: {silent}"
            raise ApiError(told) from silent
        if 200 <= answer.status < 300:
            return answer.body
        reason = answer.body.get("error") or {}
        words = f"{reason.get('message', 'no reason given')} ({reason.get('code', '-')})"
        asked = float(answer.retry_after) if answer.retry_after.isdigit() else 0.0
        raise ApiError(
            f"{verb} {path}: {answer.status} {words}", status=answer.status, asked_s=asked
        )

    def _call(self, verb: str, path: str, content: dict[str, Any] | None) -> Answer:
        """A connection of its own per call: they are minutes apart."""
        line = http.client.HTTPSConnection(
            self._host, self._port, timeout=_TIMEOUT_S, context=self._tls
        )
        headers = {"Authorization": f"Bearer {self._token}", "User-Agent": "loopback-arbiter"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            text = None if content is None else json.dumps(content)
            line.request(verb, self._path + path, text, headers)
            with line.getresponse() as answer:
                body = json.loads(answer.read(_MOST_BYTES) or b"{}")
        finally:
            line.close()
        shaped = body if isinstance(body, dict) else {}
        return Answer(answer.status, answer.headers.get("Retry-After", ""), shaped)
