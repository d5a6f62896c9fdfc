"""The machine's own Debian mirrors, read from its apt sources and turned to the hosts' suite."""

from __future__ import annotations

import re
from dataclasses import dataclass

SUITE = "trixie"
_MIRROR = "http://deb.debian.org/debian"
_SECURITY = "http://deb.debian.org/debian-security"
# What a machine of another distribution, or without sources, is given.
DEFAULTS = (
    f"deb {_MIRROR} {SUITE} main",
    f"deb {_MIRROR} {SUITE}-updates main",
    f"deb {_SECURITY} {SUITE}-security main",
)
_POCKETS = ("", "-updates", "-security")
# sources.list(5): deb [option=value ...] uri suite component...
_CLASSIC = re.compile(
    r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<rest>.+)"
)


@dataclass(frozen=True)
class Source:
    """One repository line: where, which suite, which keyring vouches for it."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


def parse_classic(text: str) -> list[Source]:
    """
    Read the one-line format of sources.list(5).

    Out: its `deb` lines; comments and `deb-src` are left out.
    """
    found = []
    for line in text.splitlines():
        match = _CLASSIC.fullmatch(line.split("#")[0].strip())
        if match:
            options = dict(re.findall(r"([\w-]+)=(\S+)", match["options"] or ""))
            parts = tuple(match["rest"].split())
            found.append(Source(match["uri"], match["suite"], parts, options.get("signed-by", "")))
    return found


def parse_deb822(text: str) -> list[Source]:
    """
    Read the stanza format of sources.list(5).

    Out: every combination of URI and suite of enabled `deb` stanzas. A key written into the stanza
    itself is left out: mmdebstrap then looks for one that fits.
    """
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        kept = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
        fields = {
            key.lower(): " ".join(value.split())
            for key, value in re.findall(
                r"^([\w-]+):((?:.*\n?)(?:[ \t]+.*\n?)*)", kept, re.MULTILINE
            )
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        key = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                parts = tuple(fields.get("components", "").split())
                found.append(Source(uri, suite, parts, key if key.startswith("/") else ""))
    return found


def render_mirrors(sources: list[Source], codename: str) -> list[str]:
    """
    The same mirrors with the hosts' suite.

    In: sources of the machine; codename of the machine's own Debian release, "" elsewhere.
    Out: `deb` lines for mmdebstrap; the public defaults when the machine has no Debian mirror.
    """
    lines = []
    for source in sources:
        pocket = source.suite.removeprefix(codename) if codename else None
        if pocket not in _POCKETS or "main" not in source.components:
            continue
        option = f"[signed-by={source.signed_by}] " if source.signed_by else ""
        lines.append(f"deb {option}{source.uri} {SUITE}{pocket} main")
    return list(dict.fromkeys(lines)) or list(DEFAULTS)
