"""IONOS Cloud's places and errors, with where they come from."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.kinds import ApiError

if TYPE_CHECKING:
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Kind

# terraform-provider-ionoscloud docs/resources/datacenter.md
LOCATIONS = (
    "de/fra", "de/fra/2", "de/txl", "gb/lhr", "gb/bhx", "es/vit", "fr/par", "us/las", "us/ewr",
    "us/mci",
)  # fmt: skip
# What is listed under this name in every location; the lab boots Debian 13 alone.
IMAGES = ("debian-13-server",)
# terraform-provider-ionoscloud utils/constant: 999 retries of 4 s; a test gives up before
RETRIED = dict.fromkeys(("429", "502", "503", "504"), (4.0,) * 999)


def refuse(status: int, message: str, code: str = "") -> ApiError:
    """In: code, the API's own number where it is known."""
    return ApiError(
        str(status), json.dumps([{"errorCode": code or str(status), "message": message}]), status
    )


FAULTS = {
    "429": refuse(429, "Too many requests"),
    "500": refuse(500, "Internal server error"),
    "503": refuse(503, "Service unavailable"),
    "423": refuse(423, "The resource is locked"),
}


def explain(kind: Kind, error: ApiError) -> str:
    """
    The text a user reads.

    Sources: terraform-provider-ionoscloud utils/diags; errors of SDKv2 as the bridge shows them.
    """
    if not error.code:
        return f"1 error occurred:\n\t* {error.message}\n\n"
    line = f"{error.status} {HTTPStatus(error.status).phrase}"
    body = json.dumps({"httpStatus": error.status, "messages": json.loads(error.message)})
    text = f"an error occurred while changing a {kind.name}: {line} {body}"
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        text += "\nThis is an API Error. Please contact API support."
    return f"1 error occurred:\n\t* {text}\n\n"


def find(book: Book, kind: str, ident: object) -> Thing:
    """
    A thing that a call names.

    Raises: ApiError 404.
    """
    if str(ident) not in book.of(kind):
        raise refuse(404, "Resource does not exist", "309")
    return book.of(kind)[str(ident)]


def check_quota(account: Account, book: Book, kind: str) -> None:
    """Raises: ApiError when the contract has all it may have."""
    allowed = account.limit(kind)
    if allowed is not None and len(book.of(kind)) >= allowed:
        raise refuse(422, f"The contract's limit of {kind} resources is reached")


def check_location(location: str) -> None:
    """Raises: ApiError when IONOS is not there."""
    if location not in LOCATIONS:
        raise refuse(422, f"[(root).properties.location] {location} is no location", "100")
