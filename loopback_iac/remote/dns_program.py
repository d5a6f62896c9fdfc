"""The comparer as a program for hosts: the sources that `dns_look` needs, and nothing of others."""

from importlib.resources import files

HOME = "loopback_iac"
MODULES = (
    "dns/check_structure", "dns/entries", "dns/findings", "dns/names", "dns/rdata", "dns/refusal",
    "dns/zone", "dns/zonefile",
    "dns/served/chain", "dns/served/check", "dns/served/check_parent", "dns/served/check_server",
    "dns/served/denial", "dns/served/judge", "dns/served/message", "dns/served/redirect",
    "dns/served/rules", "dns/served/signatures", "dns/served/texts", "dns/served/trust",
    "dns/served/view", "dns/served/zonemd",
    "model/problem",
    "remote/dns_ask", "remote/dns_look", "remote/dns_served", "remote/dns_transfer",
)  # fmt: skip
_MAIN = """\
import sys
from loopback_iac.remote.dns_look import main
sys.exit(main(sys.argv[1:]))
"""


def program_files() -> dict[str, bytes]:
    """Its files by name. Packages of the library name all that is in them; here they are empty."""
    rooms = {name.rpartition("/")[0] for name in MODULES}
    found = {f"{HOME}/{room}/__init__.py": b"" for room in rooms}
    found |= {f"{HOME}/__init__.py": b"", "__main__.py": _MAIN.encode()}
    for name in MODULES:
        found[f"{HOME}/{name}.py"] = files(HOME).joinpath(f"{name}.py").read_bytes()
    return found
