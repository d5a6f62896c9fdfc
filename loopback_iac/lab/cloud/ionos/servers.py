"""Servers with their volume and card: ordered, booted as hosts of the lab, changed, deleted."""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from loopback_iac.lab.cloud.ionos.machines import cards, describe
from loopback_iac.lab.cloud.ionos.nics import (
    SETTLED,
    apply_nics,
    check_nic,
    lend,
    lend6,
    plug_nic,
    put_rules,
    render_nic,
    unplug,
)
from loopback_iac.lab.cloud.ionos.words import IMAGES, check_quota, find, refuse
from loopback_iac.lab.cloud.kinds import ApiError, Kind, UnfinishedError, parse_fields
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Machine, Thing
    from loopback_iac.lab.cloud.kinds import Failures

_FIXED = "{} attribute is immutable, therefore not allowed in update requests"
# terraform-provider-ionoscloud ionoscloud/resource_server.go checkServerImmutableFields
_IMMUTABLE = {
    "templateUuid": _FIXED.format("template_uuid"),
    "availabilityZone": _FIXED.format("availability_zone"),
    "type": _FIXED.format("type"),
    "imageName": _FIXED.format("image_name"),
    "sshKeys": _FIXED.format("ssh_keys"),
    "volume.diskType": _FIXED.format("disk_type"),
    "volume.availabilityZone": _FIXED.format("availability_zone"),
    "volume.backupUnitId": _FIXED.format("backup_unit_id"),
    "volume.userData": _FIXED.format("user_data"),
    "volume.sshKeys": _FIXED.format("ssh_keys"),
    "nic.mac": _FIXED.format("mac"),
}
_TYPES = ("ENTERPRISE", "VCPU")
_ZONES = ("AUTO", "ZONE_1", "ZONE_2")
_DISKS = ("HDD", "SSD Standard", "SSD Premium")


class Servers:
    """terraform-provider-ionoscloud ionoscloud/resource_server.go."""

    kind = Kind(
        "ionoscloud:compute/server:Server",
        "server",
        parse_fields("""
            datacenterId string required replaces
            name string
            hostname string
            type string
            cores int
            ram int
            cpuFamily string
            templateUuid string
            availabilityZone string
            imageName string
            imagePassword string
            sshKeys strings
            volume object
            nic object
            labels list
            vmState string
            allowReplace bool =false
            nicMultiQueue bool
            confidential bool
            bootCdrom string
            bootImage string
            sshKeyPaths strings
            securityGroupsIds strings
            firewallruleIds strings
            location string
            primaryNic string computed
            primaryIp string computed
            bootVolume string computed
            inlineVolumeIds strings computed
            firewallruleId string computed
            enabledFeatures strings computed
        """),
        immutable=_IMMUTABLE,
        guard="allowReplace",
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        """
        What the provider refuses before any call, and what the lab does not have.

        Sources: terraform-provider-ionoscloud internal/serverutil/schemas.go.
        """
        unmade = ("templateUuid", "bootCdrom", "sshKeyPaths", "securityGroupsIds", "confidential")
        found = [(key, f"this stand-in has no {key}") for key in unmade if news.get(key)]
        for key, allowed in (("type", _TYPES), ("availabilityZone", _ZONES)):
            if news.get(key, allowed[0]) not in allowed:
                found.append((key, f"expected {key} to be one of {list(allowed)}"))
        if not 1 <= len(news.get("hostname", "x")) <= 63:
            found.append(("hostname", "expected length of hostname to be in the range (1 - 63)"))
        if news.get("vmState", "RUNNING") != "RUNNING":
            found.append(("vmState", "servers of this stand-in are RUNNING"))
        if "nic" in news:
            found += check_nic(news["nic"], "nic")
            if "lan" not in news["nic"]:
                found.append(("nic.lan", 'The argument "lan" is required'))
        if news.get("volume", {}).get("diskType", _DISKS[0]) not in _DISKS:
            found.append(("volume.diskType", f"expected disk_type to be one of {list(_DISKS)}"))
        return found

    def create(self, news: Values) -> tuple[str, Values]:
        """
        Order of refusals: terraform-provider-ionoscloud ionoscloud/resource_server.go create.

        Out: id and outputs, once the request is DONE: the host's own PID 1 runs.
        """
        check_order(news)
        dark = self._account.stays_dark("server", news["name"])
        with self._account.call("create", "server", news["name"]) as book:
            find(book, "datacenter", news["datacenterId"])
            check_quota(self._account, book, "server")
            ident = str(uuid.uuid4())
            server: Thing = {
                **{key: value for key, value in news.items() if key != "nic"},
                "volumeId": str(uuid.uuid4()),
                "publicKeys": _keys(news),
                "host": self._account.ground.name_host(news["name"], ident),
            }
            book.of("server")[ident] = server
            if "nic" in news:
                nic = plug_nic(book, news["datacenterId"], ident, news["nic"])
                server["nicId"] = nic
            machine = describe(book, ident, server["host"])
            machine.dark = dark
            self._account.ground.place(book, machine)
            made = render_server(book, ident)
        try:
            self._account.ground.start(machine)
        except LabError as error:
            raise UnfinishedError(
                ident, made, f"Request failed with following error: {error}"
            ) from error
        return ident, made

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "server", olds.get("name", "")) as book:
            if ident not in book.of("server"):
                return None
            return {**render_server(book, ident), "allowReplace": olds.get("allowReplace", False)}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        """Cores and memory are hot-plugged; the inline card changes in place."""
        check_order(news)
        with self._account.call("update", "server", olds.get("name", "")) as book:
            server = find(book, "server", ident)
            kept = {key: server[key] for key in _SETTLED if key in server}
            ordered = {key: value for key, value in news.items() if key != "nic"}
            book.of("server")[ident] = server = {**ordered, **kept}
            if "nic" in news and "nicId" in server:
                _change_nic(book, server["nicId"], news["nic"])
            apply_nics(self._account, book, ident)
            return render_server(book, ident)

    def delete(self, ident: str, olds: Values) -> None:
        """The volume goes with it; one that is gone is an error here."""
        with self._account.call("delete", "server", olds.get("name", "")) as book:
            server = find(book, "server", ident)
            machine: Machine = book.machines[server["host"]]
            for key, _ in cards(book, ident):
                unplug(book, key)
            del book.of("server")[ident]
            self._account.ground.remove(book, machine)


