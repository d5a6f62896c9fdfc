"""A router of the lab as the far end of a PoP's BGP tunnel: what its operator would enter there."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.paths import LabError
from loopback_iac.lab.templating import render
from loopback_iac.lab.topology import CORE, EDGE_ASN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopback_iac.lab.instance import Lab

# Above what links with PoPs get: clients behind the router come through the tunnel.
PREFERENCE = 300
INNER4 = IPv4Interface("100.64.0.0/31")
INNER6 = IPv6Interface("2001:db8:fe::/127")


@dataclass(frozen=True)
class TunnelEnd:
    """The router's end; the PoP has the other address of each pair.

    In: own_asn, for a router of the fleet's owner: the AS number it has towards the PoP.
    """

    router: str
    peer: str
    port: int = 51821
    v4: IPv4Interface = INNER4
    v6: IPv6Interface = INNER6
    outer_family: int = 4
    own_asn: int | None = None

    @property
    def interface(self) -> str:
        """Its interface, called after the PoP."""
        return f"wg-{self.peer}"

    @property
    def _key(self) -> str:
        return f"/etc/wireguard/{self.interface}.key"

    @property
    def _bird(self) -> str:
        return f"/etc/bird/tunnel-{self.peer}.conf"

    def offer(self, lab: Lab) -> dict[str, Any]:
        """
        Make the router's key and say what goes on the order form.

        Out: the upstream of the PoP: its tunnel, both inner addresses, the AS number.
        """
        make = f"umask 077; test -s {self._key} || wg genkey >{self._key}; wg pubkey <{self._key}"
        end = lab.topology.link(CORE, self.router).end(self.router)
        outer = end.v6 if self.outer_family == 6 else end.v4
        return {
            "kind": "tunnel",
            "asn": self.own_asn or lab.topology.host(self.router).asn,
            "tunnel": {
                "endpoint": str(outer.ip) if outer else "",
                "endpoint_port": self.port,
                "public_key": self._run(lab, "sh", "-c", make).strip(),
                "router": "own" if self.own_asn else "carrier",
            },
            "local_v4": str(self.v4.ip + 1),
            "neighbor_v4": str(self.v4.ip),
            "local_v6": str(self.v6.ip + 1),
            "neighbor_v6": str(self.v6.ip),
            "role_strict": self.own_asn is None,
        }

    def enter(self, lab: Lab, told: Mapping[str, Any]) -> None:
        """
        Let the router end the tunnel and speak BGP in it.

        In: told, what the stack's output `bgp_tunnels` says of this PoP and upstream.
        """
        files = {
            f"/etc/wireguard/{self.interface}.conf": render(
                "tunnel-end.conf.j2", end=self, told=told, key=self._key
            ),
            self._bird: render(
                "tunnel-session.conf.j2",
                end=self,
                told=told,
                asn=EDGE_ASN,
                preference=PREFERENCE,
                families=[(4, self.v4.ip, self.v4.ip + 1), (6, self.v6.ip, self.v6.ip + 1)],
            ),
        }
        for path, text in files.items():
            self._run(lab, "tee", path, text=text)
        self._run(lab, "systemctl", "restart", f"wg-quick@{self.interface}")
        self._run(lab, "birdc", "configure")

    def leave(self, lab: Lab) -> None:
        """Take all of it away again, the router's key as well."""
        self._run(lab, "rm", "-f", self._bird)
        self._run(lab, "birdc", "configure")
        self._run(lab, "systemctl", "stop", f"wg-quick@{self.interface}")
        self._run(lab, "rm", "-f", self._key, f"/etc/wireguard/{self.interface}.conf")

    def _run(self, lab: Lab, *argv: str, text: str | None = None) -> str:
        done = lab.exec(self.router, list(argv), text)
        if done.returncode:
            raise LabError(f"{self.router}: {' '.join(argv)}: {done.stderr or done.stdout}")
        return done.stdout
