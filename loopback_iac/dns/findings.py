"""The rules a zone is held to, each with the RFC it comes from; how a finding is made.

A rule in `ADVICE` is told and does not refuse: the zone works, somebody will be surprised.
"""

from collections.abc import Mapping

from loopback_iac.dns.zone import Key, RRset
from loopback_iac.model.problem import Problem

ERRORS = {
    "a-label-invalid": "RFC 5890 2.3.2.1: a label that begins with xn-- decodes to a U-label",
    "apex-ns-few": "RFC 2182 5: a zone has two name servers at least",
    "below-cut": "RFC 1034 4.2.1: at and below a delegation only addresses of name servers stand",
    "below-dname": "RFC 6672 2.4: nothing stands below a DNAME",
    "caa-critical": "RFC 8659 4.5: a CA that does not know a critical tag issues nothing",
    "caa-value": "RFC 8659 4.1 to 4.4: flags 0 or 128, a tag of letters and digits, its value",
    "cname-apex": "RFC 1034 3.6.2: the zone's own name has SOA and NS, so no CNAME",
    "cname-coexistence": "RFC 2181 10.1: beside a CNAME stands nothing else",
    "cname-loop": "RFC 1034 3.6.2: aliases lead to a name that is none",
    "cname-several": "RFC 2181 10.1: one name is the alias of one",
    "dmarc-record": "RFC 7489 6.3 and 6.6.3: one policy per name, v=DMARC1 then p",
    "dname-several": "RFC 6672 2.4: one DNAME, and no CNAME beside it",
    "ds-apex": "RFC 4035 2.4: a zone's own DS stands in its parent",
    "ds-digest": "RFC 4509 2.2, RFC 6605 2: SHA-256 (32 octets) or SHA-384 (48)",
    "ds-algorithm": "RFC 9904 3: algorithms 8, 13, 14, 15 are trusted, SHA-1's are not",
    "ds-no-delegation": "RFC 4035 2.4: DS stands beside the NS of a delegation",
    "glue-missing": "RFC 9471 2: a name server within what it serves needs its address here",
    "mx-null": "RFC 7505 3: a null MX is 0 . and stands alone",
    "negative-ttl": "RFC 2308 5: a missing name is remembered for 3 h at most",
    "rrset-too-large": "RFC 1035 4.2.2: an answer has 65,535 octets at most",
    "signer-owned": "RFC 4034 2 to 4, RFC 8976 2: made by the signer, never declared",
    "soa-several": "RFC 1035 5.2: one SOA, at the zone's own name",
    "soa-timing": "RFC 1912 2.2: retry < refresh <= 1 h, expire 7 d at least",
    "spf-several": "RFC 7208 4.5: one SPF policy per name",
    "sshfp-value": "RFC 4255 3.1, RFC 6594 3: SHA-1 has 20 octets, SHA-256 32",
    "target-address": "RFC 1035 3.3: a target is a name, never an address",
    "target-cname": "RFC 2181 10.3, RFC 2782: NS, MX and SRV name a host, not its alias",
    "target-missing": "RFC 1912 2.8, RFC 9460 2.4.2: hosts named within the zone exist",
    "tlsa-value": "RFC 6698 2.1: usage 0-3, selector 0-1, SHA-256 32 octets, SHA-512 64",
    "wildcard-ns": "RFC 4592 4.2: a delegation by wildcard is undefined",
}
ADVICE = {
    "alias-dangling": "RFC 1912 2.4: an alias within the zone leads to a name that exists",
    "negative-ttl-long": "RFC 2308 5: a name that was missing stays missing 1 h at most",
    "ns-ttl-short": "RFC 9199 3.5: NS live for an hour at least, so caches survive an outage",
    "spf-lookups": "RFC 7208 4.6.4: more than ten lookups are an error for whoever checks",
    "spf-missing": "RFC 7208: a name that takes mail says who sends its mail",
    "spf-type": "RFC 7208 3.1: policies stand in TXT; nobody asks for type SPF",
    "ttl-short": "RFC 9199 3.5: below a minute every outage is felt at once",
}


def finding(rule: str, rrset: RRset, got: str, need: str, fix: str) -> Problem:
    """One finding about an RRset, whose rule is in one of the two tables."""
    return Problem(f"{rrset.owner} {rrset.type}", got, need, fix, rule)


def placed(problem: Problem, places: Mapping[Key, str]) -> Problem:
    """The problem with file and line of the record it is about, when that is known."""
    owner, _, kind = problem.path.partition(" ")
    place = places.get((owner, kind), "")
    if not place:
        return problem
    return Problem(problem.path, problem.got, problem.need, problem.fix, problem.rule, place)
