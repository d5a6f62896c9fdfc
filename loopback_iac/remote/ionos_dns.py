"""Secondary zones at IONOS over its DNS API: no Pulumi resource makes one.

Five calls of an API with one token; the vendor's SDK would bring a model of all of it along.

Sources: DNS API 1.17.0 (SecondaryZonesApi) as ionos-cloud/sdk-go-bundle products/dns has it.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK = "made by loopback-iac"
"""Description of each zone that is ours; any other is left alone."""
_ALL = "/secondaryzones"
_MOST = 1000
_TIMEOUT_S, _AGAIN_S = 20.0, 1.0
_TRIES = 5
# ionos-cloud/sdk-go-bundle shared/client: what is tried again
_LATER = frozenset({429, 502, 503, 504})
_MISSING = 404
_PATIENCE_S = 120.0


class IonosDnsError(Exception):
    """IONOS says no, or nothing; the text says what was asked and what it said."""


class Order(NamedTuple):
    """What a Command hands over: a zone, where it comes from, and the way to the API."""

    zone: str
    primaries: Sequence[str]
    token: str
    endpoint: str


def parse_order(text: str) -> Order:
    """
    An order from standard input.

    Raises: ValueError when it is none; it never quotes the token.
    """
    tree = json.loads(text)
    if not isinstance(tree, dict) or set(tree) != set(Order._fields):
        raise ValueError(f"an order has {', '.join(Order._fields)}")
    token = tree["token"].strip()
    # one header: what has another line in it, or no place in latin-1, is shown by who refuses it
    if not token or not all("!" <= char <= "~" for char in token):
        raise ValueError("the token has to be printable ASCII without spaces")
    return Order(tree["zone"].removesuffix("."), tree["primaries"], token, tree["endpoint"])


class SecondaryZones:
    """The secondary zones of one contract."""

    def __init__(self, endpoint: str, token: str) -> None:
        self._endpoint, self._token = endpoint.rstrip("/"), token
        self._opener = urllib.request.build_opener(_Stay)

    def put(self, zone: str, primaries: Sequence[str]) -> dict[str, Any]:
        """
        Make the zone, or change where it comes from; and have it transferred.

        Out: its id, and the names of the servers that hold it.
        Raises: IonosDnsError; also for a zone of this name that is somebody else's.
        """
        properties = {"zoneName": zone, "description": MARK, "primaryIps": list(primaries)}
        there = self._find(zone)
        if there is None:
            made = self._call("POST", _ALL, {"properties": properties})
        else:
            self._refuse_foreign(there, zone)
            made = self._call("PUT", f"{_ALL}/{there['id']}", {"properties": properties})
        ident = str(made["id"])
        ready = self._await_available(ident)
        self._call("PUT", f"{_ALL}/{ident}/axfr")
        servers = ready.get("metadata", {}).get("nameservers", [])
        return {"id": ident, "name_servers": [f"{one.removesuffix('.')}." for one in servers]}

    def delete(self, zone: str) -> bool:
        """
        Take the zone away.

        Out: whether it was there.
        Raises: IonosDnsError; also for a zone of this name that is somebody else's.
        """
        there = self._find(zone)
        if there is None:
            return False
        self._refuse_foreign(there, zone)
        self._call("DELETE", f"{_ALL}/{there['id']}", gone=True)
        deadline = time.monotonic() + _PATIENCE_S
        while self._find(zone) is not None:
            if time.monotonic() > deadline:
                raise IonosDnsError(f"{zone} is still there {_PATIENCE_S:.0f} s after its deletion")
            time.sleep(_AGAIN_S)
        return True

    def _find(self, zone: str) -> dict[str, Any] | None:
        asked = urllib.parse.urlencode({"filter.zoneName": zone, "limit": _MOST})
        items = self._call("GET", f"{_ALL}?{asked}").get("items", [])
        # a filter may fit more than the very name
        return next((i for i in items if i["properties"]["zoneName"] == zone), None)

    def _refuse_foreign(self, there: dict[str, Any], zone: str) -> None:
        if there["properties"].get("description") != MARK:
            raise IonosDnsError(
                f"IONOS has a secondary zone {zone} that is not ours (id {there['id']})\n"
                f"  fix: delete it there, or describe it there as {MARK!r} to have it taken over"
            )

    def _await_available(self, ident: str) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            found = self._call("GET", f"{_ALL}/{ident}")
            state = found.get("metadata", {}).get("state")
            if state == "AVAILABLE":
                return found
            if state == "FAILED" or time.monotonic() > deadline:
                raise IonosDnsError(f"secondary zone {ident} is {state}")
            time.sleep(_AGAIN_S)

    def _call(
        self, verb: str, path: str, content: dict[str, Any] | None = None, *, gone: bool = False
    ) -> dict[str, Any]:
        """In: gone, what is not there is as wanted."""
        for left in reversed(range(_TRIES)):
            try:
                return self._once(verb, path, content)
            except urllib.error.HTTPError as refused:
                if gone and refused.code == _MISSING:
                    return {}
                if refused.code not in _LATER or not left:
                    raise IonosDnsError(_told(verb, path, refused)) from None
            except (OSError, ValueError, http.client.HTTPException) as silent:
                if not left:
                    # the text of others may quote a header, and so the token
                    told = f": {silent}" if isinstance(silent, OSError) else ""
                    reason = f"{type(silent).__name__}{told}"
                    raise IonosDnsError(f"{verb} {self._endpoint}{path}: {reason}") from None
            time.sleep(_AGAIN_S)
        raise AssertionError(verb)  # the last try returns or raises

    def _once(self, verb: str, path: str, content: dict[str, Any] | None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310  # the model lets https in, and loopback
            self._endpoint + path,
            None if content is None else json.dumps(content).encode(),
            {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
            method=verb,
        )
        with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
            body = json.loads(answer.read() or b"{}")
        return body if isinstance(body, dict) else {}


class _Stay(urllib.request.HTTPRedirectHandler):
    """Another place might be anybody's; the token stays here."""

    def redirect_request(self, *_: Any, **__: Any) -> None:  # noqa: ANN401  # the library's own
        """Out: nothing to follow, so a redirection is an error like any other."""


def _told(verb: str, path: str, refused: urllib.error.HTTPError) -> str:
    """What the API said, in its own words."""
    try:
        messages = json.loads(refused.read()).get("messages", [])
        said = "; ".join(f"{one.get('message')} ({one.get('errorCode')})" for one in messages)
    except (OSError, ValueError, AttributeError):
        said = ""
    return f"{verb} {path}: {refused.code} {said or refused.reason}"
