"""What can be lost: causes by kind, and which of them the criterion counts.

Some causes are single in every fleet there is: one AS number, one prefix, one program that changes
it all. A criterion that counted them would refuse everybody and say nothing. So each kind has a
class; only hard causes are counted, the others are listed with what bounds, gates or accepts them.
"""

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """How a cause enters the criterion."""

    HARD = "hard"
    """Counted."""
    BOUNDED = "time-bounded"
    """What it takes down stays up for a stated time after it is lost."""
    GATED = "gated"
    """It reaches one host after the other, and a step that does not prove itself stops the rest."""
    ACCEPTED = "accepted"
    """Somebody takes the risk, by name and with a reason; `owner` is empty while nobody did."""


UNSAID = "(not declared)"
"""Name of what hosts share that do not say it."""


@dataclass(frozen=True)
class Kind:
    """A kind of cause."""

    words: str
    standing: Standing
    because: str = ""
    fix: str = ""
    """What makes a loss of this kind survivable."""
    node: bool = False
    """Whether it is a thing traffic passes through, rather than one that several things share."""


_HARD, _ACCEPTED = Standing.HARD, Standing.ACCEPTED
KINDS = {
    "pop": Kind("PoP", _HARD, fix="add a PoP", node=True),
    "worker": Kind("worker", _HARD, fix="add a worker to the pool", node=True),
    "session": Kind(
        "BGP session",
        _HARD,
        fix="give that PoP a session with another upstream, or add a PoP",
        node=True,
    ),
    "upstream": Kind(
        "upstream", _HARD, fix="add a session with an upstream of another AS", node=True
    ),
    "router": Kind(
        "router", _HARD, fix="add a session with another router, or with a carrier", node=True
    ),
    "provider": Kind("provider", _HARD, fix="put one of them at another provider"),
    "site": Kind("site", _HARD, fix="put one of them at another site"),
    "country": Kind("country", _HARD, fix="put one of them into another country"),
    "domain": Kind("failure domain", _HARD, fix="put one of them outside of it"),
    "shared": Kind("shared, as declared for the proof", _HARD, fix="put one of them outside of it"),
    "operator": Kind("DNS operator", _HARD, fix="let another operator answer for the zone"),
    "tld": Kind(
        "top-level domain",
        _HARD,
        fix="name some name servers under another top-level domain",
    ),
    "signer": Kind("DNSSEC signer", Standing.BOUNDED),
    "ca": Kind("certificate authority", Standing.BOUNDED),
    "software": Kind(
        "software",
        Standing.GATED,
        "`loopback update` brings packages to one host after the other, takes each PoP out of "
        "traffic meanwhile and puts the old ones back when the new ones do not prove",
    ),
    "pipeline": Kind(
        "change pipeline",
        Standing.GATED,
        "`up` changes one PoP after the other, each drained, proved and rolled back if it does not "
        "prove; workers prove and roll back each by itself, but are changed side by side",
    ),
    "credentials": Kind(
        "credentials", _ACCEPTED, "the deploy key is equal to root on every host of the fleet"
    ),
    "origin": Kind("origin AS", _ACCEPTED, "one AS number originates the prefix at these PoPs"),
    "prefix": Kind("prefix", _ACCEPTED, "an address lies in one prefix, with one holder and ROA"),
    "owner": Kind(
        "legal owner", _ACCEPTED, "the owner of the machines is the fleet's own company as a rule"
    ),
    "registrar": Kind("registrar", _ACCEPTED, "a domain has one registrar"),
    "parent": Kind("parent zone", _ACCEPTED, "a name has one parent zone"),
}


@dataclass(frozen=True)
class Cause:
    """One thing that can be lost."""

    kind: str
    name: str
    standing: Standing
    because: str = ""
    owner: str = ""

    @property
    def key(self) -> str:
        """What the certificate calls it."""
        return f"{self.kind} {self.name}"

    @property
    def title(self) -> str:
        """As a person reads it."""
        if self.name == UNSAID:
            return f"{KINDS[self.kind].words} {self.name}"
        return f"{self.name} ({KINDS[self.kind].words})"

    @property
    def hard(self) -> bool:
        """Whether the criterion counts it."""
        return self.standing is Standing.HARD

    @property
    def node(self) -> bool:
        """Whether traffic passes through it."""
        return KINDS[self.kind].node
