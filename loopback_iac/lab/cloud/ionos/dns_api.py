"""IONOS' DNS API, as much of it as has no resource: secondary zones and their transfers.

Sources: api.ionos.com DNS API 1.17.0 as ionos-cloud/sdk-go-bundle products/dns has it
(SecondaryZonesApi, model_secondary_zone.go, model_zone_transfer_primary_ip_status.go).
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.cloud.http_api import Reply
from loopback_iac.lab.cloud.ionos.words import check_quota, find, refuse
from loopback_iac.lab.cloud.ionos.zones import SECONDARY_SERVERS, refuse_held, serve_zones

if TYPE_CHECKING:
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Thing
    from loopback_iac.lab.cloud.kinds import ApiError

KIND = "secondary_zone"
_ALL = "/secondaryzones"
_ONE = re.compile(_ALL + r"/([0-9a-f-]{36})")
_TRANSFER = re.compile(_ALL + r"/([0-9a-f-]{36})/axfr")
_FIELDS = {"zoneName", "description", "primaryIps"}


class DnsApi:
    """What the API answers, whatever carries it."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def refuse_token(self) -> ApiError:
        """What a wrong token is told."""
        return refuse(401, "Unauthorized", "paas-auth-1")

    def shape(self, refused: ApiError) -> dict[str, Any]:
        """An error as its body."""
        messages = [{"errorCode": refused.code, "message": refused.message}]
        return {"httpStatus": refused.status, "messages": messages}

    def answer(self, verb: str, path: str, content: dict[str, Any]) -> Reply:
        """
        Ask, or begin a change.

        Raises: ApiError.
        """
        path = path.partition("?")[0]
        if path == _ALL and verb == "GET":
            return self._list()
        if path == _ALL and verb == "POST":
            return Reply(202, self._put(str(uuid.uuid4()), content, "create"))
        if found := _TRANSFER.fullmatch(path):
            return self._transfer(verb, found[1])
        found = _ONE.fullmatch(path)
        if found and verb == "GET":
            with self._account.call("read", KIND) as book:
                return Reply(200, _shown(found[1], find(book, KIND, found[1])))
        if found and verb == "PUT":
            return Reply(202, self._put(found[1], content, "update"))
        if found and verb == "DELETE":
            return self._delete(found[1])
        raise refuse(404, "Resource does not exist", "paas-resource-1")

    def _list(self) -> Reply:
        with self._account.call("read", KIND) as book:
            items = [_shown(ident, zone) for ident, zone in book.of(KIND).items()]
        return Reply(200, {"type": "collection", "items": items, "offset": 0, "limit": 100})

    def _put(self, ident: str, content: dict[str, Any], verb: str) -> dict[str, Any]:
        given = _parse(content)
        with self._account.call(verb, KIND, given["zoneName"]) as book:
            if ident not in book.of(KIND):
                check_quota(self._account, book, KIND)
                refuse_held(book, given["zoneName"])
            elif book.of(KIND)[ident]["zoneName"] != given["zoneName"]:
                raise refuse(400, "zoneName is immutable")
            book.of(KIND)[ident] = given
            serve_zones(self._account, book)
        return _shown(ident, given)

    def _delete(self, ident: str) -> Reply:
        with self._account.call("delete", KIND) as book:
            find(book, KIND, ident)
            del book.of(KIND)[ident]
            serve_zones(self._account, book)
        return Reply(202, {})

    def _transfer(self, verb: str, ident: str) -> Reply:
        """PUT begins one; that it went well shows in the zone."""
        with self._account.call("read", KIND) as book:
            zone = find(book, KIND, ident)
        items = [{"primaryIp": ip, "status": "OK"} for ip in zone["primaryIps"]]
        return Reply(202 if verb == "PUT" else 200, {"items": items})


def _parse(content: dict[str, Any]) -> Thing:
    given = content.get("properties")
    if not isinstance(given, dict) or set(given) - _FIELDS:
        raise refuse(400, "properties: zoneName, description, primaryIps")
    if not given.get("zoneName") or not given.get("primaryIps"):
        raise refuse(400, "zoneName and primaryIps are mandatory")
    for address in given["primaryIps"]:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise refuse(400, f"primaryIps: {address} is no IP address") from None
    return dict(given)


def _shown(ident: str, zone: Thing) -> dict[str, Any]:
    """A secondary zone in the shape of the API."""
    return {
        "id": ident,
        "type": "secondaryzone",
        "href": f"{_ALL}/{ident}",
        "metadata": {"state": "AVAILABLE", "nameservers": list(SECONDARY_SERVERS)},
        "properties": zone,
    }
