"""Files of a PoP's name server, Knot or NSD: it holds what the catalog lists, and answers."""

from loopback_iac.model import Host, InputRejected
from loopback_iac.model.fields import Address
from loopback_iac.model.name_server import NameServers, transfer_key, transfer_mark
from loopback_iac.render.files import File, secret_mark
from loopback_iac.render.primary import addresses_of, check_shared, shared
from loopback_iac.render.text import render_text

CONFIGURATION = {"knot": "/etc/knot/knot.conf", "nsd": "/etc/nsd/nsd.conf"}
STATE = {"knot": "/var/lib/knot", "nsd": "/var/lib/nsd"}
NSD_RUN = "/run/nsd"


def listen_addresses(servers: NameServers, host: Host) -> tuple[Address, ...]:
    """The anycast addresses, and the host's own: there NOTIFY comes, and whoever compares PoPs."""
    return (*servers.addresses, *addresses_of(host))


def render_name_server(
    servers: NameServers, pop: str, host: Host, primary: Host
) -> dict[str, File]:
    """Configuration of one PoP's name server, by path.

    Raises: InputRejected when the PoP shares no address family with the primary.
    """
    software = servers.pops[pop].software
    via, theirs = shared(host, primary)
    if problems := check_shared(f"name_servers.pops.{pop}", via):
        raise InputRejected(pop, tuple(problems))
    listen = listen_addresses(servers, host)
    values = {
        "name": pop,
        "state": STATE[software],
        "key": transfer_key(pop),
        "secret": secret_mark(transfer_mark(pop)),
        "primary": theirs,
        "catalog": servers.catalog,
        "responses_per_s": servers.responses_per_s,
    }
    if software == "knot":
        bound = [f"{address}@53" for address in listen]
        text = render_text("knot-secondary.conf", listen=bound, via=via, **values)
    else:
        text = render_text("nsd.conf", listen=listen, run=NSD_RUN, **values)
    return {CONFIGURATION[software]: File(text, "0640", group=software)}
