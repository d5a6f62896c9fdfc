"""Checks on services: what they refer to, ports, who carries the health check, who gates what."""

from loopback_iac.model.check_space import holds
from loopback_iac.model.draft import Draft
from loopback_iac.model.problem import Problem, unknown_name
from loopback_iac.model.traffic import Prefix, Service

SSH_PORT = 22
RESERVED_PORTS = {SSH_PORT: "sshd", 179: "BGP"}  # they listen on every address of a PoP


def check_services(draft: Draft) -> list[Problem]:
    """Findings on services."""
    return [
        *_references(draft),
        *_ports(draft),
        *_readiness(draft),
        *_checked_once(draft),
        *_gates(draft),
    ]


def _references(draft: Draft) -> list[Problem]:
    problems = []
    for name, service in sorted(draft.services.items()):
        for field, target, section in (
            ("vip", service.vip, "vips"),
            ("pool", service.pool, "pools"),
        ):
            known = draft.named[section]
            if target not in known:
                path, rule = f"services.{name}.{field}", f"service-{field}-known"
                problems.append(unknown_name(path, section, target, known, rule))
    return problems


def _ports(draft: Draft) -> list[Problem]:
    seen: dict[tuple[str, int], str] = {}
    problems = []
    for name, service in sorted(draft.services.items()):
        path = f"services.{name}.port"
        if service.port in RESERVED_PORTS:
            problems.append(
                Problem(
                    path,
                    f"{service.port} belongs to {RESERVED_PORTS[service.port]} on every PoP",
                    "another port",
                    "move the service, for example to 2222",
                    "port-reserved",
                )
            )
        if service.worker_port == SSH_PORT:
            problems.append(
                Problem(
                    f"services.{name}.worker_port",
                    f"{SSH_PORT} is where workers answer SSH",
                    "a port of its own: it is closed to everybody but the tunnels",
                    "let the ingress listen elsewhere, for example on 8443",
                    "port-reserved",
                )
            )
        key = (service.vip, service.port)
        if key in seen:
            problems.append(
                Problem(
                    path,
                    f"vips.{service.vip} port {service.port} is already taken by {seen[key]}",
                    "one service per VIP and port",
                    "change the port, or use another VIP",
                    "port-clash",
                )
            )
        seen.setdefault(key, f"services.{name}")
    return problems


def _readiness(draft: Draft) -> list[Problem]:
    """Whether a worker is ready is asked at a port of its own, which expects no PROXY header."""
    problems = []
    for name, service in sorted(draft.services.items()):
        health, path = service.health, f"services.{name}.health"
        if health is None:
            continue
        if health.ready_port is None:
            if "ready_path" in health.model_fields_set:
                got, fix = "nobody asks for it", "add ready_port, or leave ready_path out"
                problems.append(Problem(f"{path}.ready_path", got, "", fix, "ready-port-missing"))
            continue
        if health.ready_port == SSH_PORT:
            got, need = f"{SSH_PORT} is where workers answer SSH", "a port of its own"
            fix = "write the port where the ingress says whether it is ready, for example 8082"
            problems.append(Problem(f"{path}.ready_port", got, need, fix, "port-reserved"))
        taken = [
            f"services.{n}"
            for n, s in sorted(draft.services.items())
            if s.pool == service.pool and s.worker_port == health.ready_port
        ]
        if taken:
            got = f"{health.ready_port} is the worker_port of {', '.join(taken)}"
            fix = "let the ingress answer on another port, for example 8082"
            need = "a port without PROXY protocol"
            problems.append(Problem(f"{path}.ready_port", got, need, fix, "ready-port-apart"))
    return problems


def _checked_once(draft: Draft) -> list[Problem]:
    problems = []
    first: dict[str, str] = {}
    for name, service in sorted(draft.services.items()):
        if service.health is None:
            continue
        if service.pool in first:
            problems.append(
                Problem(
                    f"services.{name}.health",
                    f"services.{first[service.pool]} already carries the check of this pool",
                    "one check per PoP and worker; the other services follow it",
                    "remove health here, or give the service a pool of its own",
                    "checked-once",
                )
            )
        first.setdefault(service.pool, name)
    return problems


def _gates(draft: Draft) -> list[Problem]:
    gating = {
        name: {p for p, prefix in draft.prefixes.items() if _stands_in(draft, service, prefix)}
        for name, service in sorted(draft.services.items())
        if service.gate != "none"
    }
    problems = []
    for name in (n for n in gating if draft.services[n].gate == "own"):
        others = [n for n in gating if n != name and gating[n] & gating[name]]
        if others:
            shared = sorted(set().union(*(gating[n] & gating[name] for n in others)))
            problems.append(
                Problem(
                    f"services.{name}.gate",
                    f"its own gate would withdraw {', '.join(shared)} from {', '.join(others)} too",
                    "a prefix of its own, since a prefix is announced or withdrawn as a whole",
                    "move it to a VIP in another prefix, or write gate: shared",
                    "gate-shared-prefix",
                )
            )
    return problems


def _stands_in(draft: Draft, service: Service, prefix: Prefix) -> bool:
    vip = draft.vips.get(service.vip)
    return vip is not None and any(holds([prefix.cidr], address) for address in vip.addresses)
