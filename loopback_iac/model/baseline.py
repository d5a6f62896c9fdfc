"""What every host of a fleet keeps beside its work: logs elsewhere, the time, updates, backups."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from loopback_iac.model.fields import (
    Country,
    Given,
    Int,
    Line,
    Port,
    Server,
    Several,
    Value,
    matching,
    refuse,
)
from loopback_iac.model.host import HostKeyLine, Login
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import check_name, collect, plain

_CERTIFICATES = re.compile(
    r"(?:\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+"
)
_DAY = matching(
    r"\d{4}-\d{2}-\d{2}",
    "day-syntax",
    "is no day",
    "year-month-day",
    "write it as in 2026-11-21",
)
FEWEST = 2
"""Sinks, providers of sinks, operators of time: one may be lost."""


def _certificates(value: object) -> object:
    if isinstance(value, str) and not (_CERTIFICATES.fullmatch(value) and _is_readable(value)):
        secret = "PRIVATE KEY" in value
        refuse(
            "certificate-pem",
            "holds a private key" if secret else "is no certificate in PEM",
            "-----BEGIN CERTIFICATE----- and what follows",
            "write the certificate alone" if secret else "copy the file whole",
        )
    return value


def _is_readable(text: str) -> bool:
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415  # loads slowly

    try:
        return bool(load_pem_x509_certificates(text.encode()))
    except ValueError:
        return False


Certificates = Annotated[str, BeforeValidator(_certificates)]
Unit = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9:_.-]{0,127}",
        "unit-name",
        "is no name of a unit",
        "its name without .service",
        "write it as `systemctl list-units --type=service` has it",
    ),
]


LogFile = Annotated[
    str,
    matching(
        r"(?!.*/\.\.?(?:/|$))(?:/[A-Za-z0-9._-]{1,64}){1,8}",
        "log-file",
        "is no file",
        "its whole path; one file, without wildcards",
        "write it as in /var/run/cilium/hubble/events.log",
    ),
]


class LogSink(Value):
    """Where entries of the journal go."""

    address: Server
    port: Port
    provider: Line
    ca_certificate: Certificates
    kept_days: Int = Field(ge=1, le=36_500)
    protocol: Literal["syslog", "relp"] = "syslog"
    server_name: Server | None = None
    client_certificate: Certificates | None = None
    client_key: Given = False
    unalterable_by: Line | None = None
    country: Country | None = None

    @property
    def named(self) -> str:
        """The name that its certificate has to have."""
        return self.server_name or self.address


class Logs(Value):
    """What is shipped, and where to; each sink has a queue of its own on the disk."""

    sinks: dict[str, LogSink]
    units: Several[Unit] = ()
    files: Several[LogFile] = ()
    queue_mib: Int = Field(256, ge=8, le=65_536)


class TimeServer(Value):
    """A source of time; authenticated by NTS, or its operator offers none."""

    address: Server
    operator: Line
    nts_waived_because: Line | None = None


class Time(Value):
    """Sources that chrony of every host asks."""

    servers: dict[str, TimeServer]


class BackupTarget(Value):
    """A machine elsewhere that takes backups by SSH and gives none back to the host."""

    address: Server
    host_key: HostKeyLine
    provider: Line
    user: Login = "loopback-backup"
    port: Port = 22
    country: Country | None = None


class Backups(Value):
    """Zones and their keys, encrypted on the primary for a certificate whose key is not there."""

    certificate: Certificates
    ssh_private_key: Given
    targets: dict[str, BackupTarget]
    kept_days: Int = Field(ge=1, le=36_500)
    every_hours: Int = Field(24, ge=1, le=168)
    restored_on: Annotated[str, _DAY] | None = None


class Baseline(Value):
    """All of it."""

    logs: Logs
    time: Time
    backups: Backups | None = None
    updates_waived_because: Line | None = None


SECRETS = ("client_key", "ssh_private_key")
"""Fields of it that no plan shows; no other field has one of these names."""


def parse_baseline(name: str, tree: Mapping[str, object]) -> Baseline:
    """A baseline as declared.

    In: `name` for messages; secrets are not looked into.
    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    base = collect(Baseline, name, plain(tree), problems)
    if base is not None:
        problems += [
            *_check_names(f"{name}.logs.sinks", base.logs.sinks),
            *_check_names(f"{name}.time.servers", base.time.servers),
            *_check_names(f"{name}.backups.targets", base.backups.targets if base.backups else {}),
            *_check_sinks(f"{name}.logs.sinks", base.logs.sinks),
            *_check_time(f"{name}.time.servers", base.time.servers),
            *_check_backups(f"{name}.backups", base.backups),
        ]
    if problems or base is None:
        raise InputRejected(name, tuple(problems))
    return base


