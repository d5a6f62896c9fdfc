"""Where Cloudflare's secondary zones come from: keys and peers of an account, a transfer a zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.cloudflare.records import serve_zones
from loopback_iac.lab.cloud.cloudflare.words import find, new_id, refuse, refuse_used
from loopback_iac.lab.cloud.kinds import Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book
    from loopback_iac.lab.cloud.kinds import Failures

# Cloudflare API, secondary DNS: the least interval
_MIN_REFRESH_S = 300


class _OfAccount:
    """A thing of an account that zones come to rest on; `_used` says where it is named."""

    kind: Kind
    _used: tuple[str, str]

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        del news
        return []

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", self.kind.name, news["name"]) as book:
            ident = new_id()
            book.of(self.kind.name)[ident] = dict(news)
        return ident, {}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", self.kind.name, olds.get("name", "")) as book:
            return book.of(self.kind.name).get(ident)

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", self.kind.name, olds.get("name", "")) as book:
            find(book, self.kind.name, ident)
            book.of(self.kind.name)[ident] = dict(news)
            serve_zones(self._account, book)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """One that is in use stays."""
        with self._account.call("delete", self.kind.name, olds.get("name", "")) as book:
            find(book, self.kind.name, ident)
            refuse_used(book, *self._used, ident)
            del book.of(self.kind.name)[ident]


class Tsigs(_OfAccount):
    """terraform-provider-cloudflare internal/services/dns_zone_transfers_tsig."""

    _used = ("peer", "tsigId")
    kind = Kind(
        "cloudflare:index/dnsZoneTransfersTsig:DnsZoneTransfersTsig",
        "tsig",
        parse_fields("""
            accountId string required replaces
            name string required
            algo string required
            secret string required
        """),
        framework=True,
    )


class Peers(_OfAccount):
    """terraform-provider-cloudflare internal/services/dns_zone_transfers_peer."""

    _used = ("incoming", "peers")
    kind = Kind(
        "cloudflare:index/dnsZoneTransfersPeer:DnsZoneTransfersPeer",
        "peer",
        parse_fields("""
            accountId string required replaces
            name string required
            ip string
            port int
            ixfrEnable bool
            tsigId string
        """),
        framework=True,
    )


class Incomings:
    """terraform-provider-cloudflare internal/services/dns_zone_transfers_incoming."""

    kind = Kind(
        "cloudflare:index/dnsZoneTransfersIncoming:DnsZoneTransfersIncoming",
        "incoming",
        parse_fields("""
            zoneId string required replaces
            name string required
            peers strings required
            autoRefreshSeconds int =86400
            soaSerial int computed
        """),
        framework=True,
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        del news
        return []

    def create(self, news: Values) -> tuple[str, Values]:
        """A zone has one, and its id."""
        with self._account.call("create", "incoming", news["name"]) as book:
            if news["zoneId"] in book.of("incoming"):
                raise refuse(1004, "the zone has its transfer already", 409)
            self._put(book, news)
        return news["zoneId"], {"soaSerial": 0}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "incoming", olds.get("name", "")) as book:
            return book.of("incoming").get(ident)

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        del ident, olds
        with self._account.call("update", "incoming", news["name"]) as book:
            self._put(book, news)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        with self._account.call("delete", "incoming", olds.get("name", "")) as book:
            find(book, "incoming", ident)
            del book.of("incoming")[ident]
            serve_zones(self._account, book)

    def _put(self, book: Book, news: Values) -> None:
        if find(book, "zone", news["zoneId"])["type"] != "secondary":
            raise refuse(1004, "the zone is no secondary zone")
        if news["autoRefreshSeconds"] < _MIN_REFRESH_S:
            raise refuse(1004, f"auto_refresh_seconds is {_MIN_REFRESH_S} or more")
        for peer in news["peers"]:
            find(book, "peer", peer)
        book.of("incoming")[news["zoneId"]] = dict(news)
        serve_zones(self._account, book)
