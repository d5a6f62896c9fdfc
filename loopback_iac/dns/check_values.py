"""What records say: certificate authorities, digests, mail policies."""

import re
from collections.abc import Iterator

from dns.rdtypes.ANY.CAA import CAA
from dns.rdtypes.ANY.DS import DS
from dns.rdtypes.ANY.SSHFP import SSHFP
from dns.rdtypes.ANY.TLSA import TLSA

from loopback_iac.dns import names
from loopback_iac.dns.findings import finding
from loopback_iac.dns.rdata import opened, strings
from loopback_iac.dns.zone import RRset, Zone
from loopback_iac.model.problem import Problem

CAA_TAGS = frozenset(  # RFC 8659 4.2 to 4.4, RFC 9495, CA/Browser Forum BR appendix A
    {"contactemail", "contactphone", "iodef", "issue", "issuemail", "issuevmc", "issuewild"}
)
_ISSUER = re.compile(  # RFC 8659 4.2
    r"\s*([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*)?"
    r"\s*(;\s*([A-Za-z0-9]+\s*=\s*[\x21-\x3a\x3c-\x7e]*\s*(;|$)\s*)*)?"
)
DS_DIGESTS = {2: 32, 4: 48}  # RFC 4509, RFC 6605; octets
DS_ALGORITHMS = frozenset({8, 13, 14, 15})
TLSA_DIGESTS = {1: 32, 2: 64}  # RFC 6698 2.1.3
SSHFP_DIGESTS = {1: 20, 2: 32}  # RFC 4255 3.1.2, RFC 6594 3
SSHFP_ALGORITHMS = frozenset({1, 2, 3, 4, 6})  # IANA; 5 was never given
_LOOKUPS = re.compile(
    r"[+?~-]?(include:|exists:|redirect=|a([:/]|$)|mx([:/]|$)|ptr(:|$))", re.IGNORECASE
)
MAX_LOOKUPS = 10  # RFC 7208 4.6.4


def check_values(zone: Zone) -> Iterator[Problem]:
    """CAA, DS, TLSA, SSHFP and MX."""
    for kind, check in (
        ("CAA", _check_caa),
        ("DS", _check_ds),
        ("TLSA", _check_tlsa),
        ("SSHFP", _check_sshfp),
    ):
        for rrset in zone.by_type.get(kind, []):
            for wire in rrset.rdata:
                yield from check(rrset, wire)
    for rrset in zone.by_type.get("MX", []):
        null = [wire for wire in rrset.rdata if wire[2:] == b"\0"]
        if null and (len(rrset.rdata) > 1 or null[0][:2] != b"\0\0"):
            got, need = ", ".join(rrset.values()), "0 . alone"
            fix = "remove the null MX, or all others"
            yield finding("mx-null", rrset, got, need, fix)


def _check_caa(rrset: RRset, wire: bytes) -> Iterator[Problem]:
    data = opened("CAA", wire)
    assert isinstance(data, CAA)  # noqa: S101  # its type's class
    tag, value = data.tag.decode().lower(), data.value.decode("latin-1")
    if data.flags not in (0, 128):
        got, fix = f"flags {data.flags}", "write 0, or 128 for a tag CAs must know"
        yield finding("caa-value", rrset, got, "0 or 128", fix)
    if tag not in CAA_TAGS:
        rule = "caa-critical" if data.flags & 128 else "caa-value"
        fix = f"correct it; known are {', '.join(sorted(CAA_TAGS))}"
        yield finding(rule, rrset, f"the tag {tag!r}", "a tag that CAs know", fix)
    elif tag in ("issue", "issuewild", "issuemail") and not _ISSUER.fullmatch(value):
        need, fix = "a CA's domain, or ; for nobody", 'for example 0 issue "letsencrypt.org"'
        yield finding("caa-value", rrset, f"{tag} {value!r}", need, fix)
    elif tag == "iodef" and not value.startswith(("mailto:", "http://", "https://")):
        need, fix = "a URL", 'for example 0 iodef "mailto:security@example.net"'
        yield finding("caa-value", rrset, f"iodef {value!r}", need, fix)


