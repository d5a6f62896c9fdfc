"""Servers: ordered, booted as hosts of the lab, changed, deleted."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.cloud.hetzner.catalog import IMAGES, RETIRED, SERVER_TYPES, ZONES
from loopback_iac.lab.cloud.hetzner.machines import assigned, describe, firewalls_of, host6, refresh
from loopback_iac.lab.cloud.hetzner.orders import (
    give_addresses,
    join_firewalls,
    join_networks,
    leave_everything,
)
from loopback_iac.lab.cloud.hetzner.words import (
    check_hostname,
    check_labels,
    check_new,
    find,
    refuse,
    refuse_protected,
    rename,
)
from loopback_iac.lab.cloud.kinds import ApiError, Kind, UnfinishedError, parse_fields
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Machine, Thing
    from loopback_iac.lab.cloud.kinds import Failures

# The API's operation "Create a Server": user_data
USER_DATA_BYTES = 32 * 1024
MOST_IN_GROUP = 10
# Fields of a server that an update does not take from the program.
_SETTLED = ("host", "publicKeys", "location", "userData", "networks")


def hash_user_data(text: str) -> str:
    """What the state has of user data: internal/server userDataHashSum of the provider."""
    return base64.b64encode(hashlib.sha1(text.encode(), usedforsecurity=False).digest()).decode()


class Servers:
    """terraform-provider-hcloud internal/server."""

    kind = Kind(
        "hcloud:index/server:Server",
        "server",
        parse_fields("""
            serverType string required
            name string
            image string replaces
            location string replaces
            userData string replaces
            sshKeys strings replaces
            labels map
            publicNets list
            networks list
            firewallIds ints
            ignoreRemoteFirewallIds bool =false
            placementGroupId int
            deleteProtection bool =false
            rebuildProtection bool =false
            keepDisk bool =false
            backups bool =false
            shutdownBeforeDeletion bool =false
            allowDeprecatedImages bool =false
            datacenter string
            iso string
            rescue string
            ipv4Address string computed
            ipv6Address string computed
            ipv6Network string computed
            status string computed
            backupWindow string computed
            primaryDiskSize int computed
        """),
        digests={"userData": hash_user_data},
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        """
        What the provider refuses before any call.

        Sources: terraform-provider-hcloud internal/server/resource.go (texts).
        """
        found = check_labels(news)
        if "datacenter" in news:
            found.append(("datacenter", "Removed Attribute: use location"))
        if any(not key for key in news.get("sshKeys", [])):
            text = "Invalid ssh key passed. You need to pass a string with at least 1 character"
            found.append(("sshKeys", text))
        for net in news.get("publicNets", []):
            for family in ("ipv4", "ipv6"):
                if net.get(f"{family}Enabled") is False and net.get(family):
                    text = f"this operation is not allowed: {family}_enabled = false | {family} = "
                    found.append(("publicNets", f"{text}{net[family]}"))
        for unmade in ("iso", "rescue"):
            if unmade in news:
                found.append((unmade, f"this stand-in boots Debian 13 alone and has no {unmade}"))
        return found + _check_networks(news.get("networks", []))

    def create(self, news: Values) -> tuple[str, Values]:
        """
        Order of refusals: terraform-provider-hcloud internal/server/resource.go create.

        Out: id and outputs, once the host's own PID 1 runs; what a cloud calls running.
        """
        check_offer(news)
        dark = self._account.stays_dark("server", news["name"])
        with self._account.call("create", "server", news["name"]) as book:
            keys = _find_keys(book, news.get("sshKeys", []))
            _check_group(book, news.get("placementGroupId"))
            check_hostname(news["name"])
            check_new(self._account, book, "server", news["name"])
            ident = book.next_id()
            server: Thing = {
                **{key: value for key, value in news.items() if key != "networks"},
                "location": news.get("location", "fsn1"),
                "publicKeys": keys,
                "host": self._account.ground.name_host(news["name"], ident),
            }
            book.of("server")[ident] = server
            give_addresses(book, ident, news.get("publicNets", []))
            join_firewalls(book, ident, news.get("firewallIds", []))
            join_networks(book, ident, news.get("networks", []))
            machine = describe(book, ident, server["host"])
            machine.dark = dark
            self._account.ground.place(book, machine)
            made = render_server(book, ident)
        try:
            self._account.ground.start(machine)
        except LabError as error:
            raise UnfinishedError(ident, made, f"{error} (action_failed)") from error
        return ident, made

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "server", olds.get("name", "")) as book:
            if ident not in book.of("server"):
                return None
            found = render_server(book, ident)
            server = book.of("server")[ident]
            held = [
                int(k)
                for k, f in book.of("firewall").items()
                if f in firewalls_of(book, ident, server)
            ]
        if not olds.get("ignoreRemoteFirewallIds"):
            same = sorted(olds.get("firewallIds") or []) == sorted(held)
            found["firewallIds"] = olds.get("firewallIds") if same else held
        # the API never shows which keys a server was ordered with
        return {**found, **{key: olds[key] for key in ("sshKeys",) if key in olds}}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        restarted: Machine | None = None
        if olds.get("serverType") != news["serverType"]:
            check_offer(news)
        with self._account.call("update", "server", olds.get("name", "")) as book:
            server = find(book, "server", ident)
            rename(book, "server", server, news["name"])
            if _differ(olds, news, "placementGroupId"):
                _leave_group(book, server, news.get("placementGroupId"))
            if _differ(olds, news, "firewallIds"):
                join_firewalls(book, ident, news.get("firewallIds", []))
            if _differ(olds, news, "networks"):
                join_networks(book, ident, news.get("networks", []))
            # public nets and type: the provider switches the server off and on
            off = _differ(olds, news, "publicNets") or server["serverType"] != news["serverType"]
            machine = book.machines[server["host"]]
            if off:
                self._account.ground.switch_off(machine)
                restarted = machine
            if _differ(olds, news, "publicNets"):
                give_addresses(book, ident, news.get("publicNets", []))
            ordered = {key: news[key] for key in news if key not in _SETTLED}
            settled = {key: server[key] for key in _SETTLED if key in server}
            book.of("server")[ident] = {**ordered, **settled}
            before = {port.outside for port in machine.ports}
            gone = refresh(book, ident)
            if restarted:
                self._account.ground.plug(book, machine)
            else:
                # private networks come and go while a server runs
                left = before - {port.outside for port in machine.ports}
                self._account.ground.unplug_ports(machine, left)
                self._account.ground.reroute(machine, gone)
            self._account.ground.filter(book, machine.cloud)
            made = render_server(book, ident)
        if restarted:
            self._account.ground.start(restarted)
        return made

    def delete(self, ident: str, olds: Values) -> None:
        """One that is gone is an error here; addresses with autoDelete go with it."""
        if olds.get("shutdownBeforeDeletion"):
            seen = self._account.shelf.read("hcloud")
            if ident in seen.of("server"):
                self._account.ground.shut_down(seen.machines[seen.of("server")[ident]["host"]])
        with self._account.call("delete", "server", olds.get("name", "")) as book:
            server = find(book, "server", ident)
            refuse_protected(server, "server")
            machine = book.machines[server["host"]]
            leave_everything(book, ident)
            del book.of("server")[ident]
            self._account.ground.remove(book, machine)


def check_offer(news: Values) -> None:
    """
    Whether Hetzner sells this server there.

    Raises: ApiError; without a code where the provider itself looks it up.
    Sources: terraform-provider-hcloud internal/server/resource.go; seen texts: TestFlows 2026-01.
    """
    name, image = news["serverType"], news.get("image")
    if name in RETIRED:
        raise ApiError(
            "", f'Server Type "{name}" is unavailable in all locations and can no longer be ordered'
        )
    if name not in SERVER_TYPES:
        raise ApiError("", f"server type {name} not found")
    size = SERVER_TYPES[name]
    if not image:
        raise ApiError("", "missing field [Image] in [hcloud.ServerCreateOpts]")
    if image not in IMAGES:
        raise ApiError("", f"image {image} for architecture {size.architecture} not found")
    location = news.get("location", "fsn1")
    if location not in ZONES:
        raise ApiError("invalid_input", f"invalid input in field 'location': {location}", 422)
    if location not in size.locations:
        raise refuse("invalid_input", "unsupported location for server type")
    if len(news.get("userData", "").encode()) > USER_DATA_BYTES:
        raise refuse("invalid_input", "invalid input in field 'user_data': is too long")
    if news.get("deleteProtection", False) != news.get("rebuildProtection", False):
        raise refuse("invalid_input", "delete and rebuild protection must be equal")


def render_server(book: Book, ident: str) -> Values:
    """A server as the provider shows it."""
    server = book.of("server")[ident]
    shown: dict[str, Any] = {
        key: value
        for key, value in server.items()
        if key in Servers.kind.fields and key != "networks"
    }
    ips = {ip["type"]: ip for ip in assigned(book, "primary_ip", ident)}
    v6 = ips["ipv6"]["ipNetwork"] if "ipv6" in ips else ""
    if "userData" in server:
        shown["userData"] = hash_user_data(server["userData"])
    if "networks" in server:
        shown["networks"] = server["networks"]
    return {
        **shown,
        "ipv4Address": ips["ipv4"]["ipAddress"] if "ipv4" in ips else "",
        "ipv6Network": v6,
        "ipv6Address": host6(v6) if v6 else "",
        "status": "running",
        "backupWindow": "",
        "primaryDiskSize": SERVER_TYPES[server["serverType"]].disk,
    }


def _find_keys(book: Book, wanted: list[str]) -> list[str]:
    there = book.of("ssh_key")
    found = []
    for name in wanted:
        key = there.get(name) or next((k for k in there.values() if k["name"] == name), None)
        if key is None:
            raise ApiError("", f"SSH key not found: {name}")
        found.append(key["publicKey"])
    return found


def _check_group(book: Book, group: int | None) -> None:
    if not group:
        return
    if str(group) not in book.of("placement_group"):
        raise ApiError("", f"placement group not found: {group}")
    members = [s for s in book.of("server").values() if s.get("placementGroupId") == group]
    if len(members) >= MOST_IN_GROUP:
        raise refuse("placement_error", "no more servers in this placement group")


def _leave_group(book: Book, server: Thing, wanted: int | None) -> None:
    if server.get("placementGroupId") and book.machines[server["host"]].on:
        raise ApiError(
            "",
            "removing a running server from a placement group is currently not supported in the"
            " provider. You can shutdown the server yourself, and try again",
        )
    _check_group(book, wanted)


def _check_networks(networks: list[Values]) -> Failures:
    found, seen = [], set()
    for net in networks:
        if not net.get("networkId") and not net.get("subnetId"):
            found.append(("networks", "must specify either network_id or subnet_id"))
        ident = str(net.get("networkId") or str(net.get("subnetId", "")).partition("-")[0])
        if ident in seen:
            text = f"server is only allowed to be attached to each network once: {ident}"
            found.append(("networks", text))
        seen.add(ident)
    return found


def _differ(olds: Values, news: Values, key: str) -> bool:
    return (olds.get(key) or None) != (news.get(key) or None)
