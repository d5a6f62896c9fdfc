"""How a zone is to be signed, held against its own times, before any key is made."""

from typing import Annotated

from pydantic import AfterValidator

from loopback_iac.dns.check_structure import soa_times
from loopback_iac.dns.zone import Zone
from loopback_iac.model.fields import Int, Value, refuse
from loopback_iac.model.problem import Problem

DAY_S = 86_400
SIGNING_ALGORITHMS = {13: "ECDSA P-256 (RFC 6605)", 15: "Ed25519 (RFC 8080)"}


def _algorithm(number: int) -> int:
    if number not in SIGNING_ALGORITHMS:
        known = ", ".join(f"{key}: {name}" for key, name in SIGNING_ALGORITHMS.items())
        refuse("signing-algorithm", f"algorithm {number}", known, "write 13")
    return number


class Signing(Value):
    """What a signer is told; the defaults fit a SOA expire of seven days."""

    algorithm: Annotated[Int, AfterValidator(_algorithm)] = 13
    rrsig_lifetime_s: Int = 21 * DAY_S
    rrsig_refresh_s: Int = 9 * DAY_S
    margin_s: Int = 1 * DAY_S
    """What is left of a signature, at least, when a secondary gives the zone up."""
    nsec3_iterations: Int | None = None
    """Of NSEC3; None: NSEC."""
    nsec3_salt: str = ""


def check_signing(zone: Zone, signing: Signing) -> tuple[Problem, ...]:
    """Whether signatures outlive what secondaries keep serving while the signer is away.

    Sources: RFC 6781 4.4.2 (signature and zone times), RFC 9276 3.1 (NSEC3).
    """
    found = []
    refresh_s, lifetime_s = signing.rrsig_refresh_s, signing.rrsig_lifetime_s
    for rrset in zone.by_type.get("SOA", []):
        needed = soa_times(rrset)[2] + signing.margin_s
        if refresh_s < needed:
            found.append(
                Problem(
                    "rrsig_refresh_s",
                    f"{refresh_s} s: a secondary serves {needed - refresh_s} s beyond what is safe",
                    f"{needed} s or more (SOA expire and the margin)",
                    "lengthen it, or shorten the SOA's expire",
                    "rrsig-refresh-short",
                )
            )
    if lifetime_s <= 2 * refresh_s:
        found.append(
            Problem(
                "rrsig_lifetime_s",
                f"{lifetime_s} s",
                f"more than twice rrsig_refresh_s ({refresh_s} s)",
                f"write {2 * refresh_s + 3 * DAY_S}",
                "rrsig-lifetime-short",
            )
        )
    if signing.nsec3_iterations or signing.nsec3_salt:
        got = f"{signing.nsec3_iterations or 0} iterations, salt {signing.nsec3_salt!r}"
        fix = "leave both out; NSEC needs neither"
        found.append(Problem("nsec3_iterations", got, "0 and no salt", fix, "nsec3-parameters"))
    return tuple(found)
