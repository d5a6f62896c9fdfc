"""Files of a name server, Knot or NSD: it holds what the catalog lists, and answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from loopback_iac.model import Fleet, Host, InputRejected, Primary
from loopback_iac.model.fields import Address
from loopback_iac.model.name_server import (
    AUDIT,
    TLS,
    Software,
    Transport,
    transfer_key,
    transfer_mark,
)
from loopback_iac.model.primary import PRIMARY
from loopback_iac.render.files import File, HostFiles, secret_mark
from loopback_iac.render.packages import packages_of
from loopback_iac.render.primary import UNITS, addresses_of, check_shared, shared
from loopback_iac.render.text import render_text
from loopback_iac.render.transport import CERTIFICATE_PATH, NAME, PIN, PORT, render_trust

CONFIGURATION = {"knot": "/etc/knot/knot.conf", "nsd": "/etc/nsd/nsd.conf"}
STATE = {"knot": "/var/lib/knot", "nsd": "/var/lib/nsd"}
NSD_RUN = "/run/nsd"
ASK = {"knot": "/usr/sbin/knotc zone-refresh", "nsd": "/usr/sbin/nsd-control transfer"}
ZONES_FROM = "name_service"
"""What the primary of a fleet's name service is called among its hosts: no name of one."""


@dataclass(frozen=True)
class _Told:
    """What a name server is told, wherever it stands."""

    name: str
    software: Software
    listen: tuple[Address, ...]
    own: Host
    primary: Host
    catalog: str
    responses_per_s: int
    transport: Transport
    watched: bool = False
    """Whether the health gate of the same host asks it, and for its list of zones as well."""


def render_name_server(primary: Primary, name: str, hosts: Mapping[str, Host]) -> HostFiles:
    """Every file of one name server on a host of its own.

    In: late facts of its host and of the primary's.
    """
    server = primary.servers[name]
    told = _Told(
        name=name,
        software=server.software,
        listen=(*server.addresses, *addresses_of(hosts[name])),
        own=hosts[name],
        primary=hosts[PRIMARY],
        catalog=primary.catalog,
        responses_per_s=primary.responses_per_s,
        transport=primary.transport,
    )
    return HostFiles(files=_render(told), packages=packages_of(server.software))


def names_at(fleet: Fleet, pop: str) -> tuple[Address, ...]:
    """Addresses at which a PoP answers for zones, IPv4 first; none where it does not."""
    service = fleet.name_service
    if service is None or fleet.name_server_at(pop) is None:
        return ()
    return tuple(sorted(fleet.vips[service.vip].addresses, key=lambda a: a.version))


def render_pop_name_server(fleet: Fleet, pop: str, hosts: Mapping[str, Host]) -> dict[str, File]:
    """Files of the name server of a PoP; none where it has none.

    In: late facts of every host, the primary's under `ZONES_FROM`.
    Raises: InputRejected when it shares no address family with the primary.
    """
    software, service = fleet.name_server_at(pop), fleet.name_service
    if software is None or service is None:
        return {}
    via, _ = shared(hosts[pop], hosts[ZONES_FROM])
    if problems := check_shared(f"pops.{pop}.host", via):
        raise InputRejected(fleet.name, tuple(problems))
    return _render(
        _Told(
            name=pop,
            software=software,
            listen=(*names_at(fleet, pop), *addresses_of(hosts[pop])),
            own=hosts[pop],
            primary=hosts[ZONES_FROM],
            catalog=service.catalog,
            responses_per_s=service.responses_per_s,
            transport=service.transport,
            watched=True,
        )
    )


def _render(told: _Told) -> dict[str, File]:
    software = told.software
    via, theirs = shared(told.own, told.primary)
    encrypted = told.transport == TLS
    # who says its own address as well means it once: NSD would not start
    listen = tuple(dict.fromkeys(told.listen))
    values = {
        "name": told.name,
        "state": STATE[software],
        "key": transfer_key(told.name),
        "secret": secret_mark(transfer_mark(told.name)),
        "audit": {"key": transfer_key(AUDIT), "secret": secret_mark(transfer_mark(AUDIT))},
        "primary": theirs,
        "catalog": told.catalog,
        "responses_per_s": told.responses_per_s,
        "watched": (told.own.address,) if told.watched else (),
        "tls_port": PORT if encrypted else 0,
    }
    if software == "knot":
        bound = [f"{address}@53" for address in listen]
        own = listen if told.watched else ()
        values |= {"pin": secret_mark(PIN), "own": own}
        text = render_text("knot-secondary.conf", listen=bound, via=via, **values)
    else:
        values |= {"certificate_file": CERTIFICATE_PATH[software], "certificate_name": NAME}
        text = render_text("nsd.conf", listen=listen, via=via, run=NSD_RUN, **values)
    return {
        CONFIGURATION[software]: File(text, "0640", group=software),
        f"{UNITS}/{software}.service.d/loopback.conf": File(
            render_text("name-server.drop-in", ask=ASK[software])
        ),
        # Knot knows the primary by the digest in its configuration
        **(render_trust(software) if encrypted and software == "nsd" else {}),
    }
