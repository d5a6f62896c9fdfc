"""What the rows of an audit come to: as declared, a leak, or nothing that anybody declared."""

from collections.abc import Iterable, Mapping
from typing import Any

from loopback_iac.kube.audit import OTHER, Audit, Key, Row
from loopback_iac.kube.flows import Reading

DECLARED = "as declared"
LEAK = "leak"
UNDECLARED = "undeclared"
NOT_DENIED = "not denied"
EXCLUDED = "excluded"
ACCEPTED = "accepted"
DENIED = "dropped"
UNSEEN = "address not seen"
FINDINGS = (LEAK, UNDECLARED, NOT_DENIED)
MEANINGS = {
    LEAK: "left by another address than its policy declares",
    UNDECLARED: "left without a policy that covers it",
    NOT_DENIED: "left though its policy denies it",
    UNSEEN: "covered, and no record says by which address it left",
    DECLARED: "left by the address its policy declares",
    EXCLUDED: "left by a node's address, as its policy has it",
    ACCEPTED: "left without a policy, at a risk somebody took",
    DENIED: "went nowhere",
}


def verdict_of(audit: Audit, key: Key, row: Row) -> tuple[str, str]:
    """What a row comes to, and why."""
    if row.went_nowhere:
        return DENIED, ", ".join(f"{why} {n}" for why, n in sorted(row.dropped.items()))
    match key.cover.kind:
        case "accepted":
            accepted = audit.egress.accepted[int(key.cover.name)]
            return ACCEPTED, f"{accepted.because} ({accepted.owner})"
        case "nothing":
            return _uncovered(audit, key, row)
        case "excluded":
            denies = audit.egress.policies[key.cover.name].default_deny != "none"
            also = " and denies what it does not name" if denies else ""
            return NOT_DENIED if denies else EXCLUDED, f"{key.cover.name} excludes it{also}"
        case _:
            return _covered(audit, key, row)


def _covered(audit: Audit, key: Key, row: Row) -> tuple[str, str]:
    declared = {str(address) for address in audit.egress.policies[key.cover.name].addresses}
    wrong = {via: seen for via, seen in row.via.items() if via not in declared}
    if wrong:
        return LEAK, f"left by {_vias(audit, wrong)}"
    if key.cover.kind == "port":
        return NOT_DENIED, f"{key.service} is no port of {key.cover.name}"
    if not row.via:
        return UNSEEN, "the records of its gateway are not here, or it never left"
    return DECLARED, ""


def _uncovered(audit: Audit, key: Key, row: Row) -> tuple[str, str]:
    pod = key.namespace or key.labels
    ours = {str(address) for address in audit.ours}
    if not pod and row.via and set(row.via) <= ours:
        return DECLARED, "the record names no pod; the address is one of ours"
    left = f"left by {_vias(audit, row.via)}" if row.via else "no record says by which address"
    who = "no policy covers it" if pod else "the record names no pod"
    return UNDECLARED, f"{who}; {left}"


def _vias(audit: Audit, via: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{text} ({_whose(audit, text)}) {seen.count} times" for text, seen in sorted(via.items())
    )


def _whose(audit: Audit, via: str) -> str:
    for address, name in audit.own.items():
        if str(address) == via:
            return f"node {name}"
    for name, policy in audit.egress.policies.items():
        if any(str(address) == via for address in policy.addresses):
            return f"of policy {name}"
    if any(str(address) == via for address in audit.ours):
        return "an egress address without a policy"
    return "several" if via == OTHER else "declared nowhere"


def audit_rows(audit: Audit) -> list[dict[str, Any]]:
    """Rows as they are printed, findings first; the same for the same flows in any order."""
    rows = [_row(audit, key, row) for key, row in audit.rows.items()]
    rank = {verdict: at for at, verdict in enumerate(MEANINGS)}
    rows.sort(key=lambda row: (rank[row["verdict"]], _order(row)))
    return rows


def _order(row: Mapping[str, Any]) -> tuple[str, ...]:
    who = " ".join(f"{key}={value}" for key, value in row["labels"].items())
    keys = ("namespace", "policy", "destination", "service")
    return (*(str(row[key] or "") for key in keys), who)


def _row(audit: Audit, key: Key, row: Row) -> dict[str, Any]:
    verdict, because = verdict_of(audit, key, row)
    covered = key.cover.kind in ("policy", "port", "excluded")
    policy = audit.egress.policies[key.cover.name] if covered else None
    return {
        "finding": verdict in FINDINGS,
        "verdict": verdict,
        "because": because,
        "namespace": key.namespace,
        "labels": dict(key.labels),
        "workloads": sorted(row.workloads),
        "pods": sorted(row.pods),
        "destination": key.destination,
        "names": sorted(row.names),
        "service": key.service,
        "via": {
            text: {"flows": seen.count, "first": seen.first, "last": seen.last}
            for text, seen in sorted(row.via.items())
        },
        "dropped": dict(sorted(row.dropped.items())),
        "passed": row.passed,
        "flows": row.flows.count,
        "first": row.flows.first,
        "last": row.flows.last,
        "left_at": sorted(row.nodes),
        "policy": key.cover.name if covered else None,
        "tenant": policy.tenant if policy else None,
        "owner": policy.owner if policy else None,
    }


def audit_tree(
    audit: Audit, readings: Iterable[Reading], declared: Mapping[str, Any]
) -> dict[str, Any]:
    """The machine-readable form.

    In: `declared`: the file of policies and its commit.
    """
    rows = audit_rows(audit)
    files = list(readings)
    counts = dict.fromkeys(MEANINGS, 0)
    for row in rows:
        counts[row["verdict"]] += 1
    times = [time for row in rows for time in (row["first"], row["last"]) if time]
    return {
        "format": 1,
        "cluster": audit.egress.cluster,
        "declared": dict(declared),
        "from": min(times, default=None),
        "until": max(times, default=None),
        "rows_by_verdict": counts,
        "findings": sum(row["finding"] for row in rows),
        "flows_of_others_rows": audit.folded,
        "not_egress": dict(sorted(audit.skipped.items())),
        "files": [
            {
                "name": each.name,
                "lines": each.lines,
                "flows": each.flows,
                "other_events": each.other,
                "lost_by_hubble": each.lost,
                "malformed": each.malformed,
                "unusable": dict(sorted(each.unusable.items())),
                "told": list(each.told),
            }
            for each in files
        ],
        "rows": rows,
    }
