"""Files of a name server, Knot or NSD: it holds what the catalog lists, and answers."""

from collections.abc import Mapping

from loopback_iac.model import Host, Primary
from loopback_iac.model.name_server import transfer_key, transfer_mark
from loopback_iac.model.primary import PRIMARY
from loopback_iac.render.files import File, HostFiles, secret_mark
from loopback_iac.render.host import packages_of
from loopback_iac.render.primary import UNITS, addresses_of, shared
from loopback_iac.render.text import render_text

CONFIGURATION = {"knot": "/etc/knot/knot.conf", "nsd": "/etc/nsd/nsd.conf"}
STATE = {"knot": "/var/lib/knot", "nsd": "/var/lib/nsd"}
NSD_RUN = "/run/nsd"
ASK = {"knot": "/usr/sbin/knotc zone-refresh", "nsd": "/usr/sbin/nsd-control transfer"}


def render_name_server(primary: Primary, name: str, hosts: Mapping[str, Host]) -> HostFiles:
    """Every file of one name server.

    In: late facts of its host and of the primary's.
    """
    server = primary.servers[name]
    software = server.software
    via, theirs = shared(hosts[name], hosts[PRIMARY])
    # who says its own address as well means it once: NSD would not start
    listen = tuple(dict.fromkeys((*server.addresses, *addresses_of(hosts[name]))))
    values = {
        "name": name,
        "state": STATE[software],
        "key": transfer_key(name),
        "secret": secret_mark(transfer_mark(name)),
        "primary": theirs,
        "catalog": primary.catalog,
        "responses_per_s": primary.responses_per_s,
    }
    if software == "knot":
        bound = [f"{address}@53" for address in listen]
        text = render_text("knot-secondary.conf", listen=bound, via=via, **values)
    else:
        text = render_text("nsd.conf", listen=listen, via=via, run=NSD_RUN, **values)
    files = {
        CONFIGURATION[software]: File(text, "0640", group=software),
        f"{UNITS}/{software}.service.d/loopback.conf": File(
            render_text("name-server.drop-in", ask=ASK[software])
        ),
    }
    return HostFiles(files=files, packages=packages_of(software))
