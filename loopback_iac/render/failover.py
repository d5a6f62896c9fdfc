"""Files of a failover address: the address on every member, and the arbiter that moves it."""

import hashlib
import hmac
from typing import NamedTuple

from loopback_iac.model import FailoverMachines, FailoverVip
from loopback_iac.model.fields import Address
from loopback_iac.render.files import File, HostFiles, secret_mark
from loopback_iac.render.packages import packages_of
from loopback_iac.render.text import render_json, render_text

MEMBER = "member"
ARBITER = "arbiter"
TOKEN_MARK = "provider-token"  # noqa: S105 - its name
KEY_MARK = "hold-key"
UNITS = "/etc/systemd/system"


class FloatingAddress(NamedTuple):
    """An address and the number that the provider has for it."""

    address: Address
    ident: str


def render_member(floating: FloatingAddress) -> HostFiles:
    """Files of a member: the address stands on lo at all times, so it answers once it arrives.

    routes.json takes addresses of an own prefix or of a hosted one; this is hosted, by itself.
    """
    address = str(floating.address)
    tree = {"format": 1, "hosted": [f"{address}/32"], "prefixes": [], "vips": [address]}
    return HostFiles(
        files={
            "/etc/loopback/routes.json": File(render_json(tree)),
            f"{UNITS}/loopback-routes.service": File(render_text("loopback-routes.service")),
        },
        packages=packages_of(MEMBER),
    )


def render_told_member(floating: FloatingAddress, name: str, own: Address) -> HostFiles:
    """Files of a member that takes the address itself, on the card with its own, once it is told.

    In: own, the address that finds the card. The key is a mark, and its file is root's.
    """
    tree = {"format": 1, "name": name, "own": str(own), "address": str(floating.address)}
    return HostFiles(
        files={
            "/etc/loopback/hold-key": File(secret_mark(KEY_MARK) + "\n", "0600"),
            "/etc/loopback/hold.json": File(render_json(tree)),
            f"{UNITS}/loopback-hold.service": File(render_text("loopback-hold.service")),
        },
        packages=packages_of(MEMBER),
    )


def hold_key(token: str, member: str) -> str:
    """What a member knows its arbiter by; the arbiter makes it from the token as well."""
    return hmac.new(token.encode(), f"loopback hold {member}".encode(), hashlib.sha256).hexdigest()


def render_arbiter(
    vip: FailoverVip,
    machines: FailoverMachines,
    floating: FloatingAddress,
) -> HostFiles:
    """Files of the arbiter; the token is a mark, and its file is root's.

    Units: seconds.
    """
    check = vip.check
    tree = {
        "format": 1,
        "provider": vip.provider,
        "endpoint": vip.api,
        "authority": vip.ca_certificate,
        "members": [
            {"name": name, "server": server, "address": str(host.address)}
            for name, (host, server) in machines.members.items()
        ],
        "addresses": {str(floating.address): floating.ident},
        "check": {
            "port": check.port,
            "interval_s": check.interval_ms / 1000,
            "timeout_s": check.timeout_ms / 1000,
            "fall": check.fall,
            "rise": check.rise,
        },
    }
    return HostFiles(
        files={
            "/etc/loopback/arbiter-token": File(secret_mark(TOKEN_MARK) + "\n", "0600"),
            "/etc/loopback/arbiter.json": File(render_json(tree)),
            f"{UNITS}/loopback-arbiter.service": File(render_text("loopback-arbiter.service")),
        },
        packages=packages_of(ARBITER),
    )
