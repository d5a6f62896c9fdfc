"""Cloudflare's errors and ids, with where they come from."""

from __future__ import annotations

import json
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.kinds import ApiError

if TYPE_CHECKING:
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Kind

# cloudflare/cloudflare-go internal/requestconfig: ten tries more, 2 s and twice that each time, up
# to 30 s, less up to a quarter by chance
RETRIED = dict.fromkeys(
    ("409", "429", "500", "502", "503", "504"), (2.0, 4.0, 8.0, 16.0, *(30.0,) * 6)
)


def refuse(number: int, message: str, status: int = 400) -> ApiError:
    """In: number, the API's own code."""
    return ApiError(str(status), json.dumps([{"code": number, "message": message}]), status)


FAULTS = {
    "403": refuse(10000, "Authentication error", 403),
    "429": refuse(971, "Please wait and consider throttling your request speed", 429),
    "500": refuse(1000, "internal server error", 500),
    "503": refuse(7010, "Service unavailable", 503),
}


def explain(kind: Kind, error: ApiError) -> str:
    """
    The text a user reads.

    Sources: terraform-provider-cloudflare internal/services, `failed to make http request`; its
    issues 1247 and 3217 show the body.
    """
    del kind
    line = f"{error.status} {HTTPStatus(error.status).phrase}"
    errors = json.loads(error.message)
    body = {"result": None, "success": False, "errors": errors, "messages": []}
    return f"failed to make http request: {line} {json.dumps(body)}"


def new_id() -> str:
    """32 hexadecimal digits, as every id of it."""
    return uuid.uuid4().hex


def find(book: Book, kind: str, ident: object) -> Thing:
    """
    A thing that a call names; one that is gone is an error, for a delete as well.

    Raises: ApiError 404.
    """
    if str(ident) not in book.of(kind):
        raise refuse(1003, f"no such {kind}: {ident}", 404)
    return book.of(kind)[str(ident)]


def refuse_used(book: Book, kind: str, field: str, ident: str) -> None:
    """Raises: ApiError when another thing names this one."""
    for other in book.of(kind).values():
        if ident in (other.get(field) or []):
            raise refuse(1004, f"still used by {other['name']}")
