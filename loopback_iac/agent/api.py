"""Asking a provider's HTTP API for one thing: what it answers, or why not."""

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


class MoveFailedError(Exception):
    """The API took a move, and says now that it failed."""


class Answer(NamedTuple):
    """Status, headers that matter, and the JSON."""

    status: int
    retry_after: str
    location: str
    body: dict[str, Any]


class Api:
    """One API and the token it is asked with."""

    def __init__(self, endpoint: str, token: str, authority: str = "") -> None:
        """In: authority, PEM of a CA of one's own; empty: those of the host."""
        parts = urllib.parse.urlsplit(endpoint)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._path = parts.path.rstrip("/")
        self._token = token
        self._tls = ssl.create_default_context(cadata=authority or None)

    def ask(self, verb: str, path: str, content: dict[str, Any] | None = None) -> Answer:
        """Out: an answer of 2xx.

        Raises: ApiError with the API's own words.
        """
        try:
            answer = self._call(verb, path, content)
        except (OSError, http.client.HTTPException) as silent:
            told = f"{verb} {path}: {type(silent).__name__}: {silent}"
            raise ApiError(told) from silent
        except ValueError as unfit:
            # its text may quote a header, and so the token
            raise ApiError(f"{verb} {path}: {type(unfit).__name__}") from None
        if 200 <= answer.status < 300:
            return answer
        asked = float(answer.retry_after) if answer.retry_after.isdigit() else 0.0
        raise ApiError(
            f"{verb} {path}: {answer.status} {_reason(answer.body)}",
            status=answer.status,
            asked_s=asked,
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
        again, location = (answer.headers.get(name, "") for name in ("Retry-After", "Location"))
        return Answer(answer.status, again, location, shaped)


def _reason(body: dict[str, Any]) -> str:
    """The words of an error, as Hetzner and as IONOS shape it."""
    listed = body.get("messages")
    told: Any = body.get("error") or (listed[0] if isinstance(listed, list) and listed else {})
    if not isinstance(told, dict):
        return "no reason given"
    code = told.get("code") or told.get("errorCode") or "-"
    return f"{told.get('message', 'no reason given')} ({code})"
