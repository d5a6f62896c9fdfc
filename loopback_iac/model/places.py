"""Where the clouds stand and what they sell, as far as a plan needs to know it.

Tables go stale: a size that is not listed is taken with a source (`size_source`), a location is
not, because its country would be a guess.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """A location of a provider."""

    country: str
    """ISO 3166-1 alpha-2."""
    city: str
    zone: str
    """What it calls the region of networks and routes; of IONOS the location itself."""


# Sources: docs.hetzner.com/cloud/general/locations and the locations of the API, 2026-08
HETZNER_LOCATIONS = {
    "fsn1": Place("DE", "Falkenstein", "eu-central"),
    "nbg1": Place("DE", "Nuremberg", "eu-central"),
    "hel1": Place("FI", "Helsinki", "eu-central"),
    "ash": Place("US", "Ashburn", "us-east"),
    "hil": Place("US", "Hillsboro", "us-west"),
    "sin": Place("SG", "Singapore", "ap-southeast"),
}
# Sources: docs/resources/server.md and tests of hetznercloud/terraform-provider-hcloud v1.68.0,
# 2026-08; announcements of 2025-10 and 2026-01 on the sizes that are no longer sold
HETZNER_SIZES = (
    *(f"cx{n}" for n in (23, 33, 43, 53)),
    *(f"cpx{n}" for n in (12, 22, 32, 42, 52, 62)),
    *(f"cax{n}" for n in (11, 21, 31, 41)),
    *(f"ccx{n}" for n in (13, 23, 33, 43, 53, 63)),
)
# still sold outside the EU, or running since before: taken with a source only
HETZNER_RETIRED = (
    *(f"cx{n}" for n in (11, 21, 31, 41, 51, 22, 32, 42, 52)),
    *(f"cpx{n}" for n in (11, 21, 31, 41, 51)),
)
# Arm and dedicated-vCPU servers stand in some locations only; the API refuses the rest at `up`.

# Sources: docs/resources/datacenter.md, ionos-cloud/terraform-provider-ionoscloud v6.7.34, 2026-07
IONOS_LOCATIONS = {
    "de/fra": Place("DE", "Frankfurt", "de/fra"),
    "de/fra/2": Place("DE", "Frankfurt", "de/fra/2"),
    "de/txl": Place("DE", "Berlin", "de/txl"),
    "gb/lhr": Place("GB", "London", "gb/lhr"),
    "gb/bhx": Place("GB", "Worcester", "gb/bhx"),
    "es/vit": Place("ES", "Logrono", "es/vit"),
    "fr/par": Place("FR", "Paris", "fr/par"),
    "us/las": Place("US", "Las Vegas", "us/las"),
    "us/ewr": Place("US", "Newark", "us/ewr"),
    "us/mci": Place("US", "Lenexa", "us/mci"),
}
IONOS_KINDS = ("VCPU", "ENTERPRISE")
IONOS_DISKS = ("HDD", "SSD Standard", "SSD Premium")
IONOS_ZONES = ("AUTO", "ZONE_1", "ZONE_2")
