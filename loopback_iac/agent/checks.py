"""Every staged file before the swap, in front of the daemon that will read it.

The staged tree lies in tmpfs under one directory, with the paths as on the host below it.
"""

from __future__ import annotations

import os
import re
import threading
from functools import partial
from typing import TYPE_CHECKING

from .allowed import parse_place, tunnel_of
from .backup import parse_targets
from .holes import check_elements, parse_holes
from .programs import memory_kib, run
from .refusal import RefusedError
from .routes import parse_routes
from .updated import parse_ended, parse_top
from .watchfile import parse_watch
from .zones import ENDED, check_knot

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bundle import HostSet

GATES = "/run/loopback/gate"
LOGS = "/etc/loopback/logs.conf"
LOGS_STATE = "/var/lib/loopback-logs"
# Two full buffers (tune.bufsize 16384) and what HAProxy keeps of an idle connection, measured
CONNECTION_KIB = 36
HAPROXY_SHARE = 0.75
# RFC 6750 section 2.1: what may stand in a header; IONOS gives JSON web tokens
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")


def check_staged(stage: str, staged: HostSet) -> None:
    """Have each file read by its own daemon.

    In:  the staged tree's root and the set it was written from.
    Raises: RefusedError with the file, and the daemon's own complaint and line.
    """
    units: list[str] = []
    checks: list[Callable[[], None]] = []
    for path in staged.files:
        kind = parse_place(path, staged.role).kind
        if kind == "unit":
            units.append(path)
        elif kind in _CHECKS:
            checks.append(partial(_CHECKS[kind], stage, path, staged))
    _in_turns([*checks, partial(_check_units, stage, units)])


def _in_turns(checks: list[Callable[[], None]]) -> None:
    """Two at a time: each waits for a program, and the host has its traffic to serve meanwhile.

    Raises: of those that raise, what the first in the list raised.
    """
    left = iter(enumerate(checks))
    failed: dict[int, Exception] = {}

    def work() -> None:
        for at, check in left:  # `next` of an enumerate is one step of the interpreter
            try:
                check()
            except Exception as why:  # noqa: BLE001 -- the caller's to judge
                failed[at] = why
            if failed:
                return

    other = threading.Thread(target=work)
    other.start()
    work()
    other.join()
    if failed:
        raise failed[min(failed)]


def _ask(path: str, stage: str, *argv: str, stdin: str = "") -> str:
    outcome = run(*argv, stdin=stdin)
    if outcome.code:
        _refuse(path, argv[0], outcome.complaint.replace(stage, ""))
    return outcome.out


def _refuse(path: str, program: str, complaint: str) -> None:
    raise RefusedError(
        f"{program} refuses {path}:\n    " + complaint.replace("\n", "\n    "),
        fix="correct what the bundle was rendered from; nothing on the host was touched",
    )


def _check_bird(stage: str, path: str, _: HostSet) -> None:
    # include with a wildcard: BIRD wants the directory, not a file in it
    os.makedirs(GATES, mode=0o755, exist_ok=True)
    _ask(path, stage, "bird", "-p", "-c", stage + path)


def _check_haproxy(stage: str, path: str, staged: HostSet) -> None:
    _ask(path, stage, "haproxy", "-c", "-f", stage + path)
    lacking = check_memory(staged.files[path].text, memory_kib()["total"])
    if lacking:
        _refuse(path, "the agent", lacking)


def check_memory(text: str, total_kib: int) -> str | None:
    """Whether a flood that fills every declared connection would leave the host its memory.

    In:  haproxy.cfg; the host's memory.
    Out: what is lacking, or None.
    """
    most = sum(map(int, re.findall(r"^ +maxconn (\d+)$", text, re.MULTILINE)))
    need_kib = most * CONNECTION_KIB
    if need_kib <= total_kib * HAPROXY_SHARE:
        return None
    return (
        f"{most} connections may need {need_kib // 1024} MiB; this host has"
        f" {total_kib // 1024} MiB, of which HAProxy may take {HAPROXY_SHARE:.0%}."
        " Lower max_connections of the services"
    )


_FLUSH = re.compile(
    r"^\s*(flush\s+(ruleset|table)|(add\s+|create\s+|destroy\s+|delete\s+)?table\s+(?!inet\s+loopback\b))",
    re.MULTILINE,
)


