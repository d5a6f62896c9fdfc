"""What a PoP agrees with one upstream: session facts, waivers with their reasons, communities."""

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from loopback_iac.model.bgp_tunnel import INTERFACE_PREFIX, BgpTunnel
from loopback_iac.model.fields import (
    Address,
    AddressV4,
    AddressV6,
    Asn,
    Given,
    Int,
    Interface,
    Line,
    LineList,
    Value,
    refuse,
)

COMMUNITY = re.compile(r"(\d{1,10}):(\d{1,10})(?::(\d{1,10}))?")
BLACKHOLE = "65535:666"  # RFC 7999: drop the traffic to this address
FULL_TABLE_V4 = (
    1_500_000  # a default-free table held about 1.0 M routes in 2025; half as much again
)
FULL_TABLE_V6 = 400_000  # likewise, about 0.23 M
# Three lost in a row end the session. On a link the next PoP takes over in 150 ms; a path over the
# Internet loses and delays more than that without being broken.
BFD_MS = 50
BFD_TUNNEL_MS = 300


def _community(value: object) -> object:
    match = COMMUNITY.fullmatch(value) if isinstance(value, str) else None
    parts = [int(part) for part in match.groups() if part] if match else []
    ceiling = 2**16 if len(parts) == 2 else 2**32  # RFC 1997, RFC 8092
    if isinstance(value, str) and (not parts or max(parts) >= ceiling):
        refuse(
            "community-syntax",
            f"{value!r} is no community",
            "65535:666 (16 bits each) or 64496:1:2 (32 bits each)",
            "copy the value from the upstream's page and name that page in `source`",
        )
    return value


class Community(Value):
    """One value an upstream listens to, and where it says so."""

    value: Annotated[str, BeforeValidator(_community)] = BLACKHOLE
    source: Line
    use: Literal["announce", "drain", "blackhole"] = "announce"
    prefixes: LineList | None = None

    def only_with(self, prefix: str) -> bool:
        """Whether it is bound to prefixes, and this is one of them."""
        return self.prefixes is not None and prefix in self.prefixes

    @model_validator(mode="before")
    @classmethod
    def _valued(cls, tree: object) -> object:
        """Only the blackhole community has a value that is the same everywhere."""
        if isinstance(tree, dict) and "value" not in tree and tree.get("use") != "blackhole":
            refuse(
                "community-value",
                "a community without a value",
                f"value; only use: blackhole has one of its own, {BLACKHOLE} (RFC 7999)",
                "copy the value from the upstream's page and name that page in `source`",
            )
        return tree


class Limits(Value):
    """Most routes taken from an upstream that sends more than a default; more are blocked."""

    import_v4: Int = Field(FULL_TABLE_V4, ge=1, le=10_000_000)
    import_v6: Int = Field(FULL_TABLE_V6, ge=1, le=10_000_000)
    blackholes: Int = Field(8, ge=0, le=1000)


def private_asn(asn: int) -> bool:
    """Whether an AS number is for private use (RFC 6996)."""
    return 64512 <= asn <= 65534 or 4200000000 <= asn <= 4294967294


class Upstream(Value):
    """A router that carries this PoP's announcements, and what was agreed with its owner."""

    kind: Literal["transit", "internal", "tunnel"] = "transit"
    asn: Asn
    asn_source: Line | None = None
    interface: Interface | None = None
    tunnel: BgpTunnel | None = None
    local_v4: AddressV4 | None = None
    neighbor_v4: AddressV4 | None = None
    local_v6: AddressV6 | None = None
    neighbor_v6: AddressV6 | None = None
    md5: Given = False
    md5_waived_because: Line | None = None
    ttl_security: bool = True
    multihop: Int | None = Field(None, ge=2, le=255)
    multihop_because: Line | None = None
    gateway_v4: AddressV4 | None = None
    gateway_v6: AddressV6 | None = None
    bfd: bool = True
    bfd_interval_ms: Int | None = Field(None, ge=10, le=1000)
    bfd_waived_because: Line | None = None
    blackhole_waived_because: Line | None = None
    hold_time_s: Int = 9
    keepalive_s: Int = 3
    role_strict: bool = False
    routes: Literal["default", "full"] = "default"
    limits: Limits = Limits()
    communities: dict[str, Community] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _settle(cls, tree: object) -> object:
        """The default that multihop turns over."""
        if isinstance(tree, dict) and "multihop" in tree:
            return {"ttl_security": False, **tree}
        return tree

    @model_validator(mode="after")
    def _hold(self) -> Self:
        # RFC 4271 4.2 (0 or at least 3) and 10 (keepalive a third of it); 0 would never notice
        if not 3 <= self.hold_time_s <= 300 or not 1 <= self.keepalive_s <= self.hold_time_s // 3:
            refuse(
                "hold-keepalive",
                f"hold time {self.hold_time_s} s with keepalive {self.keepalive_s} s",
                "hold time 3 to 300 s and keepalive 1 s to a third of it",
                "hold_time_s: 9 and keepalive_s: 3, or what the upstream accepts",
            )
        return self

    @property
    def carrier(self) -> bool:
        """Whether somebody else's network is behind it: the PoP is its customer (RFC 9234)."""
        if self.tunnel is not None:
            return self.tunnel.router == "carrier"
        return self.kind != "internal"

    @property
    def bfd_ms(self) -> int:
        """Milliseconds between two packets of BFD."""
        return self.bfd_interval_ms or (BFD_TUNNEL_MS if self.tunnel else BFD_MS)

    def interface_of(self, name: str) -> str | None:
        """The PoP's interface towards it, where one is named.

        In: the upstream's name; a tunnel's interface is called after it.
        """
        return f"{INTERFACE_PREFIX}{name}" if self.tunnel else self.interface

    @property
    def sessions(self) -> tuple[tuple[int, Address, Address], ...]:
        """(family, local, neighbor) of each BGP session."""
        pairs = ((4, self.local_v4, self.neighbor_v4), (6, self.local_v6, self.neighbor_v6))
        return tuple(
            (family, local, neighbor)
            for family, local, neighbor in pairs
            if local is not None and neighbor is not None
        )

    def communities_for(self, use: str, prefix: str | None = None) -> tuple[str, ...]:
        """Community values of one use, sorted.

        In: a prefix by name, for those it alone is sent with; without it, those of every prefix.
        """
        return tuple(
            sorted(
                c.value
                for c in self.communities.values()
                if c.use == use and (c.prefixes is None if prefix is None else c.only_with(prefix))
            )
        )
