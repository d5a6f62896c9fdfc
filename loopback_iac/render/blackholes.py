"""Addresses that are given up, in files that BIRD and nftables include.

They stand apart from bird.conf and nftables.conf because a change of those drains the PoP first,
and a PoP under attack should not hand the attack to the next one before it gives an address up.
"""

from loopback_iac.model import Fleet
from loopback_iac.render.files import File

FOLDER = "/etc/loopback"


def render_blackholes(fleet: Fleet, pop: str) -> dict[str, File]:
    """Files by path; none where nothing is given up.

    Sources: RFC 7999 (BLACKHOLE).
    """
    found = {number: fleet.blackholes_at(pop, number) for number in (4, 6)}
    files = {
        f"{FOLDER}/blackhole{number}.conf": "".join(
            f"route {hole.address}/{hole.address.max_prefixlen} blackhole; # {hole.reason}\n"
            for hole in holes
        )
        for number, holes in found.items()
        if holes
    }
    sets = "".join(
        f"add element inet loopback blackholed{number} {{ {hole.address} }}\n"
        for number, holes in found.items()
        for hole in holes
    )
    if sets:
        files[f"{FOLDER}/blackhole.nft"] = sets
    return {path: File(text) for path, text in files.items()}