def _check_nftables(stage: str, path: str, staged: HostSet) -> None:
    text = staged.files[path].text
    foreign = _FLUSH.search(text)
    if foreign:
        _refuse(
            path, "the agent", f"{foreign.group().strip()!r}: only the table inet loopback is ours"
        )
    if not re.search(r"^\s*destroy\s+table\s+inet\s+loopback\b", text, re.MULTILINE):
        _refuse(
            path,
            "the agent",
            "it does not begin with `destroy table inet loopback`, so old rules would stay",
        )
    _ask(path, stage, "nft", "-c", "-f", stage + path)


def _check_tunnel(stage: str, path: str, staged: HostSet) -> None:
    stripped = _ask(path, stage, "wg-quick", "strip", stage + path)
    # `strip` copies lines unread; `wg setconf` parses all of them before it looks for the interface
    outcome = run("wg", "setconf", "lb-parse-only", "/dev/stdin", stdin=stripped)
    if "Unable to modify interface" not in outcome.err:
        _refuse(path, "wg", outcome.complaint)
    key = re.search(r"^\s*PrivateKey\b", staged.files[path].text, re.MULTILINE | re.IGNORECASE)
    if key:
        _refuse(
            path,
            "the agent",
            "it holds a PrivateKey; keys are born on the host and stay in /etc/loopback/keys",
        )


