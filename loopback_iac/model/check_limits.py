"""Checks on rate limits: one that can never bite, or that another one makes void, is a mistake."""

from collections.abc import Iterator

from loopback_iac.model.draft import Draft
from loopback_iac.model.problem import Problem
from loopback_iac.model.traffic import Service, ServiceLimits


def check_limits(draft: Draft) -> list[Problem]:
    """Findings on the limits of services."""
    return [
        problem
        for name, service in sorted(draft.services.items())
        if service.limits is not None
        for problem in _limits(f"services.{name}.limits", service, service.limits)
    ]


def _limits(path: str, service: Service, limits: ServiceLimits) -> Iterator[Problem]:
    if not limits.declared:
        yield Problem(
            path,
            "limits nothing",
            "new_connections_per_client, new_connections or concurrent_per_client",
            "write one of them, or remove limits",
            "limits-empty",
        )
    client, all_clients = limits.new_connections_per_client, limits.new_connections
    if client and all_clients and client.rate_per_s > all_clients.rate_per_s:
        yield Problem(
            f"{path}.new_connections_per_client.rate_per_s",
            f"{client.rate_per_s}/s is more than all clients together may open"
            f" ({all_clients.rate_per_s}/s)",
            "less for one client than for all",
            "lower it, or raise new_connections.rate_per_s",
            "limit-order",
        )
    many = limits.concurrent_per_client
    if many is not None and many > service.max_connections:
        yield Problem(
            f"{path}.concurrent_per_client",
            f"{many} is more than the service takes altogether ({service.max_connections})",
            "less for one client than for all",
            "lower it, or raise max_connections",
            "limit-order",
        )
