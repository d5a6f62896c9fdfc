"""Files of the hidden primary: Knot signs what it is given and hands it to the name servers."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import NamedTuple

from loopback_iac.model import Host, InputRejected, Problem
from loopback_iac.model.fields import Address, Network
from loopback_iac.model.name_server import (
    AUDIT,
    TLS,
    TransferOperator,
    transfer_key,
    transfer_mark,
    update_key,
    update_mark,
)
from loopback_iac.model.primary import DAY_S, PRIMARY, Primary, ZoneSource
from loopback_iac.render.exporters import NODE_EXPORTER_PORT
from loopback_iac.render.files import File, HostFiles, secret_mark
from loopback_iac.render.look import render_look
from loopback_iac.render.packages import packages_of
from loopback_iac.render.text import render_text
from loopback_iac.render.transport import CERTIFICATE_PATH, KEY_PATH, PORT, render_transport_key

ZONES = "/etc/loopback/zones"
ENDED = f"{ZONES}/ended"
STATE = "/var/lib/knot"
UNITS = "/etc/systemd/system"
DS_KEY = "loopback-ds"
# of policies: whether the parent gets the DS
RELEASED, HELD = "signed", "held"
# a KSK rollover waits for the parent's DS; once a minute is what a parent of one's own bears
LONGEST_CHECK_INTERVAL_S = 60


class Peer(NamedTuple):
    """A name server, or an operator's, as the primary's configuration names it."""

    name: str
    key: str
    """Empty: its transfers are not signed."""
    secret: str
    addresses: tuple[Address, ...]
    """Where its transfers come from."""
    told: tuple[Address, ...]
    """Where NOTIFY goes."""
    via: tuple[Address, ...]
    encrypted: bool = False
    """Whether it has to come over TLS."""

    @property
    def port(self) -> int:
        """Where it comes."""
        return PORT if self.encrypted else 53


def zone_path(zone: str, source: ZoneSource) -> str:
    """Where a zone's file stands on the primary; of one that changes by update, its top."""
    return f"{ZONES}/{zone}{'json' if source.is_updated else 'zone'}"


def transfer_secret(secret: str, server: str) -> str:
    """The TSIG secret between the primary and one name server, made from the fleet's.

    Out: base64 of 32 octets; the fleet's secret cannot be made from it.
    Sources: RFC 8945 6 (HMAC-SHA-256 and the length of its key).
    """
    return _derived(secret, f"loopback transfer {server}")


def update_secret(secret: str, updater: str) -> str:
    """The TSIG secret of one updater, made from the fleet's.

    Out: as `transfer_secret`.
    """
    return _derived(secret, f"loopback update {updater}")


def _derived(secret: str, words: str) -> str:
    made = hmac.new(secret.encode(), words.encode(), hashlib.sha256).digest()
    return base64.b64encode(made).decode()


def render_primary(
    primary: Primary, hosts: Mapping[str, Host], zones: Mapping[str, str]
) -> HostFiles:
    """Every file of the primary.

    In: late facts of its host (`primary`) and of every name server; by zone, its file's text.
    Raises: InputRejected when a name server shares no address family with the primary.
    """
    peers, operators = _peers(primary, hosts), _operators(primary, hosts[PRIMARY])
    text = _render_knot(primary, hosts, peers, operators)
    files = {
        "/etc/knot/knot.conf": File(text, "0640", group="knot"),
        "/etc/loopback/nftables.conf": File(_render_guard(primary, [*peers, *operators])),
        f"{UNITS}/loopback-nftables.service": File(render_text("loopback-nftables.service")),
        "/etc/loopback/sysctl.conf": File(render_text("sysctl-primary.conf", name=primary.name)),
        f"{UNITS}/loopback-sysctl.service": File(render_text("loopback-sysctl.service")),
        **{zone_path(name, z): File(zones[name]) for name, z in primary.zones.items()},
        f"{UNITS}/knot.service.d/loopback.conf": File(
            render_text("signer.drop-in", wait_s=_longest_wait_s(primary))
        ),
        **_render_ended(primary),
        **render_look(
            primary,
            hosts,
            {name: zone_path(name, source) for name, source in primary.zones.items()},
            transfer_key(AUDIT),
        ),
        **(render_transport_key() if primary.transport == TLS else {}),
    }
    return HostFiles(files=dict(sorted(files.items())), packages=packages_of("primary"))


def _render_knot(
    primary: Primary, hosts: Mapping[str, Host], peers: list[Peer], operators: list[Peer]
) -> str:
    parents = [
        {
            "name": name,
            "key": f"{DS_KEY}-{name}",
            "secret": secret_mark(f"{DS_KEY}-{name}"),
            "addresses": parent.addresses,
            "delay_s": _wait_s(primary, parent.ds_ttl_s),
        }
        for name, parent in primary.parents.items()
    ]
    return render_text(
        "knot-primary.conf",
        name=primary.name,
        listen=addresses_of(hosts[PRIMARY]),
        audit={"key": transfer_key(AUDIT), "secret": secret_mark(transfer_mark(AUDIT))},
        tls_port=PORT if primary.transport == TLS else 0,
        key_file=KEY_PATH,
        certificate_file=CERTIFICATE_PATH["knot"],
        state=STATE,
        zone_folder=ZONES,
        peers=peers,
        operators=operators,
        parents=parents,
        signing=primary.signing,
        check_interval_s=min(LONGEST_CHECK_INTERVAL_S, primary.signing.propagation_delay_s),
        policies=[
            {"name": "signed", "parent": None, "held": False},
            *(
                {"name": f"{word}-{name}", "parent": name, "held": word == HELD}
                for name in primary.parents
                for word in (RELEASED, HELD)
            ),
        ],
        catalog=primary.catalog,
        zones=[
            {
                "name": zone,
                "file": "" if source.is_updated else zone_path(zone, source).rsplit("/", 1)[1],
                "policy": _policy(source),
                "updates": [f"update-{name}-{zone}" for name in source.updated_by],
            }
            for zone, source in primary.zones.items()
        ],
        updaters=[
            {
                "key": update_key(name),
                "secret": secret_mark(update_mark(name)),
                "zones": [z for z, source in primary.zones.items() if name in source.updated_by],
                "sources": updater.sources,
                "name": name,
            }
            for name, updater in primary.updaters.items()
        ],
        types={zone: source.update_types for zone, source in primary.zones.items()},
    )