def _check_sysctl(_: str, path: str, staged: HostSet) -> None:
    tunnels = {name for name in map(tunnel_of, staged.files) if name}
    for number, raw in enumerate(staged.files[path].text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        key, equals, _ = line.partition("=")
        name = (
            key.strip()
            .removeprefix("-")
            .strip()
            .replace("/", "\0")
            .replace(".", "/")
            .replace("\0", ".")
        )
        steps = name.split("/")
        if not equals or ".." in steps or not re.fullmatch(r"[A-Za-z0-9_/.-]+", name):
            _refuse(path, "the agent", f"line {number}: {line!r} is no `key = value`")
        ours = (
            len(steps) == 5 and steps[:1] == ["net"] and steps[2] == "conf" and steps[3] in tunnels
        )
        if staged.role == "worker" and not ours:
            _refuse(
                path,
                "the agent",
                f"line {number}: {line!r}: on a worker only net.ipv*.conf.<our tunnel> is ours",
            )
        if ours:
            steps[3] = (
                "default"  # the tunnel may not be up yet; every interface has the keys of `default`
            )
        if not key.strip().startswith("-") and not os.path.exists("/proc/sys/" + "/".join(steps)):
            _refuse(path, "the kernel", f"line {number}: it has no {name.replace('/', '.')}")


def _check_routes(_: str, path: str, staged: HostSet) -> None:
    try:
        parse_routes(staged.files[path].content)
    except RefusedError as refused:
        _refuse(path, "the agent", refused.what)


def _check_blackholes(_: str, path: str, staged: HostSet) -> None:
    """BIRD and nft would read these as part of files that stand already, so we read them."""
    text = staged.files[path].text
    try:
        if path.endswith(".nft"):
            check_elements(text)
        else:
            list(parse_holes(text, 6 if path.endswith("6.conf") else 4, "declared"))
    except RefusedError as refused:
        _refuse(path, "the agent", refused.what)


def _check_watch(_: str, path: str, staged: HostSet) -> None:
    try:
        parse_watch(staged.files[path].content)
    except RefusedError as refused:
        _refuse(path, "the agent", refused.what)


def _check_arbiter(_: str, path: str, staged: HostSet) -> None:
    from .arbiterfile import TOKEN, parse_arbiter

    content = staged.files[path].content
    try:
        if path != TOKEN:
            parse_arbiter(content)
        elif not _TOKEN.fullmatch(content.strip()):
            _refuse(path, "the agent", "a token is letters, digits and -._~+/=")
    except RefusedError as refused:
        _refuse(path, "the agent", refused.what)


def _check_hold(_: str, path: str, staged: HostSet) -> None:
    from .hold import KEY, parse_hold, parse_key

    try:
        (parse_key if path == KEY else parse_hold)(staged.files[path].content)
    except RefusedError as refused:
        _refuse(path, "the agent", refused.what)


def _check_gateway(_: str, path: str, staged: HostSet) -> None:
    from .gatewayfile import CREDENTIAL, check_authority, check_credential, parse_gateway

    content = staged.files[path].content
    try:
        if path == CREDENTIAL:
            check_credential(content)
        else:
            check_authority(parse_gateway(content))
    except RefusedError as refused:
        _refuse(path, "the agent", refused.what)


def _check_chrony(stage: str, path: str, _: HostSet) -> None:
    main = _main_text("/etc/chrony/chrony.conf").replace(
        "/etc/chrony/conf.d", f"{stage}/etc/chrony/conf.d"
    )
    _copy_neighbours(stage, path)
    _write(f"{stage}/chrony.conf", main)
    _ask(path, stage, "chronyd", "-p", "-f", f"{stage}/chrony.conf")


def _check_sshd(stage: str, path: str, staged: HostSet) -> None:
    main = _main_text("/etc/ssh/sshd_config").replace(
        "/etc/ssh/sshd_config.d", f"{stage}/etc/ssh/sshd_config.d"
    )
    _copy_neighbours(stage, path)
    _write(f"{stage}/sshd_config", main)
    _ask(path, stage, "sshd", "-t", "-f", f"{stage}/sshd_config")
    source = staged.admin_sources[0].split("/", 1)[0]
    match = f"user=root,host={source},addr={source},laddr={source},lport={staged.ssh_port}"
    told = _ask(path, stage, "sshd", "-T", "-f", f"{stage}/sshd_config", "-C", match)
    lines = set(told.splitlines())
    for needed, closed in (
        (f"port {staged.ssh_port}", "sshd would not listen on the port that the fleet declares"),
        ("pubkeyauthentication yes", "no key could log in any more"),
    ):
        if needed not in lines:
            _refuse(path, "the agent", f"the whole configuration lacks {needed!r}: {closed}")
    if "permitrootlogin no" in lines:
        _refuse(
            path,
            "the agent",
            "the whole configuration says PermitRootLogin no: the next apply could not log in",
        )


def _check_knot(stage: str, path: str, staged: HostSet) -> None:
    if complaint := check_knot(stage, staged):
        _refuse(path, "knot", complaint)


def _check_top(_: str, path: str, staged: HostSet) -> None:
    try:
        (parse_ended if path == ENDED else parse_top)(staged.files[path].content)
    except RefusedError as refused:
        _refuse(path, "the agent", refused.what)


def _check_nsd(stage: str, path: str, _: HostSet) -> None:
    _ask(path, stage, "nsd-checkconf", stage + path)


def _check_apt(stage: str, path: str, _: HostSet) -> None:
    # apt-config ends well whatever it is given; what it cannot read it says
    said = run("apt-config", "-c", stage + path, "dump")
    if said.code or said.err.strip():
        _refuse(path, "apt-config", said.complaint.replace(stage, ""))


def _check_logs(stage: str, path: str, _: HostSet) -> None:
    if path != LOGS:
        return
    text = _main_text(stage + path).replace(LOGS_STATE, stage)
    # rsyslogd looks whether the certificates are there
    text = text.replace('"/etc/loopback/logs/', f'"{stage}/etc/loopback/logs/')
    _write(f"{stage}/logs.conf", text)
    _ask(path, stage, "rsyslogd", "-N1", "-iNONE", "-f", f"{stage}/logs.conf")


def _check_backup(_: str, path: str, staged: HostSet) -> None:
    if not path.endswith(".json"):
        return
    try:
        parse_targets(staged.files[path].content)
    except RefusedError as refused:
        _refuse(path, "the agent", refused.what)


def _check_units(stage: str, paths: list[str]) -> None:
    if not paths:
        return
    verify = ("systemd-analyze", "verify", "--man=no", "--recursive-errors=no")
    if run(*verify, *(stage + path for path in paths)).code:
        for path in paths:  # which one
            _ask(path, stage, *verify, stage + path)


_CHECKS: dict[str, Callable[[str, str, HostSet], None]] = {
    "bird": _check_bird,
    "egress": _check_bird,
    "haproxy": _check_haproxy,
    "nftables": _check_nftables,
    "tunnel": _check_tunnel,
    "sysctl": _check_sysctl,
    "routes": _check_routes,
    "blackholes": _check_blackholes,
    "watch": _check_watch,
    "arbiter": _check_arbiter,
    "hold": _check_hold,
    "gateway": _check_gateway,
    "chrony": _check_chrony,
    "sshd": _check_sshd,
    "apt": _check_apt,
    "logs": _check_logs,
    "backup": _check_backup,
    "knot": _check_knot,
    "nsd": _check_nsd,
    "top": _check_top,
    "ended": _check_top,
}


def _main_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        raise RefusedError(
            f"{path} is not on this host", fix="enroll the host again: its package is missing"
        ) from None


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def _copy_neighbours(stage: str, path: str) -> None:
    """Bring the host's other drop-ins into the stage, so that the daemon judges the whole
    configuration.
    """
    folder, ours = path.rsplit("/", 1)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name != ours and name.endswith(".conf"):
            _write(f"{stage}{folder}/{name}", _main_text(f"{folder}/{name}"))
