"""The real parsers of the hosts' own image, in a network namespace of their own.

Each function hands one kind of file to the daemon that will read it and returns its complaints;
warnings count. Nothing is installed or started on this machine.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING

from loopback_iac.render import HostFiles

if TYPE_CHECKING:
    import subprocess

    from loopback_iac.lab.names.image import Image
    from loopback_iac.render import File

GATES = "/run/loopback/gate"
STAGE = "/stage"
UNITS = "/etc/systemd/system/"


def silent(told: subprocess.CompletedProcess[str], what: str) -> list[str]:
    """Complaints of a parser that has to exit 0 and say nothing on stderr."""
    if told.returncode or told.stderr.strip():
        return [f"{what} (exit {told.returncode}): {told.stderr.strip() or told.stdout.strip()}"]
    return []


def check_bird(image: Image, files: HostFiles) -> list[str]:
    """bird -p with each position of the gates, and with none."""
    found = []
    announcements = json.loads(files.files["/etc/loopback/watch.json"].text)["announcements"]
    for position in ("", "open", "deprefer", "closed"):
        image.empty(GATES)
        for gate in announcements.values() if position else ():
            image.write(gate["gate"], gate[position])
        told = image.run("bird", "-p", "-c", f"{STAGE}/etc/bird/bird.conf")
        found += silent(told, f"bird with gates {position or 'absent'}")
    return found


def check_egress(image: Image, files: HostFiles) -> list[str]:
    """The BIRD of a worker that may have egress addresses."""
    path = "/etc/loopback/egress.conf"
    if path not in files.files:
        return []
    return silent(image.run("bird", "-p", "-c", STAGE + path), "bird of egress")


def check_haproxy(image: Image, _: HostFiles) -> list[str]:
    return silent(
        image.run("haproxy", "-c", "-q", "-f", f"{STAGE}/etc/haproxy/haproxy.cfg"), "haproxy"
    )


def check_nft(image: Image, _: HostFiles) -> list[str]:
    return silent(image.run("nft", "-c", "-f", f"{STAGE}/etc/loopback/nftables.conf"), "nft")


def check_tunnels(image: Image, files: HostFiles) -> list[str]:
    """wg-quick reads its part, wg the rest: it parses all before it misses the interface."""
    found = []
    for path in (p for p in files.files if p.startswith("/etc/wireguard/")):
        strip = image.run("wg-quick", "strip", STAGE + path)
        found += silent(strip, f"wg-quick strip {path}")
        image.write("/stripped", strip.stdout, "0600")
        told = image.run("wg", "setconf", "lb-none", "/stripped")
        if "Unable to modify interface" not in told.stderr:
            found.append(f"wg setconf {path}: {told.stderr.strip()}")
    return found


def check_sshd(image: Image, files: HostFiles) -> list[str]:
    path = "/etc/ssh/sshd_config.d/10-loopback.conf"
    image.write(path, files.files[path].text, "0600")
    (image.root / "run/sshd").mkdir(parents=True, exist_ok=True)
    return silent(image.run("sshd", "-t"), "sshd")


def check_chrony(image: Image, files: HostFiles) -> list[str]:
    path = "/etc/chrony/conf.d/loopback.conf"
    image.write(path, files.files[path].text)
    told = image.run("chronyd", "-p")
    return silent(told, "chronyd") or [
        f"chronyd does not know {line!r}"
        for line in files.files[path].text.splitlines()
        if not line.startswith("#") and line not in told.stdout.splitlines()
    ]


def check_units(image: Image, files: HostFiles) -> list[str]:
    """systemd-analyze over our units and every unit that has a drop-in of ours."""
    units = set()
    for path in (p for p in files.files if p.startswith(UNITS)):
        image.write(path, files.files[path].text)
        units.add(path.removeprefix(UNITS).split("/")[0].removesuffix(".d"))
    told = image.run(
        "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *sorted(units)
    )
    return silent(told, "systemd-analyze")


def check_users(image: Image, files: HostFiles) -> list[str]:
    for path in ("/etc/sysusers.d/loopback.conf", "/etc/tmpfiles.d/loopback.conf"):
        image.write(path, files.files[path].text)
    users = image.run("systemd-sysusers", "/etc/sysusers.d/loopback.conf")
    made = image.run("systemd-tmpfiles", "--create", "--dry-run", "/etc/tmpfiles.d/loopback.conf")
    said = [
        line
        for line in (users.stderr + made.stderr).splitlines()
        if not line.startswith(("Creating ", "Would "))
    ]
    return [f"users and directories: {line}" for line in said]


def check_sysctl(image: Image, files: HostFiles) -> list[str]:
    """Every key exists in a fresh network namespace, save those of interfaces it lacks."""
    keys = [
        line.split(" = ")[0].replace(".", "/")
        for line in files.files["/etc/loopback/sysctl.conf"].text.splitlines()
        if line and not line.startswith(("#", "-"))
    ]
    told = image.run("ls", *(f"/proc/sys/{key}" for key in keys))
    return silent(told, "sysctl")


def check_exporters(image: Image, files: HostFiles) -> list[str]:
    found = []
    for name, ask in (
        ("prometheus-node-exporter", "--version"),
        ("prometheus-bird-exporter", "-version"),
    ):
        words = re.fullmatch(r'ARGS="(.*)"\n', files.files[f"/etc/default/{name}"].text)[1]
        told = image.run(name, *words.split(), ask)
        if told.returncode:
            found.append(f"{name}: {told.stderr.strip()}")
    return found


ON_BOTH = (check_egress, check_nft, check_tunnels, check_units, check_users)
ON_POP = (check_bird, check_haproxy, check_sshd, check_chrony, check_sysctl, check_exporters)


def stage(image: Image, files: HostFiles) -> None:
    """Put a host's files where the parsers read them, apart from the image's own.

    What other files include has to stand where they look for it.
    """
    image.empty(STAGE)
    image.empty("/etc/loopback")
    image.empty("/var/lib/loopback")
    for path, file in files.files.items():
        image.write(STAGE + path, file.text, file.mode)
        if path.startswith("/etc/loopback/blackhole"):
            image.write(path, file.text, file.mode)


def complaints(image: Image, files: HostFiles) -> list[str]:
    """What any daemon has against a host's files."""
    stage(image, files)
    checks = itertools.chain(ON_BOTH, ON_POP if "/etc/bird/bird.conf" in files.files else ())
    found = [complaint for check in checks for complaint in check(image, files)]
    return found + check_name_server(image, HostFiles(_named(files), files.packages))


