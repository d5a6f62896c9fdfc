"""WireGuard: an interface per PoP-worker pair, whose AllowedIPs is the pair and, for egress, what
leaves through it. One per router that ends a BGP tunnel may send whatever the Internet sends.
"""

from loopback_iac.render.site import Link, Uplink
from loopback_iac.render.text import render_text

# The tightest NATs forget a UDP flow after 30 s. One that forgets at once, because it restarted or
# got another address, cuts the tunnel until the worker sends again: that is this long at most.
KEEPALIVE_S = 5
EVERYWHERE = "0.0.0.0/0"


def render_wireguard(link: Link, beyond: tuple[str, ...] = ()) -> str:
    """wg-quick file of one tunnel; the private key stays on the host.

    In: beyond, networks that are reached through it beside its ends, for egress.
    Units: MTU in bytes, keepalive in seconds.
    Sources: wg-quick(8); wg(8).
    """
    return render_text(
        "wireguard.conf",
        link=link,
        tunnel=link.tunnel,
        beyond=list(beyond),
        loose=EVERYWHERE in beyond,
        keepalive_s=KEEPALIVE_S,
    )


def render_uplink(pop: str, uplink: Uplink) -> str:
    """wg-quick file of a tunnel to a router; the private key stays on the host.

    Units: MTU in bytes, keepalive in seconds.
    """
    everything = {4: "0.0.0.0/0", 6: "::/0"}
    return render_text(
        "wireguard-uplink.conf",
        pop=pop,
        uplink=uplink,
        tunnel=uplink.tunnel,
        allowed=[everything[session.family] for session in uplink.sessions],
    )