_SETTLED = ("host", "publicKeys", "volumeId", "nicId")


def check_order(news: Values) -> None:
    """
    What the provider asks of an order.

    Raises: ApiError, without a code where the provider itself looks.
    Sources: terraform-provider-ionoscloud internal/serverutil/schemas.go, resource_server.go.
    """
    for key in ("cores", "ram"):
        if not news.get(key):
            kind = news.get("type", "ENTERPRISE")
            raise ApiError("", f"{key} argument is required for {kind} type of servers\n")
    if news["ram"] < 256 or news["ram"] % 256:
        raise refuse(422, "[(root).properties.ram] must be a multiple of 256 MB", "100")
    volume = news.get("volume")
    if volume is None:
        raise ApiError("", "this stand-in boots servers from their inline volume alone")
    image = news.get("imageName")
    if not image:
        raise ApiError("", "either 'image_name', 'licence_type', or 'image_alias' must be set")
    if not any(image.lower() in name for name in IMAGES):
        raise ApiError("", f"could not find an image/imagealias/snapshot that matches {image}")
    if not _keys(news, checked=False) and not news.get("imagePassword"):
        raise ApiError("", "either 'image_password' or 'ssh_key_path'/'ssh_keys' must be provided")
    _keys(news)
    try:
        base64.b64decode(volume.get("userData", ""), validate=True)
    except binascii.Error:
        raise refuse(422, "[(root).properties.userData] must be base64 encoded", "100") from None


def _keys(news: Values, *, checked: bool = True) -> list[str]:
    keys = [*(news.get("sshKeys") or []), *(news.get("volume", {}).get("sshKeys") or [])]
    for key in keys if checked else ():
        try:
            load_ssh_public_key(" ".join(key.split()[:2]).encode())
        except (ValueError, UnsupportedAlgorithm):
            text = (
                f"error for public key {key}, check if path is correct or key is in correct format"
            )
            raise ApiError("", text) from None
    return keys


def _change_nic(book: Book, ident: str, news: Values) -> None:
    nic = book.of("nic")[ident]
    hidden = ("firewalls", "ips", "id", "mac")
    settled = (*SETTLED, "serverId", "datacenterId")
    kept = {key: nic[key] for key in settled if key in nic}
    changed = {**{key: value for key, value in news.items() if key not in hidden}, **kept}
    changed["lan"] = int(news["lan"])
    book.of("nic")[ident] = changed
    changed["ips"] = lend(book, changed, news.get("ips") or [])
    changed |= lend6(book, ident, changed, news)
    put_rules(book, nic["datacenterId"], ident, news.get("firewalls") or [])


def render_server(book: Book, ident: str) -> Values:
    """A server as the provider shows it."""
    server = book.of("server")[ident]
    shown: dict[str, Any] = {k: v for k, v in server.items() if k in Servers.kind.fields}
    volume = server["volumeId"]
    rules: list[str] = []
    if "nicId" in server and server["nicId"] in book.of("nic"):
        nic = render_nic(book, server["nicId"])
        inline = [
            {
                **{k: v for k, v in rule.items() if k not in ("nicId", "datacenterId", "inline")},
                "id": key,
            }
            for key, rule in book.of("firewall_rule").items()
            if rule["nicId"] == server["nicId"] and rule["inline"]
        ]
        rules = [rule["id"] for rule in inline]
        shown["nic"] = {**nic, "firewalls": inline}
        shown["primaryNic"] = server["nicId"]
        shown["primaryIp"] = nic["ips"][0] if nic["ips"] else ""
    return {
        "primaryNic": "",
        "primaryIp": "",
        **shown,
        "volume": {**server["volume"], "bootServer": ident},
        "bootVolume": volume,
        "inlineVolumeIds": [volume],
        "firewallruleIds": rules,
        "firewallruleId": rules[0] if rules else "",
        "enabledFeatures": [],
    }