def _check_ds(rrset: RRset, wire: bytes) -> Iterator[Problem]:
    data = opened("DS", wire)
    assert isinstance(data, DS)  # noqa: S101  # its type's class
    fix = "take the child's DS with digest type 2"
    kind, size = int(data.digest_type), len(data.digest)
    if DS_DIGESTS.get(kind) != size:
        got, need = f"digest type {kind}, {size} octets", "type 2 with 32 or type 4 with 48"
        yield finding("ds-digest", rrset, got, need, fix)
    if int(data.algorithm) not in DS_ALGORITHMS:
        got, need = f"algorithm {int(data.algorithm)}", "8, 13, 14 or 15"
        fix = "let the child sign with algorithm 13, and take its DS"
        yield finding("ds-algorithm", rrset, got, need, fix)


def _check_tlsa(rrset: RRset, wire: bytes) -> Iterator[Problem]:
    data = opened("TLSA", wire)
    assert isinstance(data, TLSA)  # noqa: S101  # its type's class
    usage, selector, kind, size = data.usage, data.selector, data.mtype, len(data.cert)
    if usage > 3 or selector > 1 or kind > 2 or TLSA_DIGESTS.get(kind, size) != size or not size:
        got = f"{usage} {selector} {kind} with {size} octets"
        need = "usage 0-3, selector 0-1, type 1 with 32 or type 2 with 64 octets"
        yield finding("tlsa-value", rrset, got, need, "make it anew from the certificate")


def _check_sshfp(rrset: RRset, wire: bytes) -> Iterator[Problem]:
    data = opened("SSHFP", wire)
    assert isinstance(data, SSHFP)  # noqa: S101  # its type's class
    size = len(data.fingerprint)
    if SSHFP_DIGESTS.get(data.fp_type) != size or data.algorithm not in SSHFP_ALGORITHMS:
        got = f"algorithm {data.algorithm}, type {data.fp_type} with {size} octets"
        need = "algorithm 1-4 or 6, type 2 with 32 octets (type 1 with 20)"
        yield finding("sshfp-value", rrset, got, need, "copy it from ssh-keyscan -D HOST")


def said(rrset: RRset) -> list[str]:
    """The texts of TXT records, their strings joined."""
    return [b"".join(strings(wire)).decode("utf-8", "replace") for wire in rrset.rdata]


def _is_spf(text: str) -> bool:
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def check_mail(zone: Zone) -> Iterator[Problem]:
    """SPF and DMARC policies that receivers would not take."""
    for rrset in zone.by_type.get("TXT", []):
        texts = said(rrset)
        policies = [text for text in texts if _is_spf(text)]
        if len(policies) > 1:
            fix = "join them into one policy"
            yield finding("spf-several", rrset, f"{len(policies)} SPF policies", "one", fix)
        if names.labels(rrset.owner)[:1] == ["_dmarc"]:
            yield from _check_dmarc(rrset, texts)


def _check_dmarc(rrset: RRset, texts: list[str]) -> Iterator[Problem]:
    need, fix = 'one "v=DMARC1; p=none|quarantine|reject"', "correct it"
    policies = [text for text in texts if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]
    if len(policies) != 1:
        got = f"{len(policies)} policies among {len(texts)} texts"
        yield finding("dmarc-record", rrset, got, need, fix)
        return
    tags = [part.partition("=") for part in policies[0].split(";") if part.strip()]
    found = {name.strip(): value.strip() for name, _, value in tags}
    if found.get("p", "").lower() not in ("none", "quarantine", "reject"):
        yield finding("dmarc-record", rrset, repr(policies[0]), need, fix)


def check_mail_advice(zone: Zone) -> Iterator[Problem]:
    """SPF policies that cost too many lookups, or are not there."""
    for rrset in zone.by_type.get("SPF", []):
        need, fix = "a TXT record", "declare it as TXT, and remove this one"
        yield finding("spf-type", rrset, "type SPF", need, fix)
    for rrset in zone.by_type.get("TXT", []):
        for text in filter(_is_spf, said(rrset)):
            count = sum(1 for term in text.split()[1:] if _LOOKUPS.match(term))
            if count > MAX_LOOKUPS:
                got, need = f"{count} lookups in the policy itself", f"{MAX_LOOKUPS} at most"
                yield finding("spf-lookups", rrset, got, need, "write networks as ip4 and ip6")
    for rrset in zone.by_type.get("MX", []):
        texts = zone.rrset(rrset.owner, "TXT")
        if rrset.rdata[0][2:] != b"\0" and not (texts and any(map(_is_spf, said(texts)))):
            got, fix = "takes mail, and has no SPF policy", 'for example TXT "v=spf1 mx -all"'
            yield finding("spf-missing", rrset, got, "", fix)
