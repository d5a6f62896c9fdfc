"""Hetzner Cloud as a provider: settings, resource types, words of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.account import Account
from loopback_iac.lab.cloud.hetzner.addresses import FloatingIpAssignments, FloatingIps, PrimaryIps
from loopback_iac.lab.cloud.hetzner.firewalls import FirewallAttachments, Firewalls
from loopback_iac.lab.cloud.hetzner.keys import PlacementGroups, SshKeys
from loopback_iac.lab.cloud.hetzner.networks import Networks, NetworkSubnets
from loopback_iac.lab.cloud.hetzner.servers import Servers
from loopback_iac.lab.cloud.hetzner.words import FAULTS, RETRIED, explain
from loopback_iac.lab.cloud.hetzner.zones import ZoneRecords, ZoneRrsets, Zones

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.kinds import ApiError, Failures, Kind, Resource

TOKEN_CHARACTERS = 64
_SETTINGS = {"token", "endpoint", "endpointHetzner", "pollInterval", "pollFunction", "version"}
_TYPES = (
    SshKeys, PlacementGroups, PrimaryIps, FloatingIps, FloatingIpAssignments, Firewalls,
    FirewallAttachments, Networks, NetworkSubnets, Servers, Zones, ZoneRrsets,
    ZoneRecords,
)  # fmt: skip


_ABSENT = (
    "[token] Missing Hetzner Cloud API token: While configuring the provider, the Hetzner Cloud API"
    " token was not found in the HCLOUD_TOKEN environment variable or provider configuration block"
    " token attribute."
)


class Hetzner:
    """pulumi-hcloud 1.43.3."""

    version = "1.43.3"
    package = "hcloud"

    def check_config(self, config: Values) -> Failures:
        """
        The token is looked at, never used.

        Sources: terraform-provider-hcloud hcloud/provider.go and plugin_provider.go.
        """
        found = [(key, f"hcloud has no setting {key}") for key in config if key not in _SETTINGS]
        token = config.get("token")
        if token is None:
            found.append(("token", _ABSENT))
        elif len(str(token)) != TOKEN_CHARACTERS:
            text = f"entered token is invalid (must be exactly {TOKEN_CHARACTERS} characters long)"
            found.append(("token", text))
        return found

    def connect(self, stopped: threading.Event) -> Mapping[str, Resource]:
        """Out: types by token; the lab is looked for when one is used."""
        account = Account("hcloud", stopped, FAULTS, RETRIED)
        made: list[Resource] = [one(account) for one in _TYPES]
        return {resource.kind.token: resource for resource in made}

    def explain(self, kind: Kind, error: ApiError) -> str:
        """An API's error as the provider shows it."""
        return explain(kind, error)
