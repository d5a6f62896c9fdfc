"""Hetzner Cloud's rules for names, labels and errors, with the places they come from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.kinds import ApiError

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Failures, Kind

# hetznercloud/hcloud-go hcloud/labels.go
_NAME = r"[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
_PREFIX = r"([a-zA-Z0-9]([-_.a-zA-Z0-9]{0,253}[a-zA-Z0-9])?/)?"
_KEY, _VALUE = re.compile(_PREFIX + _NAME), re.compile(f"({_NAME})?")
# terraform-provider-hcloud docs/resources/server.md: a valid hostname as of RFC 1123
_HOSTNAME = re.compile(
    r"(?=.{1,253}$)[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
    r"(\.[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*"
)
# hetznercloud/hcloud-go hcloud/error.go and the API's table of error codes: code -> HTTP status
STATUS = {
    "unauthorized": 401, "token_readonly": 401, "forbidden": 403, "maintenance": 403,
    "resource_limit_exceeded": 403, "not_found": 404, "uniqueness_error": 409, "conflict": 409,
    "resource_unavailable": 412, "primary_ip_version_mismatch": 412, "invalid_input": 422,
    "service_error": 422, "placement_error": 422, "primary_ip_assigned": 422,
    "primary_ip_already_assigned": 422, "primary_ip_datacenter_mismatch": 422,
    "server_not_stopped": 422, "must_be_unassigned": 422, "resource_in_use": 422,
    "firewall_already_applied": 422, "ip_not_available": 422, "no_subnet_available": 422,
    "networks_overlap": 422, "server_already_attached": 422,
    "incorrect_zone_mode": 422, "locked": 423, "protected": 423,
    "rate_limit_exceeded": 429, "server_error": 500, "bad_gateway": 502, "unavailable": 503,
    "timeout": 504,
}  # fmt: skip
# hetznercloud/hcloud-go hcloud/client_handler_retry.go: codes of a second try, and the waits
RETRIED = dict.fromkeys(
    ("conflict", "rate_limit_exceeded", "bad_gateway", "timeout"), (1.0, 2.0, 4.0, 8.0, 16.0)
)
_FAULTS = {
    "rate_limit_exceeded": "limit of 3600 requests per hour reached",
    "unavailable": "service temporarily unavailable",
    "server_error": "an unexpected error occurred",
    "locked": "server is locked",
    "resource_unavailable": "error during placement",
    "conflict": "resource has changed",
}


def refuse(code: str, message: str) -> ApiError:
    """An answer of the API that is an error."""
    return ApiError(code, message, STATUS[code])


FAULTS = {code: refuse(code, message) for code, message in _FAULTS.items()}


def explain(kind: Kind, error: ApiError) -> str:
    """
    The text a user reads.

    Sources: terraform-provider-hcloud internal/util/hcloudutil (both halves of the provider),
    pulumi-terraform-bridge pkg/pf/tfbridge/provider_diagnostics.go.
    """
    if not error.code:
        return error.message if kind.framework else f"1 error occurred:\n\t* {error.message}\n\n"
    if not kind.framework:
        return f"1 error occurred:\n\t* {error.message} ({error.code})\n\n"
    return (
        "API request failed: An unexpected error was encountered during an API request.\n\n"
        f"{error.message} ({error.code})\n\nError code: {error.code}\nStatus code: {error.status}\n"
    )


def check_labels(news: Values) -> Failures:
    """Labels that the provider refuses before any call."""
    found = []
    for key, value in news.get("labels", {}).items():
        if not _KEY.fullmatch(key):
            found.append((f"labels.{key}", f"label key '{key}' is not correctly formatted"))
        if not _VALUE.fullmatch(str(value)):
            text = f"label value '{value}' (key: {key}) is not correctly formatted"
            found.append((f"labels.{key}", text))
    return found


def check_hostname(name: str) -> None:
    """Raises: ApiError when a server cannot bear this name."""
    if not _HOSTNAME.fullmatch(name):
        raise refuse(
            "invalid_input", "invalid input in field 'name': [name => [is not a hostname]]"
        )


def check_new(account: Account, book: Book, kind: str, name: str) -> None:
    """
    What the API asks of every new thing.

    Raises: ApiError when the account is full or the name is taken.
    Sources: the API's error table: resource_limit_exceeded, uniqueness_error.
    """
    allowed = account.limit(kind)
    if allowed is not None and len(book.of(kind)) >= allowed:
        raise refuse("resource_limit_exceeded", f"{kind} limit exceeded")
    if any(thing["name"] == name for thing in book.of(kind).values()):
        raise refuse("uniqueness_error", f"{kind.replace('_', ' ')} name is already used")


def rename(book: Book, kind: str, thing: Thing, name: str) -> None:
    """Raises: ApiError when another thing of the kind has this name."""
    if any(t["name"] == name for t in book.of(kind).values() if t is not thing):
        raise refuse("uniqueness_error", f"{kind.replace('_', ' ')} name is already used")
    thing["name"] = name


def find(book: Book, kind: str, ident: object) -> Thing:
    """
    A thing that a call names.

    Raises: ApiError not_found.
    """
    if str(ident) not in book.of(kind):
        raise refuse("not_found", f"{kind} with ID '{ident}' not found")
    return book.of(kind)[str(ident)]


def refuse_protected(thing: Thing, kind: str) -> None:
    """Raises: ApiError when a thing may not be deleted."""
    if thing.get("deleteProtection"):
        raise refuse("protected", f"{kind} deletion is protected")
