"""What the primary does by itself every five minutes: hold name servers to what is declared.

The program is the comparer, sent by `enroll` (`remote/dns_program.py`); here is what it reads, the
unit that has no rights beside, and the exporter that hands on its metrics.
"""

from collections.abc import Mapping

from loopback_iac.model import Host, Primary
from loopback_iac.model.fields import Address
from loopback_iac.model.name_server import AUDIT, transfer_mark
from loopback_iac.model.primary import PRIMARY
from loopback_iac.render.exporters import NODE_EXPORTER_PORT, listen_address
from loopback_iac.render.files import File, secret_mark
from loopback_iac.render.text import render_json, render_text

FORMAT = 1  # remote/dns_look.py reads it
PROGRAM = "dns-check"
LISTED = "/etc/loopback/dns-check.json"
KEY = "/etc/loopback/dns-check-key"
STATE = "loopback-dns-check"
USER = "loopback-audit"
_UNITS = "/etc/systemd/system"


def render_look(
    primary: Primary, hosts: Mapping[str, Host], files: Mapping[str, str], audit_key: str
) -> dict[str, File]:
    """Files of the comparer on the primary.

    In: late facts of hosts; by zone, the path of its file; the name of the key for transfers.
    """
    own = hosts[PRIMARY]
    tree = {
        "format": FORMAT,
        "signer": {"name": PRIMARY, "address": str(own.address)},
        "servers": [*_servers(primary, hosts)],
        "zones": [
            {
                "name": zone,
                "file": files[zone],
                "parent": str(primary.parents[source.parent].addresses[0])
                if source.parent
                else None,
            }
            for zone, source in primary.zones.items()
        ],
    }
    unit = render_text(
        "loopback-dns-check.service",
        key=KEY,
        listed=LISTED,
        program=f"/usr/bin/python3 -IB /usr/local/lib/loopback/{PROGRAM}.pyz",
        state=STATE,
        user=USER,
    )
    listen = listen_address(own, NODE_EXPORTER_PORT)
    folder = f"--collector.textfile.directory=/var/lib/{STATE}"
    return {
        LISTED: File(render_json(tree)),
        KEY: File(f"hmac-sha256:{audit_key}:{secret_mark(transfer_mark(AUDIT))}\n", "0600"),
        f"{_UNITS}/loopback-dns-check.service": File(unit),
        f"{_UNITS}/loopback-dns-check.timer": File(render_text("loopback-dns-check.timer")),
        f"{_UNITS}/prometheus-node-exporter.service.d/loopback.conf": File(
            render_text("exporter.drop-in")
        ),
        "/etc/sysusers.d/loopback.conf": File(f'u {USER} - "Looks at name servers"\n'),
        "/etc/default/prometheus-node-exporter": File(
            f'ARGS="--web.listen-address={listen} {folder}"\n'
        ),
    }


def _servers(primary: Primary, hosts: Mapping[str, Host]) -> list[dict[str, object]]:
    """Each at its host's own addresses: behind another, one of several may answer."""
    families = {address.version for address in _addresses(hosts[PRIMARY])}
    named = [
        (name, name, address, True)
        for name in primary.servers
        for address in _addresses(hosts[name])
    ]
    named += [
        (name, "", address, False)
        for name, operator in primary.operators.items()
        for address in operator.answers
    ]
    return [
        {"name": name, "nsid": nsid, "address": str(address), "audited": audited}
        for name, nsid, address, audited in named
        if address.version in families
    ]


def _addresses(host: Host) -> tuple[Address, ...]:
    return tuple(a for a in (host.ipv4, host.ipv6) if a is not None)