def _named(files: HostFiles) -> dict[str, File]:
    """Files of a PoP's name server, where it has one."""
    return {p: f for p, f in files.files.items() if p.startswith(("/etc/knot/", "/etc/nsd/"))}


def check_name_server(image: Image, files: HostFiles) -> list[str]:
    """Configuration, zones and guard of a primary or a name server."""
    image.empty(STAGE)
    found = []
    for path, file in files.files.items():
        # secrets come on the host; here a key of the right length stands for each
        text = re.sub(
            r"@\{secret:[^}]+\}", "bG9vcGJhY2stdGVzdC1rZXktb2YtMzItb2N0ZXRzISE=", file.text
        )
        image.write(
            STAGE + path, text.replace("/etc/loopback/zones", f"{STAGE}/etc/loopback/zones")
        )
    for path in files.files:
        if path.endswith("/knot.conf"):
            words = ("knotc", "-c", STAGE + path)
            found += silent(image.run(*words, "conf-check"), "knotc conf-check")
            if any(p.endswith(".zone") for p in files.files):
                found += silent(image.run(*words, "zone-check"), "knotc zone-check")
        elif path.endswith("/nsd.conf"):
            found += silent(image.run("nsd-checkconf", STAGE + path), "nsd-checkconf")
        elif path.endswith("/nftables.conf"):
            found += check_nft(image, files)
    return found
