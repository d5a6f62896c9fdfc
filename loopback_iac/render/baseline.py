"""Files of the baseline: the same on every host but for its name; only the primary has backups."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from loopback_iac.model.baseline import Backups, Baseline, LogSink
from loopback_iac.render.files import File, HostFiles, secret_mark
from loopback_iac.render.packages import packages_of
from loopback_iac.render.text import render_json, render_text

LOGS = "/etc/loopback/logs.conf"
LOGS_FOLDER = "/etc/loopback/logs"
TIME = "/etc/chrony/conf.d/loopback-time.conf"
UPDATES = "/etc/apt/apt.conf.d/52loopback"
UNITS = "/etc/systemd/system"
BACKUP = "/etc/loopback/backup.json"
BACKUP_KEY = "/etc/loopback/backup-key"
BACKUP_READER = "/etc/loopback/backup-reader.pem"
BACKUP_MARK = "backup-key"
# whose entries are shipped: what carries traffic and names, and what changes or guards the host
OWN_UNITS = (
    "bird",
    "chrony",
    "haproxy",
    "knot",
    "nftables",
    "nsd",
    "prometheus-bird-exporter",
    "prometheus-node-exporter",
    "ssh",
    "unattended-upgrades",
)
# where a primary keeps what only it has; other hosts are made anew from the program
BACKED_UP = "primary"


def log_mark(sink: str) -> str:
    """The mark that stands for the client key of a sink."""
    return f"log-key-{sink}"


def render_baseline(base: Baseline, role: str, host: str) -> HostFiles:
    """Files that a host of a role has beside its own, and the packages they need."""
    files = {
        LOGS: File(_render_logs(base, host)),
        f"{UNITS}/loopback-logs.service": File(render_text("loopback-logs.service")),
        TIME: File(render_text("chrony-baseline.conf", servers=_servers(base))),
    }
    for name, sink in base.logs.sinks.items():
        files |= _certificates(name, sink)
    if base.updates_waived_because is None:
        files[UPDATES] = File(render_text("apt-updates.conf"))
    if role == BACKED_UP and base.backups is not None:
        files |= _render_backups(base.backups)
    more = () if base.updates_waived_because else ("updates",)
    packages = packages_of("baseline", *more)
    return HostFiles(files=dict(sorted(files.items())), packages=packages)


def join_baseline(own: HostFiles, base: HostFiles) -> HostFiles:
    """A host's own files and its baseline's; no path is in both."""
    return HostFiles(
        files=dict(sorted({**own.files, **base.files}.items())),
        packages=tuple(sorted({*own.packages, *base.packages})),
    )


def baseline_secrets(base: Baseline, tree: Mapping[str, object], role: str) -> dict[str, str]:
    """What stands for the marks in a host's baseline.

    In: the tree that `base` was parsed from, with every value known.
    """
    found = {}
    for name in base.logs.sinks:
        key = _at(tree, "logs", "sinks", name, "client_key")
        if key:
            found[log_mark(name)] = _whole(key)
    if role == BACKED_UP and base.backups is not None:
        found[BACKUP_MARK] = _whole(_at(tree, "backups", "ssh_private_key"))
    return found


def _at(tree: object, *path: str) -> object:
    for step in path:
        tree = tree.get(step) if isinstance(tree, Mapping) else None
    return tree


def _whole(text: object) -> str:
    return str(text).rstrip("\n") + "\n"


def _servers(base: Baseline) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "address": server.address,
            "operator": server.operator,
            "nts": server.nts_waived_because is None,
            "because": server.nts_waived_because,
        }
        for name, server in sorted(base.time.servers.items())
    ]


def _render_logs(base: Baseline, host: str) -> str:
    units = [unit.replace(".", "\\\\.") for unit in sorted({*OWN_UNITS, *base.logs.units})]
    return render_text(
        "logs.conf",
        host=host,
        units="|".join(units),
        queue_mib=base.logs.queue_mib,
        files=[{"path": path, "tag": _tag(path)} for path in sorted({*base.logs.files})],
        sinks=[
            {
                "name": name,
                "address": sink.address,
                "port": sink.port,
                "provider": sink.provider,
                "relp": sink.protocol == "relp",
                "named": sink.named,
                "ca": _path(name, "ca"),
                "certificate": _path(name, "cert") if sink.client_certificate else None,
                "key": _path(name, "key"),
            }
            for name, sink in sorted(base.logs.sinks.items())
        ],
    )


def _tag(path: str) -> str:
    """A file's own name, and its folder's: Hubble's events.log is hubble-events."""
    file = PurePosixPath(path)
    return "-".join(part for part in (file.parent.name, file.stem) if part)


def _path(sink: str, what: str) -> str:
    return f"{LOGS_FOLDER}/{sink}-{what}.pem"


def _certificates(name: str, sink: LogSink) -> dict[str, File]:
    files = {_path(name, "ca"): File(_whole(sink.ca_certificate))}
    if sink.client_certificate:
        files[_path(name, "cert")] = File(_whole(sink.client_certificate))
        files[_path(name, "key")] = File(secret_mark(log_mark(name)), "0600")
    return files


def _render_backups(backups: Backups) -> dict[str, File]:
    targets = {
        name: {
            "address": target.address,
            "port": target.port,
            "user": target.user,
            "host_key": target.host_key,
        }
        for name, target in sorted(backups.targets.items())
    }
    return {
        BACKUP: File(render_json({"format": 1, "targets": targets})),
        BACKUP_READER: File(_whole(backups.certificate)),
        BACKUP_KEY: File(secret_mark(BACKUP_MARK), "0600"),
        f"{UNITS}/loopback-backup.service": File(render_text("loopback-backup.service")),
        f"{UNITS}/loopback-backup.timer": File(
            render_text("loopback-backup.timer", hours=backups.every_hours)
        ),
    }


# what a target runs for whoever holds the key: whole messages only, each under a new name, and one
# that comes twice within a second once
RECEIVE = (
    "set -eu; umask 077; mkdir -p loopback-backups; cd loopback-backups;"
    " t=$(mktemp in.XXXXXXXXXX); trap 'rm -f $t' EXIT; head -c 67108864 >$t;"
    " tail -n 1 $t | grep -qx -- '-----END CMS-----'; d=$(sha256sum <$t | cut -c 1-64);"
    " n=$(date -u +%Y%m%dT%H%M%SZ)-$d.cms; chmod 400 $t; sync $t; test -e $n || ln $t $n; echo $d"
)


def render_backup_line(public_key: str) -> str:
    """The line of a backup target's authorized_keys.

    Sources: sshd(8), AUTHORIZED_KEYS FILE FORMAT: `restrict`, and a command that nobody chooses.
    """
    return f'restrict,command="{RECEIVE}" {public_key.strip()} loopback-backup'
