"""IONOS Cloud as a provider: settings, resource types, words of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.account import Account
from loopback_iac.lab.cloud.ionos.failovers import IpFailovers
from loopback_iac.lab.cloud.ionos.nics import Nics
from loopback_iac.lab.cloud.ionos.places import Datacenters, IpBlocks, Lans
from loopback_iac.lab.cloud.ionos.rules import FirewallRules
from loopback_iac.lab.cloud.ionos.servers import Servers
from loopback_iac.lab.cloud.ionos.words import FAULTS, RETRIED, explain
from loopback_iac.lab.cloud.ionos.zones import DnsRecords, DnsZones

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.kinds import ApiError, Failures, Kind, Resource

_SETTINGS = {
    "token", "username", "password", "endpoint", "contractNumber", "retries", "insecure",
    "s3AccessKey", "s3SecretKey", "s3Region", "version",
}  # fmt: skip
_TYPES = (
    Datacenters, Lans, IpBlocks, Servers, Nics, FirewallRules, IpFailovers, DnsZones, DnsRecords,
)  # fmt: skip


class Ionos:
    """pulumi-ionoscloud 0.3.3."""

    version = "0.3.3"
    package = "ionoscloud"

    def check_config(self, config: Values) -> Failures:
        """
        A token has no form of its own here; that there are credentials is all that is looked at.

        Sources: terraform-provider-ionoscloud ionoscloud/provider.go.
        """
        found = [
            (key, f"ionoscloud has no setting {key}") for key in config if key not in _SETTINGS
        ]
        if not config.get("token") and not (config.get("username") and config.get("password")):
            text = "missing credentials, either token or username and password must be set"
            found.append(("token", text))
        return found

    def connect(self, stopped: threading.Event) -> Mapping[str, Resource]:
        """Out: types by token; the lab is looked for when one is used."""
        account = Account("ionoscloud", stopped, FAULTS, RETRIED)
        made: list[Resource] = [one(account) for one in _TYPES]
        return {resource.kind.token: resource for resource in made}

    def explain(self, kind: Kind, error: ApiError) -> str:
        """An API's error as the provider shows it."""
        return explain(kind, error)
