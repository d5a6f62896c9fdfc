"""Primary IPs, floating IPs and who has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.hetzner.catalog import ZONES
from loopback_iac.lab.cloud.hetzner.machines import allocate4, allocate6, host6, refresh
from loopback_iac.lab.cloud.hetzner.words import (
    check_labels,
    check_new,
    find,
    refuse,
    refuse_protected,
    rename,
)
from loopback_iac.lab.cloud.kinds import ApiError, Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Failures


def new_ip(book: Book, news: Values, location: str) -> Thing:
    """Fields that primary and floating addresses share."""
    if location not in ZONES:
        raise refuse("invalid_input", f"invalid input in field 'location': {location}")
    v4 = news["type"] == "ipv4"
    network = "" if v4 else allocate6(book)
    return {
        "name": news["name"],
        "type": news["type"],
        "ipAddress": allocate4(book) if v4 else host6(network),
        "ipNetwork": network,
        "labels": news.get("labels", {}),
        "deleteProtection": news.get("deleteProtection", False),
        "location": location,
        "assigneeId": 0,
    }


def check_type(news: Values) -> Failures:
    """Both kinds of address are ipv4 or ipv6."""
    found = check_labels(news)
    if news.get("type", "ipv4") not in ("ipv4", "ipv6"):
        found.append(("type", f'value must be one of: ["ipv4" "ipv6"], got: "{news["type"]}"'))
    return found


class PrimaryIps:
    """terraform-provider-hcloud internal/primaryip."""

    kind = Kind(
        "hcloud:index/primaryIp:PrimaryIp",
        "primary_ip",
        parse_fields("""
            type string required replaces
            name string
            location string replaces
            assigneeId int
            assigneeType string
            datacenter string
            autoDelete bool =false
            deleteProtection bool =false
            labels map
            ipAddress string computed
            ipNetwork string computed
        """),
        framework=True,
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        """Removed attributes and pairs, as internal/primaryip/resource.go has them."""
        found = check_type(news)
        if "datacenter" in news:
            found.append(("datacenter", "Removed Attribute: use location"))
        if "assigneeId" in news and "location" in news:
            found.append(("location", "only one of location and assigneeId can be set"))
        if "assigneeId" in news and "assigneeType" not in news:
            found.append(("assigneeType", "assigneeType is required with assigneeId"))
        return found

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "primary_ip", news["name"]) as book:
            check_new(self._account, book, "primary_ip", news["name"])
            location = news.get("location", "")
            if "assigneeId" in news:
                location = find(book, "server", news["assigneeId"])["location"]
            ident = book.next_id()
            ip = {**new_ip(book, news, location), "autoDelete": news.get("autoDelete", False)}
            book.of("primary_ip")[ident] = ip
            if news.get("assigneeId"):
                self._assign(book, ident, news["assigneeId"])
        return ident, render_ip(ip)

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "primary_ip", olds.get("name", "")) as book:
            ip = book.of("primary_ip").get(ident)
            return ip and render_ip(ip)

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        """Another assignee: the address is taken from the old server and given to the new one."""
        with self._account.call("update", "primary_ip", olds.get("name", "")) as book:
            ip = find(book, "primary_ip", ident)
            rename(book, "primary_ip", ip, news["name"])
            for key in ("autoDelete", "deleteProtection"):
                ip[key] = news.get(key, False)
            ip["labels"] = news.get("labels", {})
            if "assigneeId" in news and news["assigneeId"] != ip["assigneeId"]:
                if ip["assigneeId"]:
                    refuse_running(book, ip["assigneeId"])
                ip["assigneeId"] = 0
                if news["assigneeId"]:
                    self._assign(book, ident, news["assigneeId"])
            return render_ip(ip)

    def delete(self, ident: str, olds: Values) -> None:
        """The server of an assigned address is switched off, loses it, and is switched on."""
        with self._account.call("delete", "primary_ip", olds.get("name", "")) as book:
            ip = book.of("primary_ip").get(ident)
            if ip is None:
                return
            refuse_protected(ip, "primary IP")
            machine = None
            if ip["assigneeId"]:
                server = str(ip["assigneeId"])
                machine = book.machines[book.of("server")[server]["host"]]
                self._account.ground.switch_off(machine)
                ip["assigneeId"] = 0
                refresh(book, server)
                self._account.ground.plug(book, machine)
            del book.of("primary_ip")[ident]
        if machine:
            self._account.ground.start(machine)

    def _assign(self, book: Book, ident: str, server: int) -> None:
        find(book, "server", server)
        refuse_running(book, server)
        check_free(book, ident, server, book.of("primary_ip")[ident]["type"])
        book.of("primary_ip")[ident]["assigneeId"] = server
        refresh(book, str(server))


def check_free(book: Book, ident: str, server: int, kind: str) -> Thing:
    """
    A primary address that a server may take.

    Raises: ApiError as the API's operation "Assign a Primary IP" has them.
    """
    ip = find(book, "primary_ip", ident)
    if ip["assigneeId"]:
        raise refuse("primary_ip_assigned", f"primary IP with ID '{ident}' is already assigned")
    if ip["type"] != kind:
        raise refuse("primary_ip_version_mismatch", f"primary IP with ID '{ident}' is no {kind}")
    if str(server) in book.of("server"):
        where = book.of("server")[str(server)]["location"]
        if where != ip["location"]:
            raise refuse("primary_ip_datacenter_mismatch", f"server is in {where}")
        for other in book.of("primary_ip").values():
            if other["assigneeId"] == server and other["type"] == kind:
                raise refuse(f"server_has_{kind}", f"server has an {kind} address")
    return ip


def refuse_running(book: Book, server: int) -> None:
    """Raises: ApiError unless the server is off: its primary addresses stay while it runs."""
    if book.machines[find(book, "server", server)["host"]].on:
        raise refuse("server_not_stopped", f"server with ID '{server}' is not stopped")


def render_ip(ip: Thing) -> Values:
    """A primary address as the provider shows it."""
    return {**ip, "assigneeType": "server" if ip["assigneeId"] else "unassigned"}


class FloatingIps:
    """terraform-provider-hcloud internal/floatingip."""

    kind = Kind(
        "hcloud:index/floatingIp:FloatingIp",
        "floating_ip",
        parse_fields("""
            type string required replaces
            name string
            homeLocation string replaces
            serverId int
            description string
            labels map
            deleteProtection bool =false
            ipAddress string computed
            ipNetwork string computed
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        return check_type(news)

    def create(self, news: Values) -> tuple[str, Values]:
        if "homeLocation" not in news and "serverId" not in news:
            raise ApiError(
                "", "missing one of fields [HomeLocation, Server] in [hcloud.FloatingIPCreateOpts]"
            )
        with self._account.call("create", "floating_ip", news["name"]) as book:
            check_new(self._account, book, "floating_ip", news["name"])
            location = news.get("homeLocation", "")
            if not location:
                location = find(book, "server", news["serverId"])["location"]
            ident = book.next_id()
            ip = {**new_ip(book, news, location), "description": news.get("description", "")}
            book.of("floating_ip")[ident] = ip
            move(self._account, book, ip, news.get("serverId", 0))
        self._serve_api()
        return ident, _render_floating(ip)

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "floating_ip", olds.get("name", "")) as book:
            ip = book.of("floating_ip").get(ident)
            return ip and _render_floating(ip)

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "floating_ip", olds.get("name", "")) as book:
            ip = find(book, "floating_ip", ident)
            rename(book, "floating_ip", ip, news["name"])
            ip["labels"], ip["description"] = news.get("labels", {}), news.get("description", "")
            ip["deleteProtection"] = news.get("deleteProtection", False)
            # optional and computed: what the program leaves open stays as it is
            if news.get("serverId", ip["assigneeId"]) != ip["assigneeId"]:
                move(self._account, book, ip, news["serverId"])
            return _render_floating(ip)

    def delete(self, ident: str, olds: Values) -> None:
        with self._account.call("delete", "floating_ip", olds.get("name", "")) as book:
            ip = book.of("floating_ip").get(ident)
            if ip is not None:
                refuse_protected(ip, "floating IP")
                move(self._account, book, ip, 0)
                del book.of("floating_ip")[ident]

    def _serve_api(self) -> None:
        """Whoever has such an address may want to move it without Pulumi."""
        from loopback_iac.lab.cloud.hetzner.api import ensure_served  # noqa: PLC0415  # in a circle

        ensure_served(self._account.shelf.paths)


