"""WireGuard: one interface per PoP-worker pair; AllowedIPs is the pair and nothing else."""

from loopback_iac.render.site import Link
from loopback_iac.render.text import render_text

KEEPALIVE_S = 25  # shorter than the 30 s after which the tightest NATs forget a UDP flow


def render_wireguard(link: Link) -> str:
    """wg-quick file of one tunnel; the private key stays on the host.

    Units: MTU in bytes, keepalive in seconds.
    Sources: wg-quick(8); wg(8).
    """
    return render_text(
        "wireguard.conf",
        link=link,
        tunnel=link.tunnel,
        keepalive_s=KEEPALIVE_S,
    )
