"""Data centres, LANs and reserved addresses."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.ionos.ipv6 import centre_network, lan_network
from loopback_iac.lab.cloud.ionos.machines import allocate
from loopback_iac.lab.cloud.ionos.nics import apply_nics, lend6
from loopback_iac.lab.cloud.ionos.words import check_location, check_quota, find, refuse
from loopback_iac.lab.cloud.kinds import Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Failures


class Datacenters:
    """terraform-provider-ionoscloud ionoscloud/resource_datacenter.go."""

    kind = Kind(
        "ionoscloud:compute/datacenter:Datacenter",
        "datacenter",
        parse_fields("""
            location string required replaces
            name string
            description string
            secAuthProtection bool
            version int computed
            features strings computed
            cpuArchitectures list computed
            ipv6CidrBlock string computed
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        return [] if str(news.get("name", "x")).strip() else [("name", "name must not be empty")]

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "datacenter", news["name"]) as book:
            check_location(news["location"])
            check_quota(self._account, book, "datacenter")
            ident = str(uuid.uuid4())
            network = centre_network(book)
            book.of("datacenter")[ident] = {**news, "ipv6CidrBlock": network}
        made = {"version": 1, "features": [], "cpuArchitectures": []}
        return ident, {**made, "ipv6CidrBlock": network}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "datacenter", olds.get("name", "")) as book:
            return book.of("datacenter").get(ident)

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "datacenter", olds.get("name", "")) as book:
            find(book, "datacenter", ident).update(news)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """What stands in it goes along, whoever declared it."""
        with self._account.call("delete", "datacenter", olds.get("name", "")) as book:
            find(book, "datacenter", ident)
            servers = [k for k, s in book.of("server").items() if s["datacenterId"] == ident]
            for server in servers:
                self._account.ground.remove(book, book.machines[book.of("server")[server]["host"]])
            for kind in ("server", "nic", "lan", "firewall_rule"):
                there = book.of(kind)
                for key in [k for k, thing in there.items() if thing["datacenterId"] == ident]:
                    del there[key]
            del book.of("datacenter")[ident]


class Lans:
    """terraform-provider-ionoscloud ionoscloud/resource_lan.go; ids count within a data centre."""

    kind = Kind(
        "ionoscloud:compute/lan:Lan",
        "lan",
        parse_fields("""
            datacenterId string required replaces
            public bool =false
            name string
            pcc string
            ipv6CidrBlock string
            location string replaces
            ipFailovers list
            ipv4CidrBlock string computed
        """),
        automatic=("ipv6CidrBlock",),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        return [("pcc", "this stand-in has no pcc in LANs")] if news.get("pcc") else []

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "lan", news["name"]) as book:
            centre = news["datacenterId"]
            find(book, "datacenter", centre)
            taken = [
                int(k.rpartition("/")[2]) for k in book.of("lan") if k.startswith(f"{centre}/")
            ]
            ident = str(max(taken, default=0) + 1)
            number = book.next_id()
            network = lan_network(book, centre, "", news.get("ipv6CidrBlock"))
            book.of("lan")[f"{centre}/{ident}"] = {
                **news, "ipv6CidrBlock": network, "number": number, "failovers": [],
            }  # fmt: skip
        return ident, {"ipv4CidrBlock": "", "ipv6CidrBlock": network}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "lan", olds.get("name", "")) as book:
            lan = book.of("lan").get(f"{olds.get('datacenterId')}/{ident}")
            shown = ("datacenterId", "public", "name", "ipv6CidrBlock")
            return lan and {k: lan[k] for k in shown if k in lan}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "lan", olds.get("name", "")) as book:
            lan = find(book, "lan", f"{olds['datacenterId']}/{ident}")
            if lan["public"] != news.get("public", False) and _members(book, lan, ident):
                # the API moves the cards of running servers then; the lab's cables cannot
                raise refuse(
                    422, "this stand-in does not make a LAN with servers public or private"
                )
            network = lan_network(
                book, olds["datacenterId"], lan.get("ipv6CidrBlock", ""), news.get("ipv6CidrBlock")
            )
            lan.update({**news, "ipv6CidrBlock": network})
            self._readdress(book, f"{olds['datacenterId']}/{ident}")
        return {"ipv6CidrBlock": network}

    def _readdress(self, book: Book, key: str) -> None:
        """Cards of a LAN that was given IPv6 get it too, without being asked."""
        centre, _, number = key.rpartition("/")
        for ident, nic in book.of("nic").items():
            if (nic["datacenterId"], str(nic["lan"])) == (centre, number):
                nic.update(lend6(book, ident, nic, {}))
                apply_nics(self._account, book, nic["serverId"])

    def delete(self, ident: str, olds: Values) -> None:
        """The provider waits until no card is left; one that is gone is no error."""
        with self._account.call("delete", "lan", olds.get("name", "")) as book:
            key = f"{olds['datacenterId']}/{ident}"
            if key in book.of("lan"):
                if _members(book, book.of("lan")[key], ident):
                    raise refuse(422, f"LAN {ident} has network cards")
                del book.of("lan")[key]


def _members(book: Book, lan: Thing, ident: str) -> list[Thing]:
    return [
        nic
        for nic in book.of("nic").values()
        if nic["datacenterId"] == lan["datacenterId"] and str(nic["lan"]) == ident
    ]


class IpBlocks:
    """terraform-provider-ionoscloud ionoscloud/resource_ipblock.go."""

    kind = Kind(
        "ionoscloud:compute/iPBlock:IPBlock",
        "ip_block",
        parse_fields("""
            location string required replaces
            size int required replaces
            name string
            ipConsumers list
            ips strings computed
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        return [] if news.get("size", 1) >= 1 else [("size", "expected size to be at least (1)")]

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "ip_block", news["name"]) as book:
            check_location(news["location"])
            check_quota(self._account, book, "ip_block")
            ident = str(uuid.uuid4())
            ips = allocate(book, news["size"])
            book.of("ip_block")[ident] = {**news, "ips": ips}
        return ident, {"ips": ips}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "ip_block", olds.get("name", "")) as book:
            return book.of("ip_block").get(ident)

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "ip_block", olds.get("name", "")) as book:
            find(book, "ip_block", ident)["name"] = news["name"]
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        with self._account.call("delete", "ip_block", olds.get("name", "")) as book:
            ips = find(book, "ip_block", ident)["ips"]
            if any(ip in nic["ips"] for nic in book.of("nic").values() for ip in ips):
                raise refuse(422, f"an address of {', '.join(ips)} is in use")
            del book.of("ip_block")[ident]
