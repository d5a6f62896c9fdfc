"""What every host keeps beside its work, as an operator writes it: args as in args.py."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi


class LogSinkArgs(TypedDict):
    """Where entries of the journal go, over TLS."""

    address: str
    """Its name or address."""
    port: int
    """Its TCP port."""
    provider: str
    """Who runs the machine; sinks of two providers at least."""
    ca_certificate: str
    """PEM of the CA that signs for it."""
    kept_days: int
    """How long it keeps entries, as configured there; goes to the evidence."""
    protocol: NotRequired[str]
    """`syslog` (default): RFC 5425, which may lose the one entry that finds the sink gone; `relp`:
    each is acknowledged, but a sink that shows a wrong certificate is given up until a restart."""
    server_name: NotRequired[str]
    """Name in its certificate. Default: `address`."""
    client_certificate: NotRequired[str]
    """PEM of the certificate that hosts show it. Default: none."""
    client_key: NotRequired[pulumi.Input[str]]
    """PEM of that certificate's key (secret)."""
    unalterable_by: NotRequired[str]
    """What keeps entries from being changed there, e.g. object lock; goes to the evidence."""
    country: NotRequired[str]
    """Country it stands in, ISO 3166-1 alpha-2."""


class LogsArgs(TypedDict):
    """Entries of the journal that leave the host."""

    sinks: Mapping[str, LogSinkArgs]
    """Sinks by name, two at least; each has a queue of its own on the disk."""
    units: NotRequired[Sequence[str]]
    """Units whose entries go as well, without `.service`. Ours, SSH and logins always do."""
    files: NotRequired[Sequence[str]]
    """Files whose lines go as well, by their whole paths, e.g. Hubble's export; in queues of their
    own, so that they push no entry aside. A host without one waits for it."""
    queue_mib: NotRequired[int]
    """What may wait for one sink, on the disk; newer entries are then lost to it. Default 256."""


class TimeServerArgs(TypedDict):
    """A source of time."""

    address: str
    """Its name, or its address where it has no NTS."""
    operator: str
    """Who runs it; servers of two operators at least."""
    nts_waived_because: NotRequired[str]
    """Why it is asked without NTS (RFC 8915). Default: it is authenticated."""


class TimeArgs(TypedDict):
    """Sources of time beside the distribution's own."""

    servers: Mapping[str, TimeServerArgs]
    """Servers by name; four tell which one is wrong and bear a loss (RFC 8633)."""


class BackupTargetArgs(TypedDict):
    """A machine with OpenSSH that keeps backups; see output `backup_line`."""

    address: str
    """Its name or address."""
    host_key: str
    """Its SSH host key as an authorized_keys line."""
    provider: str
    """Who runs the machine: another one than the primary's."""
    user: NotRequired[str]
    """Login user. Default loopback-backup."""
    port: NotRequired[int]
    """SSH port. Default 22."""
    country: NotRequired[str]
    """Country it stands in, ISO 3166-1 alpha-2."""


class BackupsArgs(TypedDict):
    """Zones and their keys, encrypted on the primary and sent elsewhere; no other host has any."""

    certificate: str
    """PEM of the certificate they are encrypted for; its key stays with you, off every host."""
    ssh_private_key: pulumi.Input[str]
    """Key of its own that the primary logs in to targets with (secret). It can add, and no more."""
    targets: Mapping[str, BackupTargetArgs]
    """Machines that keep them, by name."""
    kept_days: int
    """How long targets keep them, as configured there; goes to the evidence."""
    every_hours: NotRequired[int]
    """Hours between backups. Default 24."""
    restored_on: NotRequired[str]
    """Day on which one was last restored, as 2026-11-21."""


class HostBaselineArgs(TypedDict):
    """What every host keeps beside its work. Plain values but for secrets."""

    logs: LogsArgs
    """Logs to two sinks."""
    time: TimeArgs
    """Sources of time."""
    backups: NotRequired[BackupsArgs]
    """Backups of what only the primary of zones has."""
    updates_waived_because: NotRequired[str]
    """Why hosts do not install Debian's updates by themselves. Default: daily, but for packages
    that carry traffic, which `loopback update` brings."""