class FloatingIpAssignments:
    """terraform-provider-hcloud internal/floatingip: the assignment bears the address's id."""

    kind = Kind(
        "hcloud:index/floatingIpAssignment:FloatingIpAssignment",
        "floating_ip_assignment",
        parse_fields("""
            floatingIpId int required replaces
            serverId int required
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        """Nothing beyond the schema."""
        del news
        return []

    def create(self, news: Values) -> tuple[str, Values]:
        ident = str(news["floatingIpId"])
        self._move("create", ident, news["serverId"])
        return ident, {}

    def read(self, ident: str, olds: Values) -> Values | None:
        del olds
        with self._account.call("read", "floating_ip_assignment", ident) as book:
            ip = book.of("floating_ip").get(ident)
            if not ip or not ip["assigneeId"]:
                return None
            return {"floatingIpId": int(ident), "serverId": ip["assigneeId"]}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        del olds
        self._move("update", ident, news["serverId"])
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        del olds
        with self._account.call("delete", "floating_ip_assignment", ident) as book:
            if ip := book.of("floating_ip").get(ident):
                move(self._account, book, ip, 0)

    def _move(self, verb: str, ident: str, server: int) -> None:
        with self._account.call(verb, "floating_ip_assignment", ident) as book:
            move(self._account, book, find(book, "floating_ip", ident), server)


def move(account: Account, book: Book, ip: Thing, server: int) -> None:
    """Route a floating address to a server, or (0) to none; servers keep running."""
    former, ip["assigneeId"] = ip["assigneeId"], server
    if server:
        find(book, "server", server)
    for ident in filter(None, (former, server)):
        gone = refresh(book, str(ident))
        machine = book.machines[book.of("server")[str(ident)]["host"]]
        account.ground.reroute(machine, gone)
        account.ground.filter(book, machine.cloud)


def _render_floating(ip: Thing) -> Values:
    shown = {key: value for key, value in ip.items() if key not in ("assigneeId", "location")}
    return {**shown, "serverId": ip["assigneeId"], "homeLocation": ip["location"]}
