"""What comes with a server: addresses, firewalls, private networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.hetzner.addresses import check_free, new_ip
from loopback_iac.lab.cloud.hetzner.networks import attach
from loopback_iac.lab.cloud.hetzner.words import find, refuse

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.book import Book

MOST_FIREWALLS = 5


def give_addresses(book: Book, ident: str, nets: list[Values]) -> None:
    """
    Give a server the primary addresses it names, new ones where it names none.

    Raises: ApiError when a named one is not free.
    Sources: the API's operation "Create a Server": public_net; addresses made with a server are
    deleted with it.
    """
    wanted = nets[0] if nets else {}
    for family in ("ipv4", "ipv6"):
        enabled = wanted.get(f"{family}Enabled", True) is not False
        _give_address(book, ident, family, wanted.get(family) if enabled else None, made=enabled)


def _give_address(book: Book, ident: str, family: str, named: int | None, *, made: bool) -> None:
    location = book.of("server")[ident]["location"]
    held = {
        key
        for key, ip in book.of("primary_ip").items()
        if str(ip["assigneeId"]) == ident and ip["type"] == family
    }
    kept = {str(named)} & held if named else held if made else set()
    for key in held - kept:
        _take_back(book, key)
    if kept or not made:
        return
    if named:
        free = check_free(book, str(named), 0, family)
        if free["location"] != location:
            raise refuse("primary_ip_datacenter_mismatch", f"server is in {location}")
        free["assigneeId"] = int(ident)
    else:
        key = book.next_id()
        order = {"name": f"primary_ip-{key}", "type": family}
        fresh = {**new_ip(book, order, location), "autoDelete": True, "assigneeId": int(ident)}
        book.of("primary_ip")[key] = fresh


def _take_back(book: Book, key: str) -> None:
    ip = book.of("primary_ip")[key]
    ip["assigneeId"] = 0
    if ip.get("autoDelete"):
        del book.of("primary_ip")[key]


def join_firewalls(book: Book, ident: str, wanted: list[int]) -> None:
    """
    Apply exactly these firewalls to a server.

    Raises: ApiError when one is not there, or there are too many.
    """
    if len(wanted) > MOST_FIREWALLS:
        raise refuse("invalid_input", f"at most {MOST_FIREWALLS} firewalls per server")
    for number in wanted:
        find(book, "firewall", number)
    for key, firewall in book.of("firewall").items():
        others = [to for to in firewall["applied"] if to.get("server") != int(ident)]
        ours = [{"server": int(ident)}] if int(key) in wanted else []
        firewall["applied"] = others + ours


def join_networks(book: Book, ident: str, wanted: list[Values]) -> None:
    """
    Attach a server to exactly these networks; what it has in one already stays.

    Raises: ApiError when a network, a subnet or the address is not available.
    """
    server = book.of("server")[ident]
    former = {str(a["networkId"]): a for a in server.get("networks", [])}
    server["networks"] = []
    for net in wanted:
        network = str(net.get("networkId") or str(net.get("subnetId", "")).partition("-")[0])
        there = former.get(network)
        if there and net.get("ip") in (None, "", there["ip"]):
            server["networks"].append(there)
        else:
            server["networks"].append(attach(book, ident, net))
    if not server["networks"]:
        del server["networks"]


def leave_everything(book: Book, ident: str) -> None:
    """Before a server goes: addresses are free again or go along, firewalls forget it."""
    for key, ip in list(book.of("primary_ip").items()):
        if str(ip["assigneeId"]) == ident:
            _take_back(book, key)
    for ip in book.of("floating_ip").values():
        if str(ip["assigneeId"]) == ident:
            ip["assigneeId"] = 0
    for firewall in book.of("firewall").values():
        firewall["applied"] = [to for to in firewall["applied"] if to.get("server") != int(ident)]
