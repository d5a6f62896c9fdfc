"""Keys of transfers between a hidden primary and its name servers; where a fleet's primary is."""

from functools import partial
from typing import cast

import pulumi

from loopback_iac.components.args import AnycastEdgeArgs
from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.converge import Values, seal
from loopback_iac.components.host_args import HostRef
from loopback_iac.model import Fleet, InputRejected, Problem
from loopback_iac.model.name_server import AUDIT, TLS, transfer_mark, update_mark
from loopback_iac.render import ZONES_FROM, transfer_secret
from loopback_iac.render.primary import update_secret
from loopback_iac.render.transport import NEEDED, transport_values

SECRET_LENGTH = 32


def transfer_keys(secret: pulumi.Output[str], *servers: str) -> dict[str, pulumi.Input[str]]:
    """By mark: the key of each name server, made from the primary's secret."""
    return {transfer_mark(n): secret.apply(partial(transfer_secret, server=n)) for n in servers}


def update_keys(secret: pulumi.Output[str], *updaters: str) -> dict[str, pulumi.Input[str]]:
    """By mark: the key of each updater, made from the primary's secret."""
    return {update_mark(n): secret.apply(partial(update_secret, updater=n)) for n in updaters}


def transport_keys(secret: pulumi.Output[str], who: str) -> dict[str, pulumi.Input[str]]:
    """By mark: what the primary (`primary`), or a program of name servers, needs for TLS."""
    made = secret.apply(partial(transport_values, who=who))
    return {mark: made[mark] for mark in NEEDED[who]}


def zone_keys(fleet: Fleet, args: AnycastEdgeArgs, pop: str) -> Values:
    """The key by which a PoP's name server gets zones; nothing where it has none."""
    software, service = fleet.name_server_at(pop), fleet.name_service
    if software is None or service is None or "name_service" not in args:
        return seal({})
    secret = given_secret(args["name_service"]["transfer_secret"])
    own = transport_keys(secret, software) if service.transport == TLS else {}
    return seal(transfer_keys(secret, pop, AUDIT) | own)


def zones_from(fleet: Fleet, args: AnycastEdgeArgs) -> dict[str, pulumi.Input[HostRef]]:
    """The primary's machine by its name among the fleet's; nothing without a name service."""
    if fleet.name_service is None or "name_service" not in args:
        return {}
    return {ZONES_FROM: args["name_service"]["primary"]}


def given_secret(given: pulumi.Input[str]) -> pulumi.Output[str]:
    """The secret that transfer keys are made from, checked, as a secret."""
    checked = pulumi.Output.from_input(given).apply(checked_secret)
    return cast("pulumi.Output[str]", pulumi.Output.secret(checked))


def checked_secret(given: str) -> str:
    """The secret that transfer keys are made from.

    Raises: RejectedInputs, without showing it, when it is short enough to be guessed.
    """

    def checked() -> str:
        if len(given) < SECRET_LENGTH:
            fix = "for example `openssl rand -hex 32`"
            need = f"{SECRET_LENGTH} characters"
            got = f"{len(given)} characters could be guessed"
            problem = Problem("transfer_secret", got, need, fix, "transfer-secret-short")
            raise InputRejected("transfer_secret", (problem,))
        return given

    return refuse_as_pulumi(checked)
