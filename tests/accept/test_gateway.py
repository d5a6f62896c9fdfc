"""Files of an egress gateway before the programs of Debian that will read them."""

from __future__ import annotations

from loopback_iac.agent.allowed import GATEWAY, parse_place
from loopback_iac.model.egress_gateway import parse_egress_gateways
from loopback_iac.render.gateway import render_gateway
from tests.unit.components.test_gateway import hosts_of, tree


def test_nft_and_systemd_take_their_files(image):
    declared = tree()
    found = parse_egress_gateways("gw", declared)
    files = render_gateway(found, "w1", hosts_of(declared)).files
    for path, file in files.items():
        assert f"{parse_place(path, GATEWAY).mode:04o}" == file.mode
        image.write(path, file.text, file.mode)
    try:
        told = image.run("nft", "-c", "-f", "/etc/loopback/nftables.conf")
        assert (told.returncode, told.stderr) == (0, "")
        units = [path for path in files if path.startswith("/etc/systemd/system/")]
        told = image.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units)
        # the agent itself is put there by enrolment
        assert [line for line in told.stderr.splitlines() if "loopback-agent" not in line] == []
    finally:
        for path in files:
            (image.root / path.lstrip("/")).unlink(missing_ok=True)