def _check_names(path: str, entries: Mapping[str, object]) -> list[Problem]:
    return [problem for name in entries for problem in check_name(f"{path}.{name}", name)]


def _check_sinks(path: str, sinks: Mapping[str, LogSink]) -> list[Problem]:
    found = []
    providers = {sink.provider for sink in sinks.values()}
    if len(providers) < FEWEST:
        got = f"{len(sinks)} sink{'' if len(sinks) == 1 else 's'} at {_words(providers)}"
        fix = "name a second sink at another provider"
        found.append(Problem(path, got, "sinks at two providers", fix, "log-sinks"))
    places: dict[tuple[str, int], str] = {}
    for name, sink in sinks.items():
        if (sink.client_certificate is None) == sink.client_key:
            got = "has one of client_certificate and client_key"
            fix = "give both, or none where the sink asks for none"
            found.append(Problem(f"{path}.{name}", got, "both", fix, "client-certificate"))
        other = places.setdefault((sink.address.lower(), sink.port), name)
        if other != name:
            got, fix = f"is where {other} is", "name another machine"
            found.append(Problem(f"{path}.{name}.address", got, "", fix, "log-sinks"))
    return found


def _check_time(path: str, servers: Mapping[str, TimeServer]) -> list[Problem]:
    found = []
    operators = {server.operator for server in servers.values()}
    if len(operators) < FEWEST:
        got, fix = f"all of {_words(operators)}", "name servers of a second operator"
        found.append(Problem(path, got, "servers of two operators", fix, "time-operators"))
    addresses: dict[str, str] = {}
    for name, server in servers.items():
        other = addresses.setdefault(server.address.lower(), name)
        if other != name:
            got, fix = f"is the server of {other}", "leave it out"
            found.append(Problem(f"{path}.{name}.address", got, "", fix, "time-server-twice"))
    return found


def _check_backups(path: str, backups: Backups | None) -> list[Problem]:
    if backups is None:
        return []
    found = []
    if not backups.targets:
        fix = "name a machine at another provider"
        found.append(Problem(f"{path}.targets", "is empty", "one", fix, "backup-target"))
    if backups.restored_on is not None:
        try:
            date.fromisoformat(backups.restored_on)
        except ValueError:
            got, fix = f"{backups.restored_on!r} is no day", "write it as in 2026-11-21"
            found.append(Problem(f"{path}.restored_on", got, "", fix, "day-syntax"))
    return found


def _words(names: set[str]) -> str:
    return " and ".join(sorted(names)) or "nobody"


def baseline_facts(base: Baseline) -> dict[str, object]:
    """Facts as plain JSON values: no address, no key, no certificate."""
    backups = base.backups
    return {
        "logs": {
            "sinks": {
                name: {
                    "provider": sink.provider,
                    "country": sink.country,
                    "protocol": sink.protocol,
                    "kept_days": sink.kept_days,
                    "unalterable_by": sink.unalterable_by,
                }
                for name, sink in sorted(base.logs.sinks.items())
            },
        },
        "time": {
            "servers": {
                name: {
                    "address": server.address,
                    "operator": server.operator,
                    "nts": server.nts_waived_because is None,
                    "nts_waived_because": server.nts_waived_because,
                }
                for name, server in sorted(base.time.servers.items())
            }
        },
        "backups": backups
        and {
            "every_hours": backups.every_hours,
            "kept_days": backups.kept_days,
            "restored_on": backups.restored_on,
            "targets": {
                name: {"provider": target.provider, "country": target.country}
                for name, target in sorted(backups.targets.items())
            },
        },
        "updates": {
            "unattended": base.updates_waived_because is None,
            "waived_because": base.updates_waived_because,
        },
    }
