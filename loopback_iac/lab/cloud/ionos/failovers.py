"""Failover groups: entries of a LAN's list, and who says that it has their address."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.cloud.ionos.nics import apply_nics
from loopback_iac.lab.cloud.ionos.words import find, refuse
from loopback_iac.lab.cloud.kinds import Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Failures


class IpFailovers:
    """terraform-provider-ionoscloud ionoscloud/resource_ipfailover.go: entries of a LAN's list."""

    kind = Kind(
        "ionoscloud:compute/iPFailover:IPFailover",
        "ip_failover",
        parse_fields("""
            datacenterId string required replaces
            lanId string required replaces
            ip string required replaces
            nicuuid string required
            location string replaces
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        """Nothing beyond the schema."""
        del news
        return []

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "ip_failover", news["ip"]) as book:
            self._put(book, news)
        self._serve_api()
        return _ident(news), {}

    def read(self, ident: str, olds: Values) -> Values | None:
        del ident
        with self._account.call("read", "ip_failover", olds.get("ip", "")) as book:
            lan = book.of("lan").get(f"{olds.get('datacenterId')}/{olds.get('lanId')}")
            if lan is None:
                raise refuse(404, f"unable to find the LAN with ID: {olds.get('lanId')}")
            entry = next((e for e in lan["failovers"] if e["ip"] == olds.get("ip")), None)
            return entry and {**olds, "nicuuid": entry["nicUuid"]}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        """Another card is named; see `write_groups`."""
        del ident, olds
        with self._account.call("update", "ip_failover", news["ip"]) as book:
            self._put(book, news)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """
        The group ends, unless it names another card than this program did; its address must be on
        no other card any more.

        Sources: slice.DeleteFrom of the pair in resourceLanIPFailoverDelete.
        """
        del ident
        with self._account.call("delete", "ip_failover", olds["ip"]) as book:
            pair = {"ip": olds["ip"], "nicUuid": olds["nicuuid"]}
            left = [entry for entry in shown(book, _key(olds)) if entry != pair]
            write_groups(self._account, book, _key(olds), left)

    def _serve_api(self) -> None:
        """Whoever has such a group changes it without Pulumi too, and announces addresses."""
        from loopback_iac.lab.cloud.ionos.api import ensure_served  # noqa: PLC0415  # in a circle

        ensure_served(self._account.shelf.paths)

    def _put(self, book: Book, news: Values) -> None:
        key = _key(news)
        others = [entry for entry in shown(book, key) if entry["ip"] != news["ip"]]
        wanted = {"ip": news["ip"], "nicUuid": news["nicuuid"]}
        write_groups(self._account, book, key, [*others, wanted])


def shown(book: Book, lan: str) -> list[dict[str, str]]:
    """The groups of a LAN, as the API has them."""
    listed = find(book, "lan", lan)["failovers"]
    return [{"ip": entry["ip"], "nicUuid": entry["nicUuid"]} for entry in listed]


def write_groups(account: Account, book: Book, lan: str, wanted: list[dict[str, Any]]) -> None:
    """
    Write the whole list of a LAN's groups.

    A new group's address is sent to the card it names. After that the group may name another, and
    the address stays where it is until a card says by gratuitous ARP that it has it.

    Raises: ApiError when a card lacks the address, or a group with other cards in it would go.
    Sources: docs.ionos.com, IP Failover: who is master after the first provisioning is not told to
    the group; API error 184, as terraform-provider-ionoscloud#432 and #585 show it.
    """
    there = find(book, "lan", lan)
    for entry in wanted:
        if entry["ip"] not in find(book, "nic", entry["nicUuid"])["ips"]:
            raise refuse(422, f"IP {entry['ip']} is not on NIC {entry['nicUuid']}")
    for entry in there["failovers"]:
        if entry["ip"] not in {new["ip"] for new in wanted}:
            _refuse_slaves(book, entry)
    heard = {entry["ip"]: entry["heard"] for entry in there["failovers"]}
    there["failovers"] = [
        {**entry, "heard": heard.get(entry["ip"], entry["nicUuid"])} for entry in wanted
    ]
    apply_lan(account, book, lan)


def _refuse_slaves(book: Book, entry: Thing) -> None:
    for key, nic in book.of("nic").items():
        if entry["ip"] in nic["ips"] and key != entry["nicUuid"]:
            text = f"Failover IP '{entry['ip']}' found in Slave NIC '{key}'."
            raise refuse(422, f"{text} IP failover settings cannot be deleted.", "184")


def apply_lan(account: Account, book: Book, lan: str) -> None:
    """Send the addresses of a LAN where its book says."""
    nics = [n for n in book.of("nic").values() if f"{n['datacenterId']}/{n['lan']}" == lan]
    apply_nics(account, book, *sorted({nic["serverId"] for nic in nics}))


def hear(account: Account, interface: str, address: str) -> None:
    """A card said that it has an address: it gets it, when it is of a group and may have it."""
    if _claim(account.shelf.read(account.cloud), interface, address):
        with account.call("update", "announcement", address) as book:
            if claim := _claim(book, interface, address):
                nic, lan, entry = claim
                entry["heard"] = nic
                apply_lan(account, book, lan)


def _claim(book: Book, interface: str, address: str) -> tuple[str, str, Thing] | None:
    """Out: card, LAN and group, when the address is another card's until now."""
    for key, nic in book.of("nic").items():
        if f"i{nic['number']}" == interface and address in nic["ips"]:
            lan = f"{nic['datacenterId']}/{nic['lan']}"
            for entry in book.of("lan")[lan]["failovers"]:
                if entry["ip"] == address and entry["heard"] != key:
                    return key, lan, entry
    return None


def _key(news: Values) -> str:
    return f"{news['datacenterId']}/{news['lanId']}"


def _ident(news: Values) -> str:
    # internal/utils: a name-based uuid of the address
    return str(uuid.uuid5(uuid.NAMESPACE_OID, news["ip"]))
