"""The rules that served zones are held to, and what breaking each says about a server."""

from typing import NamedTuple

TAMPERED, DIVERGED, LAGGING = "tampered", "diverged", "lagging"
UNREACHABLE, FAULTY, EQUAL = "unreachable", "faulty", "equal"
VERDICTS = (TAMPERED, UNREACHABLE, LAGGING, DIVERGED, FAULTY, EQUAL)


class Rule(NamedTuple):
    """What breaking it makes of a server, and what it says."""

    verdict: str
    text: str


RULES = {
    "signature-missing": Rule(TAMPERED, "in a signed zone all but delegations and glue is signed"),
    "signature-wrong": Rule(TAMPERED, "a signature is of this data, by a key of the zone"),
    "denial-unproven": Rule(TAMPERED, "what a server says it lacks, it proves (NSEC, NSEC3)"),
    "ttl-unsigned": Rule(TAMPERED, "the TTL is the one that was signed (RFC 4034 3.1.4)"),
    "dnskey-unproven": Rule(TAMPERED, "the DNSKEY set is signed by a key that the DS names"),
    "zonemd-wrong": Rule(TAMPERED, "the zone is the one that its signed ZONEMD is the digest of"),
    "rrset-missing": Rule(DIVERGED, "what is declared is served"),
    "rrset-extra": Rule(DIVERGED, "what is served is declared, or the signer's"),
    "rrset-values": Rule(DIVERGED, "values are those declared"),
    "rrset-ttl": Rule(DIVERGED, "the TTL is the one declared"),
    "updated-differs": Rule(DIVERGED, "what updates brought is alike on servers of one serial"),
    "serial-behind": Rule(LAGGING, "the serial is the newest that any server has (RFC 1982)"),
    "udp-silent": Rule(UNREACHABLE, "UDP is answered with authority"),
    "tcp-silent": Rule(UNREACHABLE, "TCP is answered with authority (RFC 7766 5)"),
    "no-answer": Rule(FAULTY, "every RRset that is asked for is answered"),
    "moving": Rule(FAULTY, "the zone stands still while it is looked at"),
    "signature-expired": Rule(FAULTY, "signatures have not expired"),
    "signature-early": Rule(FAULTY, "signatures are valid already"),
    "unchecked": Rule(FAULTY, "keys, DS and proofs are of kinds that can be checked here"),
    "signature-life": Rule(FAULTY, "signatures outlive the SOA's expire (RFC 6781 4.4.2)"),
    "dnskey-differs": Rule(FAULTY, "servers of one serial have one DNSKEY set"),
    "cds-differs": Rule(FAULTY, "CDS and CDNSKEY are of keys in the DNSKEY set (RFC 7344 4.1)"),
    "nsid-differs": Rule(FAULTY, "the server is the PoP that it should be (RFC 5001)"),
    "transfer-refused": Rule(
        FAULTY,
        "a transfer with the key that was given, or that alone was to show the zone, is allowed",
    ),
    "zone-unsigned": Rule(FAULTY, "a zone that is to be signed has keys"),
    "parent-silent": Rule(FAULTY, "the parent's server answers"),
    "parent-ns": Rule(FAULTY, "the parent delegates to the servers declared"),
    "parent-glue": Rule(FAULTY, "the parent has the addresses of servers within the zone"),
    "ds-no-key": Rule(FAULTY, "a DS names a key of the zone, so that resolvers follow it"),
    "ds-stray": Rule(FAULTY, "each DS names a key of the zone"),
    "server-not-asked": Rule(FAULTY, "before a DS, each address of each name server is asked"),
    "ds-cds": Rule(FAULTY, "the DS are those that CDS asks for (RFC 7344)"),
}
