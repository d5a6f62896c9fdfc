"""Cloudflare as a provider: settings, resource types, words of errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.account import Account
from loopback_iac.lab.cloud.cloudflare.transfers import Incomings, Peers, Tsigs
from loopback_iac.lab.cloud.cloudflare.words import FAULTS, RETRIED, explain
from loopback_iac.lab.cloud.cloudflare.zones import (
    DnsRecords,
    ZoneDnssecs,
    ZoneDnsSettings,
    Zones,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.kinds import ApiError, Failures, Kind, Resource

_SETTINGS = {
    "apiToken", "apiKey", "email", "apiUserServiceKey", "baseUrl", "userAgentOperatorSuffix",
    "version",
}  # fmt: skip
_TYPES = (Zones, DnsRecords, ZoneDnsSettings, ZoneDnssecs, Tsigs, Peers, Incomings)
_TOKEN = re.compile(r"[0-9A-Za-z_-]{40,80}")


class Cloudflare:
    """pulumi-cloudflare 6.23.1."""

    version = "6.23.1"
    package = "cloudflare"

    def check_config(self, config: Values) -> Failures:
        """
        The token's form is looked at; that there is none, the first call would tell.

        Sources: terraform-provider-cloudflare internal/provider.go.
        """
        found = [
            (key, f"cloudflare has no setting {key}") for key in config if key not in _SETTINGS
        ]
        token = config.get("apiToken")
        if token is not None and not _TOKEN.fullmatch(str(token)):
            text = "API tokens must only contain characters a-z, A-Z, 0-9, hyphens and underscores"
            found.append(("apiToken", text))
        return found

    def connect(self, stopped: threading.Event) -> Mapping[str, Resource]:
        """Out: types by token; the lab is looked for when one is used."""
        account = Account("cloudflare", stopped, FAULTS, RETRIED)
        made: list[Resource] = [one(account) for one in _TYPES]
        return {resource.kind.token: resource for resource in made}

    def explain(self, kind: Kind, error: ApiError) -> str:
        """An API's error as the provider shows it."""
        return explain(kind, error)
