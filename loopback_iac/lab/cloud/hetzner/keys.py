"""SSH keys and placement groups."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from loopback_iac.lab.cloud.hetzner.words import check_labels, check_new, find, refuse, rename
from loopback_iac.lab.cloud.kinds import Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.kinds import Failures


class SshKeys:
    """terraform-provider-hcloud internal/sshkey."""

    kind = Kind(
        "hcloud:index/sshKey:SshKey",
        "ssh_key",
        parse_fields("""
            publicKey string required replaces
            name string
            labels map
            fingerprint string computed
        """),
        framework=True,
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        return check_labels(news)

    def create(self, news: Values) -> tuple[str, Values]:
        """A key that the project has is refused, whatever its name (uniqueness_error)."""
        with self._account.call("create", "ssh_key", news["name"]) as book:
            check_new(self._account, book, "ssh_key", news["name"])
            parts = news["publicKey"].split()
            try:
                load_ssh_public_key(" ".join(parts[:2]).encode())
            except (ValueError, UnsupportedAlgorithm):
                raise refuse("invalid_input", "invalid input in field 'public_key'") from None
            fingerprint = _fingerprint(parts[1])
            if any(key["fingerprint"] == fingerprint for key in book.of("ssh_key").values()):
                raise refuse("uniqueness_error", "SSH key with the same fingerprint already exists")
            ident = book.next_id()
            book.of("ssh_key")[ident] = {
                "name": news["name"],
                "publicKey": news["publicKey"].strip(),
                "labels": news.get("labels", {}),
                "fingerprint": fingerprint,
            }
        return ident, {"fingerprint": fingerprint, "labels": news.get("labels", {})}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "ssh_key", olds.get("name", "")) as book:
            return book.of("ssh_key").get(ident)

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "ssh_key", olds.get("name", "")) as book:
            key = find(book, "ssh_key", ident)
            rename(book, "ssh_key", key, news["name"])
            key["labels"] = news.get("labels", {})
        return {"labels": news.get("labels", {})}

    def delete(self, ident: str, olds: Values) -> None:
        """A key that is gone already is no error."""
        with self._account.call("delete", "ssh_key", olds.get("name", "")) as book:
            book.of("ssh_key").pop(ident, None)


def _fingerprint(blob: str) -> str:
    # MD5 in hex pairs, as the documentation of the API shows it

    digest = hashlib.md5(base64.b64decode(blob), usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, 32, 2))


class PlacementGroups:
    """terraform-provider-hcloud internal/placementgroup."""

    kind = Kind(
        "hcloud:index/placementGroup:PlacementGroup",
        "placement_group",
        parse_fields("""
            type string required
            name string
            labels map
            servers ints computed
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        found = check_labels(news)
        if news.get("type", "spread") != "spread":
            found.append(("type", f"{news['type']} is not a valid placement group type"))
        return found

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "placement_group", news["name"]) as book:
            check_new(self._account, book, "placement_group", news["name"])
            ident = book.next_id()
            book.of("placement_group")[ident] = {
                "name": news["name"], "type": news["type"], "labels": news.get("labels", {}),
            }  # fmt: skip
        return ident, {"servers": []}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "placement_group", olds.get("name", "")) as book:
            group = book.of("placement_group").get(ident)
            servers = book.of("server").items()
            members = [int(key) for key, s in servers if s.get("placementGroupId") == int(ident)]
            return group and {**group, "servers": members}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "placement_group", olds.get("name", "")) as book:
            group = find(book, "placement_group", ident)
            rename(book, "placement_group", group, news["name"])
            group["labels"] = news.get("labels", {})
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """A group that is gone is an error here, unlike with keys."""
        with self._account.call("delete", "placement_group", olds.get("name", "")) as book:
            find(book, "placement_group", ident)
            if any(s.get("placementGroupId") == int(ident) for s in book.of("server").values()):
                raise refuse("resource_in_use", "placement group is in use")
            del book.of("placement_group")[ident]
