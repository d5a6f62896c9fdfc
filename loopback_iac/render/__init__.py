"""From the model to the exact bytes of each file on a host; pure and deterministic."""

from loopback_iac.render.baseline import (
    baseline_secrets,
    join_baseline,
    render_backup_line,
    render_baseline,
)
from loopback_iac.render.failover import (
    KEY_MARK,
    TOKEN_MARK,
    FloatingAddress,
    hold_key,
    render_arbiter,
    render_member,
    render_told_member,
)
from loopback_iac.render.files import File, HostFiles
from loopback_iac.render.first_boot import (
    NO_ADDRESSES,
    OwnAddresses,
    fill_first_boot,
    private_mac,
    render_first_boot,
)
from loopback_iac.render.host import render_pop, render_worker
from loopback_iac.render.join import Door, Joining, render_join
from loopback_iac.render.name_server import ZONES_FROM, render_name_server
from loopback_iac.render.packages import HELD, packages_of
from loopback_iac.render.primary import offered, render_primary, transfer_secret, zone_path
from loopback_iac.render.site import Keys, Uplink, admin_sources, inner_address, uplinks

__all__ = [
    "HELD",
    "KEY_MARK",
    "NO_ADDRESSES",
    "TOKEN_MARK",
    "ZONES_FROM",
    "Door",
    "File",
    "FloatingAddress",
    "HostFiles",
    "Joining",
    "Keys",
    "OwnAddresses",
    "Uplink",
    "admin_sources",
    "baseline_secrets",
    "fill_first_boot",
    "hold_key",
    "inner_address",
    "join_baseline",
    "offered",
    "packages_of",
    "private_mac",
    "render_arbiter",
    "render_backup_line",
    "render_baseline",
    "render_first_boot",
    "render_join",
    "render_member",
    "render_name_server",
    "render_pop",
    "render_primary",
    "render_told_member",
    "render_worker",
    "transfer_secret",
    "uplinks",
    "zone_path",
]
