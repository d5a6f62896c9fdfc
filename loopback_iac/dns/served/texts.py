"""A report as JSON and as metrics: the same bytes for the same state of the servers."""

from collections.abc import Iterable, Iterator
from typing import Any

from loopback_iac.dns.served.check import Report, Verdict
from loopback_iac.dns.served.rules import RULES, VERDICTS
from loopback_iac.dns.served.view import Finding

SHOWN = 20
PREFIX = "loopback_dns"
FORMAT = 1
_HELP = {
    "check_timestamp_seconds": "When the servers were looked at.",
    "check_findings": "Findings of one look, by server and rule; the parent is no server.",
    "server_verdict": "1 for the verdict on a server, 0 for the others.",
    "server_serial": "The serial a server has.",
    "server_answers": "1 when a server answers over a transport.",
    "server_signature_expires_seconds": "When the first signature of a server expires.",
}


def report_tree(report: Report) -> dict[str, Any]:
    """A report as plain values; nothing in it but `checked_at` depends on the time of the look."""
    return {
        "format": FORMAT,
        "zone": report.zone,
        "checked_at": report.checked_at,
        "equal": report.equal,
        "trust": report.trust,
        "newest_serial": report.newest,
        "servers": [_server_tree(one) for one in report.servers],
        "findings": [
            {
                "server": one.server,
                "address": one.address,
                "rule": one.rule,
                "owner": one.owner,
                "type": one.type,
                "got": one.got,
                "need": one.need,
                "by": list(one.by),
            }
            for one in report.findings
        ],
        "unknown": list(report.unknown),
    }


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Findings as people read them, by server and rule; of a rule that many break, the first."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.server, one.address, one.rule), []).append(one)
    for (server, address, rule), found in groups.items():
        for one in found[:SHOWN]:
            by = f" by {', '.join(one.by)}" if any(one.by) else ""
            text = f"{server or 'parent'} {address}: {one.owner} {one.type}: {one.got}"
            yield f"{text}; expected {one.need}{by}   rule: {rule}"
        if len(found) > SHOWN:
            yield f"{server} {address}: {len(found) - SHOWN} more of rule {rule}"


def _server_tree(one: Verdict) -> dict[str, Any]:
    return {
        "name": one.server.name,
        "pop": one.server.pop,
        "address": one.server.address,
        "port": one.server.port,
        "verdict": one.verdict,
        "serial": one.serial,
        "nsid": one.nsid,
        "transports": dict(one.transports),
        "content": one.content,
        "extra_records": one.extra,
        "zonemd": one.zonemd,
        "signatures_held": one.signatures,
        "first_signature_expires": one.expires or None,
    }


def render_metrics(report: Report) -> str:
    """A report for the textfile collector of Prometheus' node exporter.

    Units: seconds since the epoch.
    Sources: prometheus.io/docs/instrumenting/exposition_formats.
    """
    rows: dict[str, list[str]] = {name: [] for name in _HELP}
    zone = f'zone="{_escaped(report.zone)}"'
    rows["check_timestamp_seconds"].append(f"{{{zone}}} {report.checked_at}")
    for verdict in report.servers:
        _add_server(rows, verdict, zone)
    for labels, count in _counts(report):
        rows["check_findings"].append(f"{{{zone},{labels}}} {count}")
    lines = []
    for name, found in rows.items():
        if found:
            lines += [f"# HELP {PREFIX}_{name} {_HELP[name]}", f"# TYPE {PREFIX}_{name} gauge"]
            lines += [f"{PREFIX}_{name}{row}" for row in found]
    return "".join(f"{line}\n" for line in lines)


def _add_server(rows: dict[str, list[str]], one: Verdict, zone: str) -> None:
    labels = f'{zone},server="{_escaped(str(one.server))}",address="{_escaped(one.server.place)}"'
    for verdict in VERDICTS:
        value = int(one.verdict == verdict)
        rows["server_verdict"].append(f'{{{labels},verdict="{verdict}"}} {value}')
    for way, told in one.transports.items():
        value = int(told == "answers")
        rows["server_answers"].append(f'{{{labels},transport="{way}"}} {value}')
    if one.serial is not None:
        rows["server_serial"].append(f"{{{labels}}} {one.serial}")
    if one.expires:
        rows["server_signature_expires_seconds"].append(f"{{{labels}}} {one.expires}")


def _counts(report: Report) -> Iterator[tuple[str, int]]:
    servers = [(str(one.server), one.server.place) for one in report.servers]
    places = sorted({*servers, *((one.server, one.address) for one in report.findings)})
    count: dict[tuple[str, str, str], int] = {}
    for one in report.findings:
        key = one.server, one.address, one.rule
        count[key] = count.get(key, 0) + 1
    for name, address in places:
        for rule in RULES:
            found = count.get((name, address, rule), 0)
            labels = f'server="{_escaped(name)}",address="{_escaped(address)}",rule="{rule}"'
            yield labels, found


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
