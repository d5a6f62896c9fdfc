"""systemd: our own units, and drop-ins that take from daemons what they do not need."""

from loopback_iac.model import Fleet
from loopback_iac.render.egress import Exit
from loopback_iac.render.files import File
from loopback_iac.render.haproxy import file_limit
from loopback_iac.render.site import Link, Uplink
from loopback_iac.render.text import render_text

UNITS = "/etc/systemd/system"


def render_units_pop(
    fleet: Fleet, pop: str, links: tuple[Link, ...], uplinks: tuple[Uplink, ...]
) -> dict[str, File]:
    """Units and drop-ins of a PoP by path."""
    software = fleet.name_server_at(pop)
    names = {"loopback-names.service": render_text("loopback-names.service", software=software)}
    texts = {
        "loopback-nftables.service": render_text("loopback-nftables.service"),
        "loopback-routes.service": render_text("loopback-routes.service"),
        "loopback-sysctl.service": render_text("loopback-sysctl.service"),
        "loopback-watch.service": render_text("loopback-watch.service", groups="bird haproxy"),
        "loopback-metrics.service": render_text("loopback-metrics.service"),
        **(names if software else {}),
        "bird.service.d/loopback.conf": render_text("bird.drop-in"),
        "haproxy.service.d/loopback.conf": render_text(
            "haproxy.drop-in", file_limit=file_limit(fleet)
        ),
        "prometheus-node-exporter.service.d/loopback.conf": render_text("exporter.drop-in"),
        "prometheus-bird-exporter.service.d/loopback.conf": render_text("exporter.drop-in"),
        **{
            _drop_in(uplink.interface): render_text("wg-quick.drop-in", before="bird.service")
            for uplink in uplinks
        },
    }
    return _files(texts | _tunnel_drop_ins(links))


def render_units_worker(links: tuple[Link, ...], out: tuple[Exit, ...]) -> dict[str, File]:
    """Units and drop-ins of a worker by path."""
    texts = {
        "loopback-nftables.service": render_text("loopback-nftables.service"),
        "loopback-watch.service": render_text("loopback-watch.service", groups=""),
    }
    if out:
        interfaces = [way.link.interface for way in out]
        texts |= {
            "loopback-routes.service": render_text("loopback-routes.service"),
            "loopback-egress.service": render_text(
                "loopback-egress.service", interfaces=interfaces
            ),
        }
    return _files(texts | _tunnel_drop_ins(links))


def _tunnel_drop_ins(links: tuple[Link, ...]) -> dict[str, str]:
    # one per tunnel: a drop-in of the template would reach tunnels that are not ours
    text = render_text("wg-quick.drop-in", before=None)
    return {_drop_in(link.interface): text for link in links}


def _drop_in(interface: str) -> str:
    return f"wg-quick@{interface}.service.d/loopback.conf"


def _files(texts: dict[str, str]) -> dict[str, File]:
    return {f"{UNITS}/{name}": File(text) for name, text in texts.items()}