def _policy(source: ZoneSource) -> str | None:
    """How a zone is signed; None: as those whose DS somebody carries."""
    if not source.parent:
        return None
    return f"{RELEASED if source.publish_ds else HELD}-{source.parent}"


def _wait_s(primary: Primary, ds_ttl_s: int) -> int:
    """For how long a KSK stays that another has replaced."""
    return ds_ttl_s + primary.signing.propagation_delay_s


def _longest_wait_s(primary: Primary) -> int:
    """The same for every zone; of a parent that is told by hand, the TTL is what most have."""
    ttls = [parent.ds_ttl_s for parent in primary.parents.values()]
    by_hand = [DAY_S for source in primary.zones.values() if not source.parent]
    return _wait_s(primary, max([*ttls, *by_hand], default=DAY_S))


def _render_ended(primary: Primary) -> dict[str, File]:
    """The agent lets no zone of updates go that is not named here: no file has what it holds."""
    if not primary.ended_zones:
        return {}
    return {ENDED: File("".join(f"{zone}\n" for zone in sorted(primary.ended_zones)))}


def _render_guard(primary: Primary, peers: list[Peer]) -> str:
    return render_text(
        "nftables-primary.conf",
        name=primary.name,
        families=[
            {"ip": "ip" if family == 4 else "ip6", "servers": found, "port": port}
            for family in (4, 6)
            for port in sorted({53} | {p.port for p in peers})
            if (found := _sources(peers, family, port))
        ],
        ports=sorted({53} | {p.port for p in peers}),
        updaters=_by_family(n for updater in primary.updaters.values() for n in updater.sources),
        scrapers=_by_family((*primary.admin_sources, *primary.metrics_sources)),
        exporter=NODE_EXPORTER_PORT,
    )


def _by_family(given: Iterable[Network]) -> list[dict[str, object]]:
    """Networks, IPv4 first; nft takes no network twice."""
    networks = [*given]
    found = {
        "ip": [*collapse_addresses(n for n in networks if isinstance(n, IPv4Network))],
        "ip6": [*collapse_addresses(n for n in networks if isinstance(n, IPv6Network))],
    }
    return [{"ip": ip, "sources": sources} for ip, sources in found.items() if sources]


def _sources(peers: list[Peer], family: int, port: int) -> list[Address]:
    found = {a for p in peers if p.port == port for a in p.addresses if a.version == family}
    return sorted(found)


def addresses_of(host: Host) -> tuple[Address, ...]:
    """The host's own addresses, IPv4 first."""
    return tuple(a for a in (host.ipv4, host.ipv6) if a is not None)


def shared(ours: Host, theirs: Host) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
    """Own and other addresses of the families that two hosts share."""
    both = [
        (ours.address_of(family), theirs.address_of(family))
        for family in (4, 6)
        if ours.address_of(family) and theirs.address_of(family)
    ]
    return tuple(a for a, _ in both if a), tuple(b for _, b in both if b)


def check_shared(path: str, own: tuple[Address, ...]) -> list[Problem]:
    """A transfer needs a family that both ends have."""
    if own:
        return []
    fix = "give both an IPv4 or an IPv6 address"
    got = "has no address family that the primary has"
    return [Problem(path, got, "", fix, "transfer-family")]


def _peers(primary: Primary, hosts: Mapping[str, Host]) -> list[Peer]:
    found, problems = [], []
    for name in primary.servers:
        via, theirs = shared(hosts[PRIMARY], hosts[name])
        problems += check_shared(f"servers.{name}.host", via)
        key, secret = transfer_key(name), secret_mark(transfer_mark(name))
        encrypted = primary.transport == TLS
        found.append(Peer(name, key, secret, theirs, theirs, via, encrypted))
    if problems:
        raise InputRejected(primary.name, tuple(problems))
    return found


def offered(host: Host, operator: TransferOperator) -> tuple[Address, ...]:
    """The primary's addresses of the families that an operator's transfers come by."""
    families = {address.version for address in operator.addresses}
    return tuple(a for a in addresses_of(host) if a.version in families)


def _operators(primary: Primary, host: Host) -> list[Peer]:
    found, problems = [], []
    for name, operator in primary.operators.items():
        path = f"operators.{name}.addresses"
        problems += check_shared(path, offered(host, operator))
        key = "" if operator.tsig_waived_because else primary.key_of(name)
        secret = secret_mark(transfer_mark(name))
        families = {address.version for address in addresses_of(host)}
        told = tuple(a for a in operator.told if a.version in families)
        if not told:
            problems += check_shared(f"operators.{name}.notify", ())
        found.append(Peer(name, key, secret, operator.addresses, told, addresses_of(host)))
    if problems:
        raise InputRejected(primary.name, tuple(problems))
    return found
